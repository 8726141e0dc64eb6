"""New prototypes refined with the unlabelled nodes of the session's graph; ours, part of `mecoin+`.

Five nodes estimate a mean in 128 dimensions badly. The graph of the session has many more nodes of the new classes,
unlabelled: an expectation-maximisation with old prototypes fixed moves the new ones towards those that are theirs.
No label is used but the support's.

A node takes part where it is nearly certain alone: where classes overlap, many nodes that are a little of a new class
and mostly of old ones would outweigh five that are of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ninefold_graphs import softmax

from mecoin.memory._smu import Smu

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
