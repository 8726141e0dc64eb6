"""Gray BPSK to 256-QAM as in TS 38.211, section 5.1 (BPSK on the real axis), with exact LLRs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

_BITS = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
MODULATIONS = tuple(_BITS)
LLR_LIMIT = 1e4  # what a certain bit is worth; keeps the decoder's float32 finite


@functools.cache
def _axis(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(levels, labels) of one real axis with `bits` bits: amplitudes (2^bits,) and their bits (2^bits, bits)."""
    labels = (np.arange(2**bits)[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    signs = 1 - 2 * labels
    levels = np.ones(2**bits)
    for place in range(bits - 1, 0, -1):
        levels = 2 ** (bits - place) - signs[:, place] * levels
    return signs[:, 0] * levels, labels.astype(np.uint8)


@dataclass(frozen=True)
class Modulation:
    """A constellation of unit mean power.

    Attributes:
        name: one of `MODULATIONS`.

    Examples:
        >>> import numpy as np
        >>> from semcom import Modulation

        >>> qam = Modulation("16qam")
        >>> bits = np.array([[0, 0, 0, 0, 1, 1, 1, 1]])
        >>> symbols = qam.modulate(bits)
        >>> symbols.round(3)
        array([[ 0.316+0.316j, -0.949-0.949j]], dtype=complex64)
        >>> (qam.llr(symbols, noise=0.1) < 0).astype(int)  # a negative log-likelihood ratio is a 1
        array([[0, 0, 0, 0, 1, 1, 1, 1]])
    """

    name: str = "qpsk"

    def __post_init__(self) -> None:
        if self.name not in _BITS:
            raise InputError("modulation", got=repr(self.name), expected=f"one of {', '.join(_BITS)}")

    @property
    def bits(self) -> int:
        """Bits of a symbol."""
        return _BITS[self.name]

    @property
    def _scale(self) -> float:
        return 1.0 if self.bits == 1 else math.sqrt(1.5 / (2**self.bits - 1))

    def modulate(self, bits: np.ndarray) -> np.ndarray:
        """(rows, n) of 0 and 1 -> (rows, ceil(n / bits)) complex64; the last symbol is filled up with zero bits."""
        bits = np.asarray(bits)
        if bits.ndim != 2:
            raise InputError("bits", got=f"shape {bits.shape}", expected="(rows, n)")
        if not ((bits == 0) | (bits == 1)).all():
            raise InputError("bits", got="other numbers", expected="0 or 1")
        bits = np.pad(bits.astype(np.uint8), ((0, 0), (0, -bits.shape[1] % self.bits)))
        if self.bits == 1:
            return (1.0 - 2.0 * bits).astype(np.complex64)
        half = self.bits // 2
        weights = 1 << np.arange(half - 1, -1, -1)
        groups = bits.reshape(len(bits), -1, half, 2)  # even places are the real axis
        levels = (_axis(half)[0] * self._scale).astype(np.float32)
        symbols = np.empty(groups.shape[:2], np.complex64)
        symbols.real, symbols.imag = levels[groups[..., 0] @ weights], levels[groups[..., 1] @ weights]
        return symbols

    def llr(self, symbols: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
        """log P(bit 0) / P(bit 1) of each bit.

        Args:
            symbols: (rows, n) complex, equalised without bias.
            noise: complex noise variance of each symbol, broadcast to (rows, n).
        Returns: (rows, n * bits) float32, within plus and minus `LLR_LIMIT`.
        """
        symbols = np.asarray(symbols)
        variance = np.maximum(np.broadcast_to(np.asarray(noise, np.float64), symbols.shape), 1e-12)
        if self.bits <= 2:
            gain = (4 if self.bits == 1 else 2 * math.sqrt(2)) / variance
            parts = [np.real(symbols) * gain] if self.bits == 1 else [np.real(symbols) * gain, np.imag(symbols) * gain]
            llr = np.stack(parts, axis=-1)
        else:
            axes = (np.real(symbols), np.imag(symbols))
            llr = np.stack([self._axis_llr(axis, variance) for axis in axes], axis=-1)
        llr = llr.reshape(len(symbols), symbols.shape[1] * self.bits)
        return np.clip(llr, -LLR_LIMIT, LLR_LIMIT).astype(np.float32)

    def _axis_llr(self, axis: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """(rows, n) of one axis -> (rows, n, bits / 2)."""
        levels, labels = _axis(self.bits // 2)
        metric = -((axis[..., None] - levels * self._scale) ** 2) / variance[..., None]
        parts = []
        for place in range(labels.shape[1]):
            zero, one = metric[..., labels[:, place] == 0], metric[..., labels[:, place] == 1]
            parts.append(_log_sum(zero) - _log_sum(one))
        return np.stack(parts, axis=-1)

    def symbols_for(self, bits: int) -> int:
        """Symbols that `bits` bits take."""
        return -(-bits // self.bits)


def _log_sum(metric: np.ndarray) -> np.ndarray:
    best = metric.max(axis=-1, keepdims=True)
    return np.log(np.exp(metric - best).sum(axis=-1)) + best[..., 0]


def hard_bits(llr: np.ndarray) -> np.ndarray:
    """Decisions on LLRs, uint8."""
    return (np.asarray(llr) < 0).astype(np.uint8)
