"""Disk codes for ternary tensors: within a few per cent of the entropy H(d)+d of a mask of density d and its signs.

A tensor is cut into blocks of 65,536 entries, and each block is coded in the smallest of these ways, so that coding and
decoding need little memory whatever the size of the tensor:

    byte 0      way: 0 empty, 1 bitmap, 2 grouped bitmap, 3+r Rice-coded gaps with r low bits (r = 0..12)
    bytes 1-2   active entries minus one (0 in an empty block)
    bytes 3-4   length in bytes of what follows, little-endian as all numbers here
    signs       one bit for each active entry, set where it is negative
    mask        bitmap: one bit for each entry
                grouped: one bit for each group of four entries; then four bits for each group that has an active entry
                Rice: gap = inactive entries before an active one = quotient * 2**r + low bits. First all low bits, then
                all quotients in unary (q zeros and a one), then, for each quotient of 15 or more (15 in unary), its
                value in 16 bits

Each stream starts on a byte, its bits least significant first, its last byte filled up with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

BLOCK = 1 << 16
CHUNK = 1 << 20
"""Entries that `decode` yields at a time; a multiple of BLOCK."""

_HEADER = 5
_SIGNS = (np.array([0, 1, -1, 0], np.int8))[(np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3]  # of each byte
_LANES = 64  # sums of a block run in 64 lanes, row after row


class CodecError(ValueError):
    """Bytes that are no code of a ternary tensor; the message is the rest of the sentence "tensor x ..."."""


class Encoder:
    """Turns the delta of one tensor into its code, chunk by chunk, and sums the active entries as it goes.

    Args:
        positive: threshold of the positive entries, a magnitude above zero; entries equal to it are active.
        negative: the same for the negative entries.
        squared: sum the squares of active entries, else their magnitudes.

    Attributes:
        active: number of active entries so far.
    """

    def __init__(self, positive: float, negative: float, *, squared: bool) -> None:
        self._positive, self._negative = np.float32(positive), np.float32(negative)
        self._squared = squared
        self._sums: list[float] = []
        self.active = 0

    def encode(self, chunk: np.ndarray, helper: Executor | None = None) -> list[np.ndarray]:
        """Code the next chunk (n, float32); n is a multiple of BLOCK in all but the last.

        Returns uint8 bytes, in pieces: where there is a helper, it codes the second half meanwhile.
        """
        middle = chunk.size // 2 // BLOCK * BLOCK
        if helper is None or not middle:
            coded = [self._coded(chunk)]
        else:
            later = helper.submit(self._coded, chunk[middle:])
            coded = [self._coded(chunk[:middle]), later.result()]
        for _, lanes, active in coded:
            self._sums += [math.fsum(row) for row in lanes]
            self.active += active
        return [code for code, _, _ in coded]

    def _coded(self, chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """(code, sums by block and lane, active entries)."""
        from tswitch.switch import _kernels  # numba, loaded when it is first needed

        blocks = -(-chunk.size // BLOCK)
        out = np.zeros(blocks * (_HEADER + 8) + chunk.size // 4, np.uint8)
        lanes = np.zeros((blocks, _LANES))
        length, active = _kernels.encode(chunk, BLOCK, self._positive, self._negative, self._squared, out, lanes)
        return out[:length], lanes, active

    @property
    def total(self) -> float:
        """Sum over all active entries so far of their squares or magnitudes; the same however the chunks were cut."""
        return math.fsum(self._sums)


def decode(code: np.ndarray, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Read a code back.

    Args:
        code: all bytes of one tensor, uint8.
        size: its number of entries.
    Yields: (slice of the flat tensor, int8 entries in {-1, 0, 1}), CHUNK entries at a time.
    Raises:
        CodecError: if the bytes are malformed, too few or too many.
    """
    at = 0
    for start in range(0, size, CHUNK):
        packed, read = _decoded(code[at:], min(CHUNK, size - start))
        at += read
        yield slice(start, min(start + CHUNK, size)), _SIGNS[packed].reshape(-1)[: size - start]
    _refuse_surplus(code, at)


def decode_packed(code: np.ndarray, size: int) -> np.ndarray:
    """All of a code as two-bit codes: (ceil(size / 4),) uint8. Raises CodecError as `decode` does."""
    packed, read = _decoded(code, size)
    _refuse_surplus(code, read)
    return packed


def _decoded(code: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """(two-bit codes of the first `size` entries, bytes read)."""
    from tswitch.switch import _decode_kernels

    packed = np.zeros((size + 3) // 4, np.uint8)
    read = _decode_kernels.decode(code, size, BLOCK, packed)
    if read < 0:
        raise CodecError(_decode_kernels.FAULTS[-read])
    return packed, read


def _refuse_surplus(code: np.ndarray, read: int) -> None:
    if read != code.size:
        raise CodecError(f"has {code.size - read} bytes too many")


def two_bits(values: np.ndarray) -> np.ndarray:
    """Two-bit codes (ceil(n / 4),) uint8 of entries (n,) int8 in {-1, 0, 1}."""
    codes = np.zeros(-(-values.size // 4) * 4, np.uint8)
    codes[: values.size] = np.where(values < 0, 2, values)
    four = codes.reshape(-1, 4)
    return four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6


def active_in(packed: np.ndarray) -> int:
    """Active entries in two-bit codes (m,) uint8."""
    return int(np.bitwise_count((packed | packed >> 1) & 0x55).sum())
