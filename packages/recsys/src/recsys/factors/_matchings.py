"""Stochastic gradient steps many at a time, yet each as if alone: ratings that share no user and no item."""

from __future__ import annotations

import numpy as np


def matchings(user: np.ndarray, item: np.ndarray, seed: int) -> list[np.ndarray]:
    """Events in groups, in each of which no user and no item occurs twice: an edge colouring, greedy.

    Updating a group at once equals updating its events one after the other, so that epochs over the groups are plain
    SGD in one particular order, with array operations (Gemulla et al., KDD 2011, use the same independence).

    Args:
        user, item: codes (n,).
        seed: of the order in which events choose their group.
    Returns: positions of events, one array a group.
    """
    order = np.random.default_rng(seed).permutation(len(user))
    taken_by_user, taken_by_item = [0] * (int(user.max()) + 1), [0] * (int(item.max()) + 1)
    group = np.empty(len(user), np.int64)
    for event, who, what in zip(order.tolist(), user[order].tolist(), item[order].tolist(), strict=True):
        taken = taken_by_user[who] | taken_by_item[what]
        free = ~taken & (taken + 1)  # lowest bit that is 0
        taken_by_user[who] |= free
        taken_by_item[what] |= free
        group[event] = free.bit_length() - 1
    by_group = np.argsort(group, kind="stable")
    return np.split(by_group, np.cumsum(np.bincount(group))[:-1])
