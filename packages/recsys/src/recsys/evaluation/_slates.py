"""Whole lists: their value under another policy from logged ones, and two list makers compared in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from scipy.stats import binomtest

from recsys.evaluation._propensity import Estimate, estimate

BY = ("cascade", "independent", "pseudo-inverse")


def slate_value(
    reward: np.ndarray, target: np.ndarray, logged: np.ndarray, *, by: str = "cascade",
    predicted: np.ndarray | None = None, expected: np.ndarray | None = None,
) -> Estimate:  # fmt: skip
    """Mean reward of a list under a target policy, from lists that another policy drew position by position.

    Args:
        reward: of each position of each logged list, (n, k), first position first.
        target, logged: probability of the shown item at its position, given those before it, (n, k); `logged` positive.
        by: what a reward depends on. "cascade": on its item and those before it (McInerney et al. 2020), weighed by the
            product of the ratios so far; "independent": on its item alone, weighed by its own ratio; "pseudo-inverse":
            the whole list's reward is a sum of parts of the single positions, which are drawn independently
            (Swaminathan et al. 2017), weighed by 1 + sum of (ratio - 1).
        predicted, expected: for "cascade", a model's reward of this and all later positions, given the shown item, and
            its mean over the target policy's items there, (n, k): doubly robust (Kiyohara et al. 2022).

    Examples:
        >>> import numpy as np
        >>> import recsys

        >>> n, draw = 4_000, np.random.default_rng(0)
        >>> shown = draw.integers(0, 2, (n, 2))  # lists of two positions, each one of two offers at random
        >>> reward = (draw.random((n, 2)) < np.where(shown == 1, 0.3, 0.1)).astype(float)
        >>> logged, target = np.full((n, 2), 0.5), np.where(shown == 1, 0.8, 0.2)

        >>> for by in ("cascade", "independent", "pseudo-inverse"):  # the truth is 2 (.8 x .3 + .2 x .1) = .52
        ...     found = recsys.evaluation.slate_value(reward, target, logged, by=by)
        ...     print(by, round(found.mean, 2), round(found.high - found.low, 2))
        cascade 0.52 0.06
        independent 0.52 0.05
        pseudo-inverse 0.52 0.06
    """
    arrays = {"reward": reward, "target": target, "logged": logged}
    arrays |= {name: one for name, one in (("predicted", predicted), ("expected", expected)) if one is not None}
    shape = np.shape(reward)
    for name, array in arrays.items():
        if len(shape) != 2 or np.shape(array) != shape or shape[0] < 2 or not np.isfinite(array).all():
            raise InputError(name, got=f"shape {np.shape(array)}, or not finite", expected="(lists, positions), finite")
    if (logged <= 0).any() or (logged > 1).any() or (target < 0).any() or (target > 1).any():
        raise InputError("logged, target", got="outside (0, 1]", expected="probabilities, the logged ones positive")
    if by not in BY:
        raise InputError("by", got=repr(by), expected=f"one of {BY}")
    if (predicted is None) != (expected is None) or (predicted is not None and by != "cascade"):
        raise InputError("predicted, expected", got="one alone, or not by cascade", expected="both, by cascade")
    ratio = np.asarray(target, np.float64) / logged
    if by == "independent":
        values, weight = (ratio * reward).sum(axis=1), ratio.mean(axis=1)
    elif by == "pseudo-inverse":
        weight = 1 + (ratio - 1).sum(axis=1)
        values = weight * reward.sum(axis=1)
    else:
        weight, values = ratio.prod(axis=1), np.zeros(shape[0])
        for place in reversed(range(shape[1])):
            guess = 0.0 if predicted is None else predicted[:, place]
            mean = 0.0 if expected is None else expected[:, place]
            values = mean + ratio[:, place] * (reward[:, place] + values - guess)
    return estimate(float(values.mean()), (values - values.mean()) / len(values), np.abs(weight))


def interleave(first: Sequence[Any], second: Sequence[Any], k: int = 10, *, seed: int = 0) -> list[tuple[Any, int]]:
    """One list of two, by team draft (Radlinski et al. 2008): in each round a coin says who picks first, each picks its
    best item that is not in the list yet.

    Args:
        first, second: items of the two lists, best first.
        k: length.
        seed: of the coins; another one for each session.
    Returns: (item, 0 or 1: whose pick it was), best first.

    Examples:
        >>> import recsys

        >>> recsys.evaluation.interleave(["tea", "pot", "mug"], ["mug", "tea", "mill"], k=3, seed=1)
        [('tea', 0), ('mug', 1), ('mill', 1)]
    """
    if k < 1 or len(set(first)) < len(first) or len(set(second)) < len(second):
        raise InputError(
            "first, second, k", got="an item twice, or no length", expected="distinct items, k of 1 or more"
        )
    draw, lists, places = np.random.default_rng(seed), (first, second), [0, 0]
    found: dict[Any, int] = {}
    while len(found) < k:
        before, start = len(found), int(draw.integers(2))
        for team in (start, 1 - start):
            while places[team] < len(lists[team]) and lists[team][places[team]] in found:
                places[team] += 1
            if places[team] < len(lists[team]) and len(found) < k:
                found[lists[team][places[team]]] = team
        if len(found) == before:
            break
    return list(found.items())


@dataclass(frozen=True)
class Preference:
    """How often the first of two list makers won, among the sessions that one of them won, with its 95 % interval and
    the p of a two-sided sign test."""

    share: float
    low: float
    high: float
    p: float
    sessions: int


def prefer(first: np.ndarray, second: np.ndarray) -> Preference:
    """Which of two list makers users prefer, from clicks on interleaved lists.

    Args:
        first, second: clicks on the picks of each in every session, (sessions,); of equal ones nothing is said.

    Examples:
        >>> import numpy as np
        >>> import recsys

        >>> found = recsys.evaluation.prefer(np.array([1] * 60 + [0] * 40), np.array([0] * 60 + [1] * 30 + [0] * 10))
        >>> round(found.share, 2), round(found.low, 2), round(found.high, 2), found.p < 0.05, found.sessions
        (0.67, 0.56, 0.76, True, 90)
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != 1 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("first, second", got=f"{first.shape}, {second.shape}", expected="clicks of the same sessions")
    wins, losses = int((first > second).sum()), int((first < second).sum())
    if not wins + losses:
        raise InputError("first, second", got="no session that one of them won", expected="more sessions")
    found = binomtest(wins, wins + losses)
    reach = found.proportion_ci(method="wilson")
    return Preference(wins / (wins + losses), float(reach.low), float(reach.high), float(found.pvalue), wins + losses)
