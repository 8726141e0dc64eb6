"""SMU, the structured memory unit, a matrix of class prototypes; and how `mecoin+` refines new ones (ours).

Five nodes estimate a mean in 128 dimensions badly. The graph of the session has many more nodes of the new classes,
unlabelled: an expectation-maximisation with old prototypes fixed moves the new ones towards those that are theirs.
No label is used but the support's. A node takes part where it is nearly certain alone: where classes overlap, many
nodes that are a little of a new class and mostly of old ones would outweigh five that are of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ninefold_graphs import softmax

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
        """Slices of `count` keys, so that no more than some millions of distances are in memory at once."""
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


CERTAIN = 0.9


def refine(memory: Smu, new: Smu, keys: np.ndarray, support: Sequence[np.ndarray], rounds: int = 3) -> Smu:
    """Prototypes of `new` (one for each entry of support) moved towards unlabelled nodes that are closest to them.

    Args:
        memory: old prototypes, not changed.
        new: prototypes to refine.
        keys: (n, k) of all nodes of the graph.
        support: for each new prototype the rows of keys that it was made of; they weigh 1 each for it alone.
        rounds: of expectation and maximisation.
    Returns: the new ones, moved.
    """
    moved, old = new, len(memory.prototypes)
    best = np.empty(len(keys), np.float32)  # closeness to the nearest old prototype, which stays
    for block in memory.blocks(len(keys)):
        best[block] = memory.closeness(keys[block]).max(axis=1, initial=-np.inf)
    best[np.concatenate(support)] = np.inf  # labelled nodes have their weight already
    sums = np.stack([keys[rows].sum(axis=0) for rows in support])
    counts = np.array([len(rows) for rows in support], np.float32)
    for _ in range(rounds):
        every = memory.extended(moved)
        weighted, weights = sums.copy(), counts.copy()
        for block in every.blocks(len(keys)):
            closer = moved.closeness(keys[block]).max(axis=1) > best[block]  # the others' share is half at most
            part = keys[block][closer]
            shares = softmax(every.closeness(part))[:, old:]
            shares[shares < CERTAIN] = 0
            weighted += shares.T @ part
            weights += shares.sum(axis=0)
        moved = Smu((weighted / weights[:, None]).astype(np.float32), new.owner)
    return moved
