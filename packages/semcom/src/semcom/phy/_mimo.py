"""Two antennas on each side, flat fading, linear detection: y = H x / sqrt(2) + w for two symbols at a time.

The symbols of a row are sent in pairs, one from each antenna, with unit power in all; w has the noise variance of the
SNR at each receiving antenna, and entries of H are CN(0, 1). Pilots are sent from one antenna after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semcom.phy._definitions import MAX_VARIANCE, complex_noise, estimate_gain

DETECTORS = ("lmmse", "zf")


@dataclass(frozen=True)
class Mimo:
    """What receiver and channel are.

    Attributes:
        shared: channel uses that share a matrix.
        csi, pilots, estimator: see `Channel`.
        detector: of `DETECTORS`.
    """

    shared: int
    csi: str
    pilots: int
    estimator: str
    detector: str

    def pilots_of(self, count: int) -> int:
        """Pilot symbols of a row of `count` symbols: `pilots` from each antenna for each matrix."""
        uses = -(-count // 2)
        return 2 * self.pilots * -(-uses // self.shared)

    def draw(self, shape: tuple[int, ...], variance: np.ndarray, generator: np.random.Generator) -> MimoDraw:
        """One draw for rows of symbols.

        Args:
            shape: (rows, symbols).
            variance: (rows, 1) noise variance.
        """
        rows, uses = shape[0], -(-shape[1] // 2)
        blocks = -(-uses // self.shared)
        true = complex_noise((rows, 4 * blocks), generator)
        noise = complex_noise((rows, 2 * uses), generator) * np.sqrt(variance)
        known, error = true, np.zeros(true.shape, np.float32)
        if self.csi == "pilot":
            observed = complex_noise(true.shape, generator) * np.sqrt(variance / self.pilots) + true
            known, error = estimate_gain(observed, variance, self.pilots, self.estimator)
        elif self.csi == "none":
            known = np.broadcast_to(np.tile(np.eye(2, dtype=np.complex64).ravel(), blocks), true.shape)
        matrices, seen = (one.reshape(rows, blocks, 2, 2) * np.float32(np.sqrt(0.5)) for one in (true, known))
        seen = seen.astype(np.complex128)
        total = np.maximum(variance[:, :, None] + error.reshape(rows, blocks, 4).mean(axis=2, keepdims=True), 1e-12)
        adjoint = seen.conj().swapaxes(2, 3)
        gram = adjoint @ seen
        eye = np.eye(2)
        if self.detector == "lmmse":
            weights = np.linalg.solve(gram + total[..., None] * eye, adjoint)
            trust = np.clip(np.real(np.einsum("rbij,rbji->rbi", weights, seen)), 1 / (1 + MAX_VARIANCE), 1 - 1e-9)
            effective = (1 - trust) / trust
        else:
            inverse = np.linalg.inv(gram + 1e-12 * eye)
            effective = np.minimum(total * np.real(np.einsum("rbii->rbi", inverse)), MAX_VARIANCE)
            weights = inverse @ adjoint / (1 + effective)[..., None]
        at_antennas = noise.reshape(rows, uses, 2)
        return MimoDraw(matrices, at_antennas, weights.astype(np.complex64), effective.astype(np.float32), self.shared)


@dataclass(frozen=True)
class MimoDraw:
    """One draw of the channel, and the detector that the receiver makes of what it knows.

    Attributes:
        matrices: (rows, blocks, 2, 2) complex64, H / sqrt(2).
        noise: (rows, uses, 2) complex64 at the antennas.
        weights: (rows, blocks, 2, 2) complex64; applied to y they give MMSE estimates.
        effective: (rows, blocks, 2) float32 noise variance of the unbiased symbols.
        shared: channel uses of a block.
    """

    matrices: np.ndarray
    noise: np.ndarray
    weights: np.ndarray
    effective: np.ndarray
    shared: int

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(rows, blocks, ...) of each block -> (rows, uses, ...)."""
        return np.repeat(values, self.shared, axis=1)[:, : self.noise.shape[1]]

    def detected(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """MMSE estimates (rows, n) complex64 and effective noise (rows, n) float32 of symbols (rows, n)."""
        rows, count = symbols.shape
        pairs = np.pad(symbols, ((0, 0), (0, count % 2))).reshape(rows, -1, 2, 1)
        received = self.spread(self.matrices) @ pairs + self.noise[..., None]
        estimate = (self.spread(self.weights) @ received)[..., 0].reshape(rows, -1)[:, :count]
        return estimate.astype(np.complex64), self.spread(self.effective).reshape(rows, -1)[:, :count]
