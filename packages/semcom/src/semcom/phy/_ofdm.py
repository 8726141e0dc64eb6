"""Multipath with OFDM: 64 subcarriers, a cyclic prefix of 16, one-tap equaliser.

The power delay profile is exponential, or that of TDL-A or TDL-C (TR 38.901, tables 7.7.2-1 and 7.7.2-3) with its
delays rounded to samples; all taps are Rayleigh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from semcom.phy._definitions import MAX_VARIANCE

_TDL = {  # normalised delay, power in dB
    "tdl-a": (
        (0.0, -13.4), (0.3819, 0.0), (0.4025, -2.2), (0.5868, -4.0), (0.4610, -6.0), (0.5375, -8.2), (0.6708, -9.9),
        (0.5750, -10.5), (0.7618, -7.5), (1.5375, -15.9), (1.8978, -6.6), (2.2242, -16.7), (2.1718, -12.4),
        (2.4942, -15.2), (2.5119, -10.8), (3.0582, -11.3), (4.0810, -12.7), (4.4579, -16.2), (4.5695, -18.3),
        (4.7966, -18.9), (5.0066, -16.6), (5.3043, -19.9), (9.6586, -29.7),
    ),
    "tdl-c": (
        (0.0, -4.4), (0.2099, -1.2), (0.2219, -3.5), (0.2329, -5.2), (0.2176, -2.5), (0.6366, 0.0), (0.6448, -2.2),
        (0.6560, -3.9), (0.6584, -7.4), (0.7935, -7.1), (0.8213, -10.7), (0.9336, -11.1), (1.2285, -5.1),
        (1.3083, -6.8), (2.1704, -8.7), (2.7105, -13.2), (4.2589, -13.9), (4.6003, -13.9), (5.4902, -15.8),
        (5.6077, -17.1), (6.3065, -16.0), (6.6374, -15.7), (7.0427, -21.6), (8.6523, -22.8),
    ),
}  # fmt: skip
PROFILES = ("exponential", *_TDL)


def tdl_profile(name: str, spread: float) -> np.ndarray:
    """Mean power of each sample-spaced tap of a TDL model, sum 1.

    Args:
        spread: RMS delay spread in samples.
    """
    if name not in _TDL:
        raise InputError("TDL", got=repr(name), expected=f"one of {', '.join(_TDL)}")
    table = np.array(_TDL[name])
    places = np.round(table[:, 0] * spread).astype(int)
    powers = np.bincount(places, 10 ** (table[:, 1] / 10))
    return powers / powers.sum()


@dataclass(frozen=True)
class Multipath:
    """One channel impulse response a row, constant over it.

    Attributes:
        taps: length of the response in samples, at most the prefix + 1.
        decay: of the mean power, dB a tap.
        pilots: known OFDM symbols before the data; 0 where the receiver knows the channel.
        estimator: `ls`, or `lmmse` with the power delay profile known.
        kind: of `PROFILES`; `taps` and `decay` are those of the exponential one.
        spread: RMS delay spread of the others, in samples.
    """

    carriers: ClassVar[int] = 64
    prefix: ClassVar[int] = 16
    taps: int
    decay: float
    pilots: int
    estimator: str
    kind: str = "exponential"
    spread: float = 1.5

    @property
    def profile(self) -> np.ndarray:
        """Mean power of each tap, sum 1: (taps,)."""
        if self.kind != "exponential":
            return tdl_profile(self.kind, self.spread)
        powers = 10 ** (-self.decay * np.arange(self.taps) / 10)
        return powers / powers.sum()

    def overhead(self, count: int) -> int:
        """Symbols on the air in addition to the `count` data symbols of a row: filling, prefixes and pilots."""
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
        grid[:, : self.pilots] = pilot_symbol(size)
        grid[:, self.pilots :].reshape(rows, -1)[:, :count] = symbols
        response = self.responses(rows, generator)
        time = np.fft.ifft(grid, axis=2, norm="ortho")
        stream = np.concatenate([time[..., -self.prefix :], time], axis=2).reshape(rows, -1)
        received = np.zeros_like(stream)
        for tap in range(response.shape[1]):
            received[:, tap:] += response[:, tap : tap + 1] * stream[:, : stream.shape[1] - tap]
        noise = generator.standard_normal((*stream.shape, 2)) @ np.array([1, 1j])
        received += noise * np.sqrt(variance / 2)
        seen = received.reshape(rows, -1, size + self.prefix)[..., self.prefix :]
        carriers = np.fft.fft(seen, axis=2, norm="ortho")
        true = np.fft.fft(response, size, axis=1)
        weight, effective = self.equaliser(true, carriers[:, : self.pilots], variance, csi)
        data = carriers[:, self.pilots :] * weight[:, None]
        shape = (rows, data.shape[1], size)
        spread = np.broadcast_to(effective[:, None], shape).reshape(rows, -1)[:, :count]
        return data.reshape(rows, -1)[:, :count].astype(np.complex64), spread.astype(np.float32)

    def responses(self, rows: int, generator: np.random.Generator) -> np.ndarray:
        """Impulse responses (rows, taps) complex128."""
        profile = self.profile
        return generator.standard_normal((rows, len(profile), 2)) @ np.array([1, 1j]) * np.sqrt(profile / 2)

    def equaliser(
        self, true: np.ndarray, pilots: np.ndarray, variance: np.ndarray, csi: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """(MMSE weight, noise variance after it) of each subcarrier; arguments as in `known`."""
        gains, error = self.known(true, pilots, variance, csi)
        total, square = variance + error, np.abs(gains) ** 2
        weight = gains.conj() / np.maximum(square + total, 1e-30)
        return weight, np.minimum(total / np.maximum(square, 1e-30), MAX_VARIANCE)

    def known(
        self, true: np.ndarray, pilots: np.ndarray, variance: np.ndarray, csi: str
    ) -> tuple[np.ndarray, np.ndarray | float]:
        """(gain of each subcarrier (rows, carriers) as the receiver knows it, variance of its error)."""
        if csi == "perfect":
            return true, 0.0
        if csi == "none":
            return np.ones_like(true), 0.0
        observed = (pilots / pilot_symbol(self.carriers)).mean(axis=1)
        if self.estimator == "ls":
            return observed, variance / self.pilots
        basis = np.fft.fft(np.eye(len(self.profile)), self.carriers, axis=1)  # (taps, carriers)
        taps = observed @ basis.conj().T / self.carriers
        seen = self.profile + variance / (self.pilots * self.carriers)
        trust = self.profile / np.maximum(seen, 1e-300)  # delays between the taps of a TDL have no power
        return (trust * taps) @ basis, ((1 - trust) * self.profile).sum(axis=1, keepdims=True)


def pilot_symbol(size: int) -> np.ndarray:
    """A fixed QPSK pattern of unit power: (size,) complex128."""
    signs = 1 - 2 * np.random.Generator(np.random.PCG64(38211)).integers(0, 2, (2, size))
    return (signs[0] + 1j * signs[1]) / np.sqrt(2)
