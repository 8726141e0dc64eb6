"""Whole lists: their value under another policy from logged ones, and two list makers compared in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from recsys.evaluation._propensity import Estimate, as_numbers, estimate, need_probabilities
from recsys.recommender._query import check_length

BY = ("cascade", "independent", "pseudo-inverse")


def slate_value(
    reward: ArrayLike, target: ArrayLike, logged: ArrayLike, *, by: str = "cascade",
    predicted: ArrayLike | None = None, expected: ArrayLike | None = None,
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
    if by not in BY:
        raise InputError("by", got=repr(by), expected=f"one of {BY}")
    if (predicted is None) != (expected is None) or (predicted is not None and by != "cascade"):
        raise InputError("predicted, expected", got="one alone, or not by cascade", expected="both, by cascade")
    given = {"reward": reward, "target": target, "logged": logged, "predicted": predicted, "expected": expected}
    arrays = {name: as_numbers(name, one, 2) for name, one in given.items() if one is not None}
    reward, target, logged = arrays["reward"], arrays["target"], arrays["logged"]
    shape = reward.shape
    for name, array in arrays.items():
        if array.shape != shape or shape[0] < 2:
            raise InputError(name, got=f"shape {array.shape}", expected="(lists, positions), 2 lists or more")
    need_probabilities(target, logged)
    ratio = target / logged
    if by == "independent":
        values, weight = (ratio * reward).sum(axis=1), ratio.mean(axis=1)
    elif by == "pseudo-inverse":
        weight = 1 + (ratio - 1).sum(axis=1)
        values = weight * reward.sum(axis=1)
    else:
        weight, values = ratio.prod(axis=1), np.zeros(shape[0])
        for place in reversed(range(shape[1])):
            guess = arrays["predicted"][:, place] if "predicted" in arrays else 0.0
            mean = arrays["expected"][:, place] if "expected" in arrays else 0.0
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
    k, first, second = check_length(k), _items("first", first), _items("second", second)
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


def _items(name: str, items: Any) -> list[Any]:
    """Items of a list, an array or a column; InputError unless they are distinct."""
    expected = "a list of distinct items"
    if isinstance(items, (str, bytes)):
        raise InputError(name, got=repr(items), expected=expected)
    try:
        found = items.to_pylist() if hasattr(items, "to_pylist") else list(items)
        distinct = len(set(found))
    except TypeError as error:
        raise InputError(name, got=str(error), expected=expected) from None
    if distinct < len(found):
        raise InputError(name, got="an item twice", expected=expected)
    return found


@dataclass(frozen=True)
class Preference:
    """How often the first of two list makers won, among the sessions that one of them won, with its 95 % interval and
    the p of a two-sided sign test."""

    share: float
    low: float
    high: float
    p: float
    sessions: int


def prefer(first: ArrayLike, second: ArrayLike) -> Preference:
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
    first, second = as_numbers("first", first), as_numbers("second", second)
    if first.shape != second.shape:
        raise InputError("first, second", got=f"{first.shape}, {second.shape}", expected="clicks of the same sessions")
    wins, losses = int((first > second).sum()), int((first < second).sum())
    if not wins + losses:
        raise InputError("first, second", got="no session that one of them won", expected="more sessions")
    found = binomtest(wins, wins + losses)
    reach = found.proportion_ci(method="wilson")
    return Preference(wins / (wins + losses), float(reach.low), float(reach.high), float(found.pvalue), wins + losses)
