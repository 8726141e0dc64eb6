"""SMU: the structured memory unit, a matrix of class prototypes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

CHUNK = 1_000_000  # distances held at once


@dataclass(frozen=True)
class Smu:
    """Prototypes and the class each belongs to. Never changed: `extended` makes a larger one with the same old rows.

    Attributes:
        prototypes: (P, k) float32.
        owner: (P,) class codes.
    """

    prototypes: np.ndarray
    owner: np.ndarray

    @classmethod
    def empty(cls, width: int) -> Smu:
        """No prototype yet, of `width` columns."""
        return cls(np.zeros((0, width), np.float32), np.zeros(0, np.int64))

    @classmethod
    def means(cls, keys: np.ndarray, support: Mapping[int, np.ndarray]) -> Smu:
        """One prototype a class: the mean of its rows of (n, k) keys."""
        made = np.stack([keys[rows].mean(axis=0) for rows in support.values()])
        return cls(made.astype(np.float32), np.array(list(support), np.int64))

    def extended(self, other: Smu) -> Smu:
        """With the prototypes of another below; the old ones keep every bit."""
        prototypes = np.concatenate([self.prototypes, other.prototypes])
        return Smu(prototypes, np.concatenate([self.owner, other.owner]))

    def without(self, codes: np.ndarray) -> Smu:
        """Without the prototypes of some classes."""
        kept = ~np.isin(self.owner, codes)
        return Smu(self.prototypes[kept], self.owner[kept])

    def closeness(self, keys: np.ndarray) -> np.ndarray:
        """(n, P), larger is closer: minus half the squared distance and half the key's squared length.

        The length is left out because it decides nothing between prototypes, and a pass over all keys costs.
        """
        close = keys @ self.prototypes.T
        close -= 0.5 * (self.prototypes**2).sum(axis=1)
        return close

    def blocks(self, count: int) -> Iterator[slice]:
        """Slices of `count` keys, so that no more than some millions of distances are held at once."""
        step = max(1, CHUNK // max(1, len(self.prototypes)))
        return (slice(start, start + step) for start in range(0, count, step))

    def nearest(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index of the closest prototype, Euclidean distance to it) of each of (n, k) keys."""
        place, far = np.empty(len(keys), np.int64), np.empty(len(keys), np.float32)
        for block in self.blocks(len(keys)):
            place[block] = self.closeness(keys[block]).argmax(axis=1)
            far[block] = np.linalg.norm(keys[block] - self.prototypes[place[block]], axis=1)
        return place, far


def unit(x: np.ndarray) -> np.ndarray:
    """Rows at length 1; rows of zeros stay."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
