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
from ninefold.interval import mean_interval, t_quantile

Score = float | np.ndarray | Mapping[str, np.ndarray]
Scores = Mapping[str, Score]

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
INCONCLUSIVE = "inconclusive"
HELD = "held"  # in one run of what has no randomness
MISSED = "missed"
_FEW = 10  # items on which two arms differ, below which their number is counted as shares are


@dataclass(frozen=True)
class Budget:
    """How large an experiment may be.

    Attributes:
        seeds: to run; with `most`, the pilot from which the number of seeds is planned.
        minutes: about how long each may take.
        form: "quick" or "full".
        most: the largest number of seeds that a pilot may ask for; 0: no plan, `seeds` are run.

    Examples:
        >>> from ninefold_lab import Budget

        >>> Budget(seeds=3, minutes=1), Budget(seeds=5, minutes=30, form="full", most=20).most
        (Budget(seeds=3, minutes=1, form='quick', most=0), 20)
    """

    seeds: int
    minutes: float
    form: str = "quick"
    most: int = 0


@dataclass(frozen=True)
class Comparison:
    """One bar and how it came out: `estimate` is how far the bar is passed (negative: missed), in the scores' unit.

    `collapsed` counts the seeds that were left out because one of the two arms was at chance. `identical`: both arms
    have the same score on every item of every seed, so the comparison is true by construction, or says nothing.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab import all_of, at_least, at_most, overall

        >>> draw = np.random.default_rng(0)
        >>> runs = [{"ease": 0.4 + 0.01 * draw.random(50), "popular": 0.2 + 0.01 * draw.random(50)} for _ in range(3)]

        >>> (one,) = at_least("ease", "popular", margin=0.1)(runs)
        >>> one.bar, one.verdict
        ('ease >= popular + 0.1', 'reproduced')
        >>> round(one.estimate, 2), one.interval
        (0.1, '[0.09922, 0.1]')
    """

    bar: str
    estimate: float
    low: float
    high: float
    verdict: str
    collapsed: int = 0
    identical: bool = False

    @property
    def interval(self) -> str:
        """The 95 % interval as people read it."""
        known = np.isfinite([self.low, self.high]).all()
        return f"[{self.low:.4g}, {self.high:.4g}]" if known else "one run, no interval"


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
        brings: where the reader's own files must lie, where a licence forbids a copy of ours.

    Examples:
        >>> import os
        >>> from ninefold_lab import Budget, Claim, at_least, run_claim

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> claim.package, claim.full.seeds
        ('ninefold_lab', 5)
        >>> claim.run(claim.quick, seed=0)
        {'ease': 0.41, 'popular': 0.2}
    """

    id: str
    says: str
    source: str
    run: Callable[[Budget, int], Scores]
    verdict: Verdict
    quick: Budget = Budget(1, 1)
    full: Budget = Budget(3, 30, "full")
    brings: str = ""

    @property
    def package(self) -> str:
        """Import name of the package it belongs to."""
        return self.id.split("/")[0].replace("-", "_")


def at_least(arm: str, rival: str | float, margin: float = 0.0, *, chance: float | None = None) -> Verdict:
    """The arm's score is at least the rival's (an arm, or a number) plus `margin`.

    Args:
        arm, rival, margin: as said.
        chance: mean score up to which an arm's seed has collapsed: it is counted and shown, not averaged in.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab import all_of, at_least, at_most, overall

        >>> draw = np.random.default_rng(0)
        >>> runs = [{"ease": 0.4 + 0.01 * draw.random(50), "popular": 0.2 + 0.01 * draw.random(50)} for _ in range(3)]

        >>> [one.verdict for one in at_least("ease", "popular", margin=0.1)(runs)]
        ['reproduced']
        >>> [one.verdict for one in at_least("ease", 0.5)(runs)]  # a number in place of a rival
        ['not reproduced']
    """
    return lambda runs: [_compare(runs, arm, rival, margin, 1.0, chance)]


def at_most(arm: str, rival: str | float, margin: float = 0.0) -> Verdict:
    """The arm's score is at most the rival's (an arm, or a number) plus `margin`.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab import all_of, at_least, at_most, overall

        >>> draw = np.random.default_rng(0)
        >>> runs = [{"ease": 0.4 + 0.01 * draw.random(50), "popular": 0.2 + 0.01 * draw.random(50)} for _ in range(3)]

        >>> [(one.bar, one.verdict) for one in at_most("popular", "ease")(runs)]
        [('popular <= ease', 'reproduced')]
    """
    return lambda runs: [_compare(runs, arm, rival, margin, -1.0)]


def all_of(*verdicts: Verdict) -> Verdict:
    """Combine verdicts: all their comparisons together.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab import all_of, at_least, at_most, overall

        >>> draw = np.random.default_rng(0)
        >>> runs = [{"ease": 0.4 + 0.01 * draw.random(50), "popular": 0.2 + 0.01 * draw.random(50)} for _ in range(3)]

        >>> both = all_of(at_least("ease", "popular"), at_least("ease", 0.5))
        >>> [one.verdict for one in both(runs)]
        ['reproduced', 'not reproduced']
        >>> overall(both(runs))
        'not reproduced'
    """
    return lambda runs: [one for verdict in verdicts for one in verdict(runs)]


def overall(comparisons: Iterable[Comparison]) -> str:
    """Reproduced if all are (held, if all are runs without an interval); else the worst that any bar came to.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab import all_of, at_least, at_most, overall

        >>> draw = np.random.default_rng(0)
        >>> runs = [{"ease": 0.4 + 0.01 * draw.random(50), "popular": 0.2 + 0.01 * draw.random(50)} for _ in range(3)]

        >>> overall(at_least("ease", "popular")(runs))
        'reproduced'
        >>> overall(at_least("popular", "ease")(runs))
        'not reproduced'
    """
    verdicts = {one.verdict for one in comparisons}
    worst = (NOT_REPRODUCED, MISSED, INCONCLUSIVE, REPRODUCED, HELD)
    return next((one for one in worst if one in verdicts), INCONCLUSIVE)


def planned_seeds(comparisons: Iterable[Comparison], seeds: int, most: int) -> int:
    """How many seeds end what a pilot of `seeds` left open, at most `most`: those after which the half-width that the
    pilot's spread leads to is no wider than the pilot's distance from the bar.

    The verdict after that is taken with the same interval; `test_planned_seeds_keep_the_error` simulates how often both
    looks together call a gain of zero reproduced.

    Examples:
        >>> import numpy as np
        >>> from ninefold_lab import at_least, planned_seeds

        >>> gains = (0.06, -0.01, 0.05)  # of a pilot of three seeds
        >>> pilot = at_least("ours", "rival")([{"ours": 0.5 + gain, "rival": 0.5} for gain in gains])
        >>> pilot[0].verdict, planned_seeds(pilot, seeds=3, most=20)
        ('inconclusive', 13)
    """
    counts = np.arange(seeds + 1, most + 1)
    shrink = np.sqrt(seeds / counts) * t_quantile(counts - 1.0) / t_quantile(max(seeds - 1.0, 1.0))
    needed = seeds
    for one in comparisons:
        if one.verdict == INCONCLUSIVE and np.isfinite([one.low, one.high]).all():
            half = one.estimate - one.low if one.estimate > 0 else one.high - one.estimate
            enough = np.flatnonzero(half * shrink <= abs(one.estimate))
            needed = max(needed, int(counts[enough[0]]) if len(enough) else most)
    return needed


def _compare(
    runs: Sequence[Scores], arm: str, rival: str | float, margin: float, sign: float, chance: float | None = None
) -> Comparison:
    """The mean of the gain sign * (arm - rival - margin) with its interval, and the verdict of that."""
    relation = ">=" if sign > 0 else "<="
    bar = f"{arm} {relation} {rival}" + (f" {'+' if margin > 0 else '-'} {abs(margin):g}" if margin else "")
    down = [_collapsed(scores, arm, rival, chance) for scores in runs]
    ours, theirs = (sum(one[place] for one in down) for place in (0, 1))
    left_out = sum(map(any, down))
    runs = [scores for scores, one in zip(runs, down, strict=True) if not any(one)]
    if not runs or (left_out and len(runs) < 2):
        verdict = NOT_REPRODUCED if ours > theirs else INCONCLUSIVE
        return Comparison(bar, float("nan"), -np.inf, np.inf, verdict, left_out)
    differences = [_gain(scores, arm, rival, 0.0, 1.0) for scores in runs]
    identical = isinstance(rival, str) and not any(items.any() for one in differences for items in one.values())
    gains = [_gain(scores, arm, rival, margin, sign) for scores in runs]
    if any(one.keys() != gains[0].keys() for one in gains):
        raise InputError(f"scores of {arm}", got="other groups", expected="the same groups for each seed")
    arrays = [_by_seed_and_item([groups[key] for groups in gains]) for key in gains[0]]
    if all(array.shape[1] == 1 for array in arrays) and _is_deterministic(runs):
        arrays = [array[:1] for array in arrays]  # further seeds were the same run again
    unit = _unit_of_shares(runs, arm, rival)
    estimate = float(mean_interval(arrays)[0])
    _, low, high = map(float, mean_interval([_with_pseudo_items(one, rival, margin, sign, unit) for one in arrays]))
    low, high = min(low, estimate), max(high, estimate)
    slack = 1e-12 * max(abs(margin), *(float(np.abs(items).max()) for items in groups_of(runs[0], arm).values()))
    if not np.isfinite([low, high]).any():
        verdict = HELD if estimate >= -slack else MISSED
    else:
        verdict = REPRODUCED if low >= -slack else NOT_REPRODUCED if high < -slack else INCONCLUSIVE
    if verdict == REPRODUCED and ours > theirs:
        verdict = INCONCLUSIVE  # it leads where it works, and fails more often than the rival
    return Comparison(bar, estimate, low, high, verdict, left_out, identical)


def _collapsed(scores: Scores, arm: str, rival: str | float, chance: float | None) -> tuple[bool, bool]:
    """Whether the arm, and the rival, are at chance in this seed."""
    names = (arm, rival if chance is not None else 0.0)  # a number is never at chance
    ours, theirs = (isinstance(name, str) and _mean(scores, name) <= (chance or 0.0) for name in names)
    return chance is not None and ours, theirs


def _mean(scores: Scores, arm: str) -> float:
    return float(np.mean([items.mean() for items in groups_of(scores, arm).values()]))


def _unit_of_shares(runs: Sequence[Scores], arm: str, rival: str | float) -> float | None:
    """1 or 100 if each score of each item is zero or that: then a mean is a share of items, else None."""
    arms = [arm, rival] if isinstance(rival, str) else [arm]
    scores = [items for run in runs for name in arms for items in groups_of(run, name).values()]
    return next((unit for unit in (1.0, 100.0) if all(np.isin(items, (0.0, unit)).all() for items in scores)), None)


def _with_pseudo_items(
    gains: np.ndarray, rival: str | float, margin: float, sign: float, unit: float | None
) -> np.ndarray:
    """Gains (seeds, items) with what Agresti and Coull add to a share (two right, two wrong), and Agresti and Min to a
    difference of shares (one each way) where few items differ: without them an interval of few items is too narrow.
    """
    if unit is None or gains.shape[1] < 2:
        return gains
    if isinstance(rival, str):
        differ = np.count_nonzero(np.abs(gains + sign * margin).max(axis=0) > 0)
        extra = [unit - sign * margin, -unit - sign * margin] if differ < _FEW else []
    else:
        right, wrong = sign * (unit - rival - margin), sign * (0.0 - rival - margin)
        extra = [right, right, wrong, wrong]
    return np.concatenate([gains, np.broadcast_to(extra, (len(gains), len(extra)))], axis=1)


def _by_seed_and_item(gains: Sequence[np.ndarray]) -> np.ndarray:
    """(seeds, items); (seeds, 1) of means where the seeds have different numbers of items, so cannot share them."""
    if len({items.size for items in gains}) > 1:
        return np.array([[items.mean()] for items in gains])
    return np.stack(gains)


def _is_deterministic(runs: Sequence[Scores]) -> bool:
    """Whether every seed gave the same scores in every arm."""
    first, *others = ({(arm, key): items for arm in run for key, items in groups_of(run, arm).items()} for run in runs)
    same = (run.keys() == first.keys() and all(np.array_equal(first[one], run[one]) for one in run) for run in others)
    return all(same)


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
