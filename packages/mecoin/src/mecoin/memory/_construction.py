"""Keys of nodes, whitened or scaled: learnt in the base session, then fixed. The publication's: `mecoin.paper`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from ninefold_graphs import whitening

from mecoin.memory._smu import unit


class Construction(ABC):
    """Encoder output (n, m) -> keys (n, k)."""

    @abstractmethod
    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:
        """Learn from the base classes: support gives each class's rows of z."""

    @abstractmethod
    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, k) float32."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What it learnt: constant, whatever the number of classes."""

    @abstractmethod
    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""


class Whitened(Construction):
    """Keys are z of unit length in the space where base classes are round. Ours.

    Args:
        shrinkage: of the covariance.
        parts: numbers of columns that have unit length each, such as those of two encoders side by side.
    """

    def __init__(self, shrinkage: float = 0.1, parts: Sequence[int] = ()) -> None:
        self.shrinkage, self.parts = shrinkage, tuple(parts)

    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:  # noqa: ARG002
        """The pooled within-class covariance of the base classes' labelled nodes."""
        self.transform = whitening(self.directions(z), support, self.shrinkage)

    def directions(self, z: np.ndarray) -> np.ndarray:
        """(n, m) with each part at unit length."""
        if len(self.parts) < 2:
            return unit(z)
        ends = np.cumsum(self.parts)
        return np.concatenate([unit(z[:, end - size : end]) for size, end in zip(self.parts, ends, strict=True)], 1)

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, m)."""
        return self.directions(z) @ self.transform

    def arrays(self) -> dict[str, np.ndarray]:
        """The whitening matrix, and the parts."""
        return {"transform": self.transform, "parts": np.array(self.parts, np.int64)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave; files of version 0.1.0 have one part."""
        parts = tuple(map(int, arrays.get("parts", ())))
        if parts and sum(parts) != len(arrays["transform"]):
            raise ValueError(f"parts of {parts} columns, where {len(arrays['transform'])} are whitened")
        self.transform, self.parts = arrays["transform"], parts


class Scaled(Construction):
    """Keys are z as it is, magnitude and all, at a scale at which base classes have a mean variance of 1. Ours."""

    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:  # noqa: ARG002
        """The mean variance within base classes."""
        residuals = np.concatenate([z[rows] - z[rows].mean(axis=0) for rows in support.values()])
        self.scale = np.float32(1 / max(float(np.sqrt(np.mean(residuals**2))), 1e-12))

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, m)."""
        return z * self.scale

    def arrays(self) -> dict[str, np.ndarray]:
        """The scale."""
        return {"scale": np.array([self.scale], np.float32)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.scale = arrays["scale"][0]
