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
from types import ModuleType

import numpy as np

from tswitch.switch import _fast

BLOCK = 1 << 16
CHUNK = 1 << 20
"""Entries that `decode` yields at a time; a multiple of BLOCK."""

_HEADER = 5
_EMPTY, _BITMAP, _GROUPED, _RICE = range(4)
_LOW_BITS = 12  # most low bits of a Rice code: enough for two active entries in a block
_UNARY = 15  # longest quotient in unary
_SIGNS = (np.array([0, 1, -1, 0], np.int8))[(np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3]  # of each byte
_LANES = 64  # sums of a block run in 64 lanes, row after row: the same order in numpy and in the kernels


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
        fast = _fast.kernels(chunk.size)
        if fast is None:
            return [self._encode_slowly(chunk)]
        middle = chunk.size // 2 // BLOCK * BLOCK
        if helper is None or not middle:
            coded = [self._encode_fast(fast, chunk)]
        else:
            later = helper.submit(self._encode_fast, fast, chunk[middle:])
            coded = [self._encode_fast(fast, chunk[:middle]), later.result()]
        for _, lanes, active in coded:
            self._sums += [math.fsum(row) for row in lanes]
            self.active += active
        return [code for code, _, _ in coded]

    def _encode_fast(self, fast: ModuleType, chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """(code, sums by block and lane, active entries)."""
        blocks = -(-chunk.size // BLOCK)
        out = np.zeros(blocks * (_HEADER + 8) + chunk.size // 4, np.uint8)
        lanes = np.zeros((blocks, _LANES))
        length, active = fast.encode(
            chunk, BLOCK, self._positive, self._negative, self._squared, _LOW_BITS, _UNARY, out, lanes
        )
        return out[:length], lanes, active

    def _encode_slowly(self, chunk: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [self._encode_block(chunk[start : start + BLOCK]) for start in range(0, chunk.size, BLOCK)]
            or [np.empty(0, np.uint8)]
        )

    def _encode_block(self, delta: np.ndarray) -> np.ndarray:
        mask = (delta >= self._positive) | (delta <= -self._negative)
        wide = np.zeros(-(-delta.size // _LANES) * _LANES)
        wide[: delta.size] = np.where(mask, delta, 0)
        terms = wide * wide if self._squared else np.abs(wide)
        self._sums.append(math.fsum(terms.reshape(-1, _LANES).sum(0)))
        positions = np.flatnonzero(mask)
        self.active += positions.size
        return encode_block(positions, delta[positions] < 0, delta.size)

    @property
    def total(self) -> float:
        """Sum over all active entries so far of their squares or magnitudes; the same however the chunks were cut."""
        return math.fsum(self._sums)


def encode_block(positions: np.ndarray, negative: np.ndarray, size: int) -> np.ndarray:
    """Code one block.

    Args:
        positions: the active entries, ascending, below `size`.
        negative: which of them are negative, bool.
        size: entries in the block, at most BLOCK.
    """
    count = positions.size
    if count == 0:
        return np.zeros(_HEADER, np.uint8)
    gaps = np.diff(positions, prepend=-1) - 1
    grouped = positions >> 2
    groups = grouped[np.diff(grouped, prepend=-1) > 0]
    marks = _bytes_for(-(-size // 4))
    sizes = [_bytes_for(size), marks + (groups.size + 1) // 2]
    times = np.bincount(gaps)
    lengths = np.flatnonzero(times)
    times = times[lengths]
    for low in range(_LOW_BITS + 1):
        quotients = lengths >> low
        escapes = int(times[quotients >= _UNARY].sum())
        unary = int(np.minimum(quotients, _UNARY) @ times) + count
        sizes.append(_bytes_for(unary) + _bytes_for(count * low) + 2 * escapes)
    way = _BITMAP + int(np.argmin(sizes))
    if way == _BITMAP:
        parts = [_packed_at(positions, size)]
    elif way == _GROUPED:
        nibbles = np.searchsorted(groups, grouped) * 4 + (positions & 3)
        parts = [_packed_at(groups, marks * 8), _packed_at(nibbles, groups.size * 4)]
    else:
        low = way - _RICE
        quotients = gaps >> low
        ends = np.cumsum(np.minimum(quotients, _UNARY) + 1) - 1
        low_bits = (gaps[:, None] >> np.arange(low)) & 1
        escaped = quotients[quotients >= _UNARY].astype("<u2")
        parts = [
            np.packbits(low_bits.astype(np.uint8), bitorder="little"),
            _packed_at(ends, int(ends[-1]) + 1),
            escaped.view(np.uint8),
        ]
    body = np.concatenate([np.packbits(negative, bitorder="little"), *parts])
    header = np.array([way, (count - 1) & 255, (count - 1) >> 8, body.size & 255, body.size >> 8], np.uint8)
    return np.concatenate([header, body])


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
        count = min(CHUNK, size - start)
        packed = np.zeros((count + 3) // 4, np.uint8)
        read = _decode_fast(code[at:], count, packed)
        if read is not None:
            chunk = _SIGNS[packed].reshape(-1)[:count]
            at += read
        else:
            chunk = np.zeros(count, np.int8)
            for first in range(0, count, BLOCK):
                at += _decode_block(code[at:], chunk[first : first + BLOCK])
        yield slice(start, start + count), chunk
    if at != code.size:
        raise CodecError(f"has {code.size - at} bytes too many")


def decode_packed(code: np.ndarray, size: int) -> np.ndarray:
    """All of a code as `pack_two_bits` would pack it: (ceil(size / 4),) uint8. Raises CodecError as `decode` does."""
    packed = np.zeros((size + 3) // 4, np.uint8)
    if _decode_fast(code, size, packed) != code.size:
        packed[:] = 0
        for part, values in decode(code, size):
            packed[part.start // 4 : (part.stop + 3) // 4] = pack_two_bits(values)
    return packed


def _decode_fast(code: np.ndarray, size: int, out: np.ndarray) -> int | None:
    """Decode into the zeroed `out` by the compiled loop; returns the bytes read.

    None where there is no such loop, and where the bytes are no code.
    """
    kernels = _fast.kernels(size)
    if kernels is None:
        return None
    read = kernels.decode(code, size, BLOCK, _LOW_BITS, _UNARY, out)
    return read if read >= 0 else None


def _decode_block(code: np.ndarray, out: np.ndarray) -> int:
    """Fill the zeroed block `out` from the front of `code`; returns the bytes read."""
    if code.size < _HEADER:
        raise CodecError("ends before its last block")
    way, count, length = int(code[0]), int(code[1]) + 256 * int(code[2]) + 1, int(code[3]) + 256 * int(code[4])
    body = code[_HEADER : _HEADER + length]
    if body.size < length:
        raise CodecError("ends inside a block")
    if way == _EMPTY:
        if count != 1 or length:
            raise CodecError("has an empty block that is not empty")
        return _HEADER
    if way > _RICE + _LOW_BITS:
        raise CodecError(f"uses code {way}, which is unknown here")
    signs = _bytes_for(count)
    if count > out.size or length <= signs:
        raise CodecError("has a block with more active entries than it can hold")
    if way == _BITMAP:
        positions = np.flatnonzero(_unpacked(body[signs:], out.size))
    elif way == _GROUPED:
        positions = _grouped_positions(body[signs:], out.size)
    else:
        positions = _rice_positions(body[signs:], count, way - _RICE)
    if positions.size != count:
        raise CodecError(f"has a block with {positions.size} active entries that claims {count}")
    if positions[-1] >= out.size:
        raise CodecError("has a block with an active entry beyond its end")
    out[positions] = 1 - 2 * _unpacked(body[:signs], count).view(np.int8)
    return _HEADER + length


def _grouped_positions(body: np.ndarray, size: int) -> np.ndarray:
    number = -(-size // 4)
    marks = _bytes_for(number)
    groups = np.flatnonzero(_unpacked(body[:marks], number))
    nibbles = _unpacked(body[marks:], groups.size * 4).reshape(-1, 4)
    if not nibbles.any(1).all():
        raise CodecError("has an empty group that is marked as active")
    rows, columns = np.nonzero(nibbles)
    return groups[rows] * 4 + columns


def _rice_positions(body: np.ndarray, count: int, low: int) -> np.ndarray:
    lows = _bytes_for(count * low)
    low_bits = _unpacked(body[:lows], count * low).reshape(count, low)
    ends = np.flatnonzero(np.unpackbits(body[lows:], bitorder="little"))[:count]
    if ends.size < count:
        raise CodecError("has a block with too few gaps")
    used = lows + int(ends[-1]) // 8 + 1
    _unpacked(body[lows:used], int(ends[-1]) + 1)
    gaps = np.diff(ends, prepend=-1) - 1
    escaped = np.flatnonzero(gaps >= _UNARY)
    if body.size != used + 2 * escaped.size or (gaps > _UNARY).any():
        raise CodecError("has a block whose gaps and length disagree")
    gaps[escaped] = body[used:].view("<u2") if (body.ctypes.data + used) % 2 == 0 else body[used:].copy().view("<u2")
    if (gaps[escaped] < _UNARY).any():
        raise CodecError("has a block with a short gap coded as a long one")
    weights = (1 << np.arange(low)).astype(np.int64)
    return np.cumsum((gaps << low) + low_bits @ weights + 1) - 1


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8


def _packed_at(positions: np.ndarray, bits: int) -> np.ndarray:
    """Bytes of `bits` bits with those at `positions` set."""
    flags = np.zeros(bits, np.uint8)
    flags[positions] = 1
    return np.packbits(flags, bitorder="little")


def _unpacked(code: np.ndarray, bits: int) -> np.ndarray:
    """The first `bits` bits (uint8 0 or 1) of exactly as many bytes as they need; the rest of the last is zero."""
    if code.size != _bytes_for(bits):
        raise CodecError("has a block whose contents and length disagree")
    flags = np.unpackbits(code, bitorder="little")
    if flags[bits:].any():
        raise CodecError("has a block with bits set beyond its end")
    return flags[:bits]


def pack_two_bits(codes: np.ndarray) -> np.ndarray:
    """Pack int8 codes (n,) in {-1, 0, 1} four to a byte, the first lowest, as 2, 0 and 1: uint8 (ceil(n / 4),)."""
    two = codes.view(np.uint8) & 3  # -1 is 3 here
    two ^= two >> 1
    if two.size % 4:
        two = np.concatenate([two, np.zeros(-two.size % 4, np.uint8)])
    first, second, third, fourth = two.reshape(-1, 4).T
    return first | second << 2 | third << 4 | fourth << 6


def active_in(packed: np.ndarray) -> int:
    """Active entries in two-bit codes (m,) uint8."""
    return int(np.bitwise_count((packed | packed >> 1) & 0x55).sum())
