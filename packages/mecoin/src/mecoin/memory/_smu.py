"""SMU: the structured memory unit, a matrix of class prototypes; and their making by k-means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

METRICS = ("whitened", "euclidean", "cosine")  # whitened: Euclidean, after the keys were whitened
CHUNK = 1_000_000  # distances held at once


@dataclass(frozen=True)
class Smu:
    """Prototypes and the class each belongs to. Never changed: `extended` makes a larger one with the same old rows.

    Attributes:
        prototypes: (P, k) float32.
        owner: (P,) class codes.
        metric: how far a key is from a prototype.
    """

    prototypes: np.ndarray
    owner: np.ndarray
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InputError("metric", got=repr(self.metric), expected=f"one of {', '.join(METRICS)}")
        if self.metric == "cosine":
            zero = np.flatnonzero(~self.prototypes.any(axis=1))
            if zero.size:
                raise InputError(
                    f"prototype of class {self.owner[zero[0]]}",
                    got="length zero",
                    expected="some direction, for metric='cosine'",
                    hint="its nodes have no features; use metric='euclidean'",
                )

    def extended(self, other: Smu) -> Smu:
        """With the prototypes of another below; the old ones keep every bit."""
        prototypes = np.concatenate([self.prototypes, other.prototypes])
        return Smu(prototypes, np.concatenate([self.owner, other.owner]), self.metric)

    def without(self, codes: np.ndarray) -> Smu:
        """Without the prototypes of some classes."""
        kept = ~np.isin(self.owner, codes)
        return Smu(self.prototypes[kept], self.owner[kept], self.metric)

    def closeness(self, keys: np.ndarray) -> np.ndarray:
        """(n, P), larger is closer: the cosine, or minus half the squared distance and half the key's squared length.

        The length is left out because it decides nothing between prototypes, and a pass over all keys costs.
        """
        if self.metric == "cosine":
            return unit(keys) @ unit(self.prototypes).T
        close = keys @ self.prototypes.T
        close -= 0.5 * (self.prototypes**2).sum(axis=1)
        return close

    @property
    def sharpness(self) -> float:
        """Factor of closeness in a softmax: 1 for distances, 16 (TEEN's) for cosines, which differ by 2 at most."""
        return 16.0 if self.metric == "cosine" else 1.0

    def blocks(self, count: int) -> Iterator[slice]:
        """Slices of `count` keys, so that no more than some millions of distances are held at once."""
        step = max(1, CHUNK // max(1, len(self.prototypes)))
        return (slice(start, start + step) for start in range(0, count, step))

    def nearest(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index of the closest prototype, Euclidean distance or 1 - cosine to it) of each of (n, k) keys."""
        place, far = np.empty(len(keys), np.int64), np.empty(len(keys), np.float32)
        for block in self.blocks(len(keys)):
            some = keys[block]
            close = self.closeness(some)
            place[block] = close.argmax(axis=1)
            if self.metric == "cosine":
                far[block] = 1 - close[np.arange(len(close)), place[block]]
            else:
                far[block] = np.linalg.norm(some - self.prototypes[place[block]], axis=1)
        return place, far


def unit(x: np.ndarray) -> np.ndarray:
    """Rows at length 1; rows of zeros stay."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def class_prototypes(keys: np.ndarray, per_class: int = 1, seed: int = 0) -> np.ndarray:
    """k-means centres of one class's keys (K, k), `per_class` of them or as many as there are distinct keys."""
    if per_class == 1:
        return keys.mean(axis=0, keepdims=True)
    from sklearn.cluster import KMeans

    count = min(per_class, len(np.unique(keys, axis=0)))
    means = KMeans(count, n_init=4, random_state=seed)  # pyright: ignore[reportArgumentType]
    return means.fit(keys).cluster_centers_.astype(np.float32)
