"""The best linear link: principal components with the power that the noise asks for, no network.

Lee and Petersen, Optimal linear coding for vector channels, IEEE Trans. Commun. 24(12), 1976. A control: a joint
source-channel coder that is not above it has learnt nothing beyond the covariance of pictures.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError
from semcom.baselines import powers
from semcom.links import Delivered, PictureLink, SymbolReport, checked_pictures
from semcom.phy import Received, noise_variance, reals_to_symbols, symbols_to_reals


class LinearLink(PictureLink):
    """Principal components of training pictures, each with its power, turned into reals of even power.

    A picture's power is one, so its scale is sent too: as the logarithm of its norm, in a few reals of its own, which
    count.

    Attributes:
        mean: (values,) of the training pictures in [0, 1].
        directions: (values, components), orthonormal.
        variances: (components,) of the training pictures along them, descending.
    """

    name: ClassVar[str] = "linear picture"
    source: ClassVar[str] = "Lee and Petersen 1976"

    def __init__(self, training: np.ndarray, symbols: int) -> None:
        """Args:
        training: (n, size, size, 3) uint8.
        symbols: complex symbols of a picture, at least 4.
        """
        if symbols < 4:
            raise InputError("symbols", got=symbols, expected="at least 4")
        self.count, self.size = 2 * symbols, training.shape[1]
        values = checked_pictures(training, self.size).reshape(len(training), -1).astype(np.float32) / 255
        self.mean = values.mean(axis=0)
        values -= self.mean
        covariance = values.T @ values / len(values)
        variances, directions = np.linalg.eigh(covariance.astype(np.float64))
        kept = min(self.count, len(values) - 1)
        self.variances = np.maximum(variances[::-1][:kept], 1e-12)
        self.directions = directions[:, ::-1][:, :kept].astype(np.float32)
        self._training = values @ self.directions
        self._designs: dict[float, _Design] = {}

    def of(self, symbols: int) -> LinearLink:
        """The same link with fewer symbols a picture."""
        if not 4 <= symbols <= self.count // 2:
            raise InputError("symbols", got=symbols, expected=f"4 to {self.count // 2}")
        other = copy(self)
        other.count, other._designs = 2 * symbols, {}
        other.variances, other.directions = self.variances[: other.count], self.directions[:, : other.count]
        other._training = self._training[:, : other.count]
        return other

    @property
    def report(self) -> SymbolReport:
        """Symbols of a picture."""
        return SymbolReport(0, 0, self.count // 2, source_values=3 * self.size**2)

    def send(self, images: np.ndarray, bits: np.ndarray, snr_db: float) -> np.ndarray:  # noqa: ARG002  (the interface's)
        """Symbols (n, symbols) of pictures."""
        design = self._design(snr_db)
        gains, turn = design.gains, design.turn()
        values = checked_pictures(images, self.size).reshape(len(images), -1).astype(np.float32) / 255 - self.mean
        weighted = (values @ self.directions[:, : len(gains)]) * gains
        scale = _scale(weighted, turn.shape[1])
        told = (np.log(scale) - design.middle) / design.deviation
        rows = np.concatenate([np.repeat(told, design.repeats, axis=1), weighted / scale @ turn], axis=1)
        rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))  # undone by `_Design.told`
        return reals_to_symbols(rows.astype(np.float32))

    def recover(self, received: Received, snr_db: float) -> Delivered:
        """Pictures of equalised symbols."""
        design = self._design(snr_db)
        gains, repeats = design.gains, design.repeats
        reals, noise = symbols_to_reals(received.unbiased), received.noise.mean(axis=1, keepdims=True)
        told, shrunk = design.told(reals[:, :repeats].mean(axis=1, keepdims=True) / (1 + noise / repeats))
        scale = np.exp(told * design.deviation + design.middle) / shrunk
        square = self.variances[: len(gains)] * gains**2
        weighted = (reals[:, repeats:] @ design.turn().T) * scale * square / (square + noise)
        values = (weighted / gains) @ self.directions[:, : len(gains)].T + self.mean
        pixels = (np.clip(np.nan_to_num(values), 0, 1) * 255).round().astype(np.uint8)
        images = pixels.reshape(len(pixels), self.size, self.size, 3)
        return Delivered(images, np.zeros((len(images), 0), np.uint8), np.ones(len(images), bool))

    def _design(self, snr_db: float) -> _Design:
        """The design of least expected error over how many reals tell the scale."""
        variance = float(np.clip(noise_variance(snr_db), 1e-3, 1e3))
        key = round(variance, 9)
        if key not in self._designs:
            tries = [self._with_repeats(2**power, variance) for power in range(int(np.log2(self.count)))]
            self._designs[key] = min(tries, key=lambda one: one.error)
        return self._designs[key]

    def _with_repeats(self, repeats: int, variance: float) -> _Design:
        width = self.count - repeats
        known = self.variances[:width]
        spread = powers(known, float(width), variance)
        used = int((spread > 0).sum())
        gains = np.sqrt(spread[:used] / known[:used])
        logs = np.log(_scale(self._training[:, :used] * gains, width))
        middle, deviation = float(logs.mean()), float(max(logs.std(), 1e-6))
        lost = (known * variance / (spread + variance)).sum() + self.variances[width:].sum()
        unsure = deviation**2 * (variance / repeats) / (1 + variance / repeats)  # of the log scale, once shrunk
        return _Design(gains, width, middle, deviation, repeats, float(lost + unsure * (self.variances.sum() - lost)))


@dataclass(frozen=True)
class _Design:
    """What both sides do at an SNR.

    Attributes:
        gains: (components that are sent,).
        width: reals into which they are turned.
        middle, deviation: of the logarithm of a picture's scale.
        repeats: reals that tell the scale.
        error: expected squared error of a picture.
    """

    gains: np.ndarray
    width: int
    middle: float
    deviation: float
    repeats: int
    error: float

    def told(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What was given before the row was brought to unit power, and the factor that did it, from what is seen."""
        count = self.repeats + self.width
        square = np.minimum(seen**2, 0.9 * count / self.repeats)
        square = square * self.width / (count - self.repeats * square)
        factor = np.sqrt(count / (self.repeats * square + self.width))
        return np.clip(np.sign(seen) * np.sqrt(square), -4, 4), factor

    def turn(self) -> np.ndarray:
        """(components, width) orthonormal rows that spread the power evenly over the reals."""
        return np.linalg.qr(np.random.default_rng(0).normal(size=(self.width, self.width)))[0][: len(self.gains)]


def _scale(weighted: np.ndarray, count: int) -> np.ndarray:
    """Root of the mean square over `count` reals of each row: (rows, 1)."""
    return np.sqrt(np.maximum((weighted**2).sum(axis=1, keepdims=True) / count, 1e-12))
