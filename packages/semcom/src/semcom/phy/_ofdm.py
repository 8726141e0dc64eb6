"""Multipath with OFDM: 64 subcarriers, a cyclic prefix of 16, exponential power delay profile, one-tap equaliser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from semcom.phy._definitions import MAX_VARIANCE


@dataclass(frozen=True)
class Multipath:
    """One channel impulse response a row, constant over it.

    Attributes:
        taps: length of the response in samples, at most the prefix + 1.
        decay: of the mean power, dB a tap.
        pilots: known OFDM symbols before the data; 0 where the receiver knows the channel.
        estimator: `ls`, or `lmmse` with the power delay profile known.
    """

    carriers: ClassVar[int] = 64
    prefix: ClassVar[int] = 16
    taps: int
    decay: float
    pilots: int
    estimator: str

    @property
    def profile(self) -> np.ndarray:
        """Mean power of each tap, sum 1: (taps,)."""
        powers = 10 ** (-self.decay * np.arange(self.taps) / 10)
        return powers / powers.sum()

    def overhead(self, count: int) -> int:
        """Symbols on the air beside the `count` data symbols of a row: filling, prefixes and pilots."""
        blocks = -(-count // self.carriers)
        return (blocks + self.pilots) * (self.carriers + self.prefix) - count

    def apply(
        self, symbols: np.ndarray, variance: np.ndarray, csi: str, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Modulate, convolve, add noise, demodulate and equalise.

        Args:
            symbols: (rows, n) complex64.
            variance: (rows, 1) noise variance of a symbol.
            csi: `perfect`, `pilot` or `none`.
        Returns: MMSE estimates (rows, n) complex64, and effective noise variance (rows, n) float32.
        """
        rows, count = symbols.shape
        size = self.carriers
        grid = np.zeros((rows, self.pilots + -(-count // size), size), np.complex128)
        grid[:, : self.pilots] = _pilot_symbol(size)
        grid[:, self.pilots :].reshape(rows, -1)[:, :count] = symbols
        response = generator.standard_normal((rows, self.taps, 2)) @ np.array([1, 1j]) * np.sqrt(self.profile / 2)
        time = np.fft.ifft(grid, axis=2, norm="ortho")
        stream = np.concatenate([time[..., -self.prefix :], time], axis=2).reshape(rows, -1)
        received = np.zeros_like(stream)
        for tap in range(self.taps):
            received[:, tap:] += response[:, tap : tap + 1] * stream[:, : stream.shape[1] - tap]
        noise = generator.standard_normal((*stream.shape, 2)) @ np.array([1, 1j])
        received += noise * np.sqrt(variance / 2)
        seen = received.reshape(rows, -1, size + self.prefix)[..., self.prefix :]
        carriers = np.fft.fft(seen, axis=2, norm="ortho")
        true = np.fft.fft(response, size, axis=1)
        gains, error = self._known(true, carriers[:, : self.pilots], variance, csi)
        total = variance + error
        square = np.abs(gains) ** 2
        effective = np.minimum(total / np.maximum(square, 1e-30), MAX_VARIANCE)
        data = carriers[:, self.pilots :] * (gains.conj() / np.maximum(square + total, 1e-30))[:, None]
        shape = (rows, data.shape[1], size)
        spread = np.broadcast_to(effective[:, None], shape).reshape(rows, -1)[:, :count]
        return data.reshape(rows, -1)[:, :count].astype(np.complex64), spread.astype(np.float32)

    def _known(
        self, true: np.ndarray, pilots: np.ndarray, variance: np.ndarray, csi: str
    ) -> tuple[np.ndarray, np.ndarray | float]:
        """(gain of each subcarrier (rows, carriers) as the receiver knows it, variance of its error)."""
        if csi == "perfect":
            return true, 0.0
        if csi == "none":
            return np.ones_like(true), 0.0
        observed = (pilots / _pilot_symbol(self.carriers)).mean(axis=1)
        if self.estimator == "ls":
            return observed, variance / self.pilots
        basis = np.fft.fft(np.eye(self.taps), self.carriers, axis=1)  # (taps, carriers)
        taps = observed @ basis.conj().T / self.carriers
        trust = self.profile / (self.profile + variance / (self.pilots * self.carriers))
        return (trust * taps) @ basis, ((1 - trust) * self.profile).sum(axis=1, keepdims=True)


def _pilot_symbol(size: int) -> np.ndarray:
    """A fixed QPSK pattern of unit power: (size,) complex128."""
    signs = 1 - 2 * np.random.Generator(np.random.PCG64(38211)).integers(0, 2, (2, size))
    return (signs[0] + 1j * signs[1]) / np.sqrt(2)
