"""Bits to symbols and back with integrity: CRC (TS 38.212, 5.1), LDPC, bit interleaver (5.4.2.2), modulation."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from semcom.phy._ldpc import ldpc
from semcom.phy._modulation import Modulation

_POLYNOMIALS = {16: 0x1021, 24: 0x864CFB, 32: 0x04C11DB7}
_KEPT = 1 << 18  # places up to which a permutation is kept for the next call
_SHORTEST = 24  # shorter blocks are filled up: below, the code's punctured bits are most of it


@functools.cache
def _matrix(size: int, length: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """What each of `length` bits adds to the check (length, size), and what the start value adds (size,)."""
    polynomial, top, mask = _POLYNOMIALS[size], 1 << (size - 1), (1 << size) - 1

    def shifted(register: int) -> int:
        return ((register << 1) ^ (polynomial if register & top else 0)) & mask

    rows, register = [], polynomial  # of the last bit first
    for _ in range(length):
        rows.append(register)
        register = shifted(register)
    register = start
    for _ in range(length):
        register = shifted(register)
    places = np.arange(size - 1, -1, -1)
    table = (np.array(rows[::-1], dtype=np.uint64)[:, None] >> places.astype(np.uint64)) & np.uint64(1)
    return table.astype(np.float32), ((register >> places) & 1).astype(np.uint8)


def crc_bits(bits: np.ndarray, size: int = 16, *, start: int | None = None) -> np.ndarray:
    """Check bits of each row.

    Args:
        bits: (rows, n) of 0 and 1.
        size: 16, 24 or 32.
        start: value of the register before the first bit. All ones if left out, so that silence, which decodes to
            zeros, fails the check; 0 is the standard's.
    Returns: (rows, size) uint8, most significant first.
    """
    if size not in _POLYNOMIALS:
        raise InputError("CRC size", got=size, expected="16, 24 or 32")
    bits = np.asarray(bits)
    table, constant = _matrix(size, bits.shape[1], (1 << size) - 1 if start is None else start)
    return ((bits.astype(np.float32) @ table).astype(np.int64) & 1).astype(np.uint8) ^ constant


def append_crc(bits: np.ndarray, size: int = 16) -> np.ndarray:
    """(rows, n) -> (rows, n + size)."""
    return np.concatenate([np.asarray(bits, np.uint8), crc_bits(bits, size)], axis=1)


def check_crc(bits: np.ndarray, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """(rows, n + size) -> the n bits, and whether each row's check holds (rows,)."""
    own, check = bits[:, :-size], bits[:, -size:]
    return own, (crc_bits(own, size) == check).all(axis=1)


def interleaver(size: int, seed: int = 0) -> np.ndarray:
    """A fixed pseudo-random permutation of `size` places, the same on both sides: (size,) int64, read-only."""
    return _kept_order(size, seed) if size <= _KEPT else _kept_order.__wrapped__(size, seed)


@functools.cache
def _kept_order(size: int, seed: int) -> np.ndarray:
    order = np.random.Generator(np.random.PCG64([size, seed])).permutation(size)
    order.setflags(write=False)
    return order


def restored(values: np.ndarray) -> np.ndarray:
    """Rows (rows, n) that `interleaver` permuted, in their own order."""
    result = np.empty(values.shape, values.dtype)
    result[:, interleaver(values.shape[1])] = values
    return result


@functools.lru_cache(maxsize=64)
def bit_interleaver(size: int, bits: int) -> np.ndarray:
    """Which coded bit each place on the channel has (TS 38.212, 5.4.2.2): (size,) int64, read-only.

    The systematic bits, which come first, take the bits of a symbol that are decided best.

    Args:
        size: coded bits, a multiple of `bits`.
        bits: bits of a symbol.

    Examples:
        >>> from semcom.phy import bit_interleaver

        >>> bit_interleaver(8, 4)
        array([0, 2, 4, 6, 1, 3, 5, 7])
    """
    if size % bits:
        raise InputError("coded bits", got=size, expected=f"a multiple of {bits}, the bits of a symbol")
    order = np.arange(size).reshape(bits, -1).T.ravel()
    order.setflags(write=False)
    return order


