"""Claims: what a publication (or we) say of a method, as an experiment over seeds with a verdict from an interval.

An experiment runs the method and its rivals on the same data and seeds and returns, for each arm, its score: a number,
an array of scores per item, or such arrays by group, whose means are averaged (macro average). The gain over the bar
is taken item by item and seed by seed (paired); the verdict comes from the 95 % interval of its mean (`interval`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from ninefold.interval import mean_interval

Score = float | np.ndarray | Mapping[str, np.ndarray]
Scores = Mapping[str, Score]

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
NO_INTERVAL = "one run, no interval"


@dataclass(frozen=True)
class Budget:
    """How large an experiment may be: seeds to run and about how many minutes each may take."""

    seeds: int
    minutes: float
    form: str = "quick"


@dataclass(frozen=True)
class Comparison:
    """One bar and how it came out: `estimate` is how far the bar is passed (negative: missed), in the scores' unit."""

    bar: str
    estimate: float
    low: float
    high: float
    verdict: str

    @property
    def interval(self) -> str:
        """The 95 % interval as people read it."""
        return interval_text(self.low, self.high)


def interval_text(low: float | None, high: float | None) -> str:
    """`[low, high]`, or that there is none (an infinite bound, stored as null)."""
    if low is None or high is None or not np.isfinite([low, high]).all():
        return NO_INTERVAL
    return f"[{low:.4g}, {high:.4g}]"


Verdict = Callable[[Sequence[Scores]], list[Comparison]]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that an experiment can uphold or refute.

    Attributes:
        id: `package/plain-statement`, never reused.
        says: the statement in one sentence, with its bar.
        source: table or figure of the publication, or "ours".
        run: experiment of one seed: (budget, seed) -> {arm: score}.
        verdict: bars over all seeds' scores, made of `at_least`, `at_most`, `all_of`.
        quick: the form for a look (about a minute); never committed.
        full: the form that counts.
    """

    id: str
    says: str
    source: str
    run: Callable[[Budget, int], Scores]
    verdict: Verdict
    quick: Budget = Budget(1, 1)
    full: Budget = Budget(3, 30, "full")

    @property
    def package(self) -> str:
        """Import name of the package it belongs to."""
        return self.id.split("/")[0].replace("-", "_")


def at_least(arm: str, rival: str | float, margin: float = 0.0) -> Verdict:
    """The arm's score is at least the rival's (an arm, or a number) plus `margin`."""
    return lambda runs: [_compare(runs, arm, rival, margin, 1.0)]


def at_most(arm: str, rival: str | float, margin: float = 0.0) -> Verdict:
    """The arm's score is at most the rival's (an arm, or a number) plus `margin`."""
    return lambda runs: [_compare(runs, arm, rival, margin, -1.0)]


def all_of(*verdicts: Verdict) -> Verdict:
    """Every bar holds."""
    return lambda runs: [one for verdict in verdicts for one in verdict(runs)]


def overall(comparisons: Iterable[Comparison]) -> str:
    """Reproduced if all are, not reproduced if any is not, else inconclusive."""
    verdicts = {one.verdict for one in comparisons}
    if verdicts == {REPRODUCED}:
        return REPRODUCED
    return NOT_REPRODUCED if NOT_REPRODUCED in verdicts else INCONCLUSIVE


def _compare(runs: Sequence[Scores], arm: str, rival: str | float, margin: float, sign: float) -> Comparison:
    """The mean of the gain sign * (arm - rival - margin) with its interval, and the verdict of that."""
    gains = [_gain(scores, arm, rival, margin, sign) for scores in runs]
    if any(one.keys() != gains[0].keys() for one in gains):
        raise InputError(f"scores of {arm}", got="other groups", expected="the same groups for each seed")
    arrays = [_by_seed_and_item([groups[key] for groups in gains]) for key in gains[0]]
    if all(array.shape[1] == 1 for array in arrays) and _is_deterministic(runs):
        arrays = [array[:1] for array in arrays]  # further seeds were the same run again
    estimate, low, high = map(float, mean_interval(arrays))
    slack = 1e-12 * max(abs(margin), *(float(np.abs(items).max()) for items in groups_of(runs[0], arm).values()))
    verdict = REPRODUCED if low >= -slack else NOT_REPRODUCED if high < -slack else INCONCLUSIVE
    relation = ">=" if sign > 0 else "<="
    offset = f" {'+' if margin > 0 else '-'} {abs(margin):g}" if margin else ""
    return Comparison(f"{arm} {relation} {rival}{offset}", estimate, low, high, verdict)


def _by_seed_and_item(gains: Sequence[np.ndarray]) -> np.ndarray:
    """(seeds, items); (seeds, 1) of means where the seeds have different numbers of items, so cannot share them."""
    if len({items.size for items in gains}) > 1:
        return np.array([[items.mean()] for items in gains])
    return np.stack(gains)


def _is_deterministic(runs: Sequence[Scores]) -> bool:
    """Whether every seed gave the same scores in every arm."""
    first = {arm: groups_of(runs[0], arm) for arm in runs[0]}
    return all(
        run.keys() == first.keys()
        and all(
            np.array_equal(items, first[arm].get(key, ())) for arm in run for key, items in groups_of(run, arm).items()
        )
        for run in runs[1:]
    )


def _gain(scores: Scores, arm: str, rival: str | float, margin: float, sign: float) -> dict[str, np.ndarray]:
    """Per-item gains by group of one seed."""
    ours = groups_of(scores, arm)
    numbers = {key: np.full(items.size, rival) for key, items in ours.items()}
    theirs = groups_of(scores, rival) if isinstance(rival, str) else numbers
    if {key: one.size for key, one in ours.items()} != {key: one.size for key, one in theirs.items()}:
        raise InputError(f"scores of {arm} and {rival}", got="other items", expected="the same items for both arms")
    return {key: sign * (items - theirs[key] - margin) for key, items in ours.items()}


def groups_of(scores: Scores, arm: str) -> dict[str, np.ndarray]:
    """One arm's scores by group (the name is empty where there are no groups), each a finite float64 vector."""
    if arm not in scores:
        raise InputError("arm", got=repr(arm), expected=f"one of {', '.join(scores)}")
    score = scores[arm]
    groups = score if isinstance(score, Mapping) else {"": score}
    arrays = {key: np.asarray(items, dtype=np.float64).ravel() for key, items in groups.items()}
    for key, items in arrays.items():
        if items.size == 0 or not np.isfinite(items).all():
            raise InputError(f"scores of {arm}{f', group {key}' if key else ''}", got="none, NaN or infinity")
    return arrays
