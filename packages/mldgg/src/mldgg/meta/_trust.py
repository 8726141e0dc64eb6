"""Whether a target's own labels speak against the sources: each label is left out in turn, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from ninefold_graphs import Ridge, centred_update, left_out, one_hot

from mldgg.meta._search import CHANGES

DOUBT = 0.01  # chance, were both heads alike, below which the sources are not believed


@dataclass(frozen=True)
class Trust:
    """How the sources' weights did on the target's labels beside the labels alone.

    Attributes:
        weights: (d, C) of the head that is believed.
        believed: whether that is the ridge around the sources' weights.
        against, for_: left-out labels that only the labels alone get right, that only the sources' head gets right.
        chance: of so many against or more, were both heads alike (sign test).
    """

    weights: np.ndarray
    believed: bool
    against: int = 0
    for_: int = 0
    chance: float = 1.0


def judged(rows: np.ndarray, y: np.ndarray, ridge: Ridge) -> Trust:
    """The head for a target, given the support's (n, d) rows and (n,) labels.

    The sources are believed unless a sign test over left-out labels says, at p < .01, that the labels alone do better:
    where a column means the opposite of what it meant in the sources, no small change of their weights helps.
    """
    weights = ridge.update(rows, y)
    classes = weights.shape[1]
    if len(y) <= classes or not ridge.weights.any():
        return Trust(weights, True)
    truth = one_hot(y, classes)
    residual = truth - rows @ ridge.weights
    with_sources = (truth - left_out(rows, residual, ridge.strength_at(len(y) / classes))).argmax(axis=1) == y
    share = truth.mean(axis=0)
    misses = {strength: left_out(rows, truth - share, strength) for strength in CHANGES}
    strength = min(misses, key=lambda one: float((misses[one] ** 2).sum()))
    alone = (truth - misses[strength]).argmax(axis=1) == y
    against, for_ = int((alone & ~with_sources).sum()), int((with_sources & ~alone).sum())
    chance = sum(comb(against + for_, k) for k in range(against, against + for_ + 1)) / 2 ** (against + for_)
    if chance >= DOUBT:
        return Trust(weights, True, against, for_, chance)
    own = centred_update(rows, truth - share, strength)
    own[-1] += share  # the last column is a constant
    return Trust(own.astype(np.float32), False, against, for_, chance)