def parse_rate(fec: str) -> float | None:
    """Code rate of `ldpc:1/2` or `ldpc:0.5`, None for `none`; InputError for anything else."""
    if fec == "none":
        return None
    match = re.fullmatch(r"ldpc:(\d+(?:\.\d+)?)(?:/(\d+))?", fec)
    if match is None:
        raise InputError("fec", got=repr(fec), expected="none, or ldpc:RATE such as ldpc:1/2")
    below = float(match[2] or 1)
    rate = float(match[1]) / below if below else np.inf
    if not 0.05 <= rate <= 0.93:
        raise InputError("fec", got=fec, expected="a code rate from 0.05 to 0.93")
    return rate


@dataclass(frozen=True)
class CodedBlock:
    """A block of `bits` information bits that arrives whole or says that it does not.

    Attributes:
        bits: information bits without the check.
        fec: `ldpc:RATE` or `none`.
        modulation: see `Modulation`.
        crc: size of the check, 16, 24 or 32.
        iterations: of the decoder.

    Examples:
        >>> import numpy as np
        >>> from semcom import Channel, CodedBlock

        >>> draw = np.random.default_rng(0)
        >>> block = CodedBlock(bits=200, fec="ldpc:1/2", modulation="qpsk")
        >>> bits = draw.integers(0, 2, (5, 200))
        >>> sent = block.send(bits)
        >>> received = Channel("awgn").apply(sent, 3.0, draw)
        >>> decoded, good = block.receive(received.unbiased, received.noise)
        >>> sent.shape, good.tolist(), bool((decoded == bits).all())
        ((5, 216), [True, True, True, True, True], True)
    """

    bits: int
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"
    crc: int = 16
    iterations: int = 50

    @property
    def _information(self) -> int:
        return self.bits + self.crc

    @property
    def _padded(self) -> int:
        return max(self._information, _SHORTEST)

    @property
    def coded_bits(self) -> int:
        """Bits on the channel; those of a code fill whole symbols."""
        rate = parse_rate(self.fec)
        if rate is None:
            return self._information
        least, bits = max(int(np.ceil(self._padded / rate - 1e-9)), self._padded + 1), Modulation(self.modulation).bits
        return -(-least // bits) * bits

    @property
    def _order(self) -> np.ndarray:
        """Coded bits in the order in which they are sent: the standard's, or scattered where there is no code."""
        if self.fec == "none":
            return interleaver(self.coded_bits)
        return bit_interleaver(self.coded_bits, Modulation(self.modulation).bits)

    @property
    def symbols(self) -> int:
        """Complex symbols of a block."""
        return Modulation(self.modulation).symbols_for(self.coded_bits)

    def send(self, bits: np.ndarray) -> np.ndarray:
        """(rows, bits) of 0 and 1 -> (rows, symbols) complex64 of unit mean power."""
        bits = np.asarray(bits, np.uint8)
        if bits.ndim != 2 or bits.shape[1] != self.bits:
            raise InputError("bits", got=f"shape {bits.shape}", expected=f"(rows, {self.bits})")
        word = append_crc(bits, self.crc)
        if self.fec != "none":
            word = np.pad(word, ((0, 0), (0, self._padded - word.shape[1])))
            word = ldpc(self._padded, self.coded_bits).encode(word)
        return Modulation(self.modulation).modulate(word[:, self._order])

    def receive(self, symbols: np.ndarray, noise: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Decode a block.

        Args:
            symbols: (rows, symbols) complex, equalised without bias.
            noise: complex noise variance of each symbol, broadcast to `symbols`.
        Returns: (rows, bits) uint8, and (rows,) whether the check holds; bits of a row that fails mean nothing.
        """
        soft, good = self.receive_soft(symbols, noise)
        return (soft < 0).astype(np.uint8), good

    def receive_soft(self, symbols: np.ndarray, noise: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Like `receive`, with LLRs (rows, bits) instead of bits: where the check fails, the likeliest may be read."""
        received = Modulation(self.modulation).llr(symbols, noise)[:, : self.coded_bits]
        llr = np.empty_like(received)
        llr[:, self._order] = received
        holds = np.ones(len(llr), bool)
        if self.fec != "none":
            code = ldpc(self._padded, self.coded_bits)
            llr, holds = code.posterior(llr, iterations=self.iterations)
            holds &= (llr[:, self._information :] >= 0).all(axis=1)
        _, good = check_crc((llr[:, : self._information] < 0).astype(np.uint8), self.crc)
        return llr[:, : self.bits], good & holds
