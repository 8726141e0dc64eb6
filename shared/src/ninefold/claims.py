"""Claims: what a publication (or we) say of a method, as an experiment over seeds with a verdict from an interval.

An experiment runs the method and its rivals on the same data and seeds and returns, for each arm, its score: a number,
an array of scores per item, or such arrays by group, whose means are averaged (macro average). The verdict comes from a
95 % paired bootstrap that resamples seeds, then items.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ninefold import artifacts
from ninefold.datasets import cache_dir
from ninefold.errors import InputError, version_of
from ninefold.files import write_text
from ninefold.report import Table
from ninefold.run import environment, hardware_name

Score = float | np.ndarray | Mapping[str, np.ndarray]
Scores = Mapping[str, Score]

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
_DRAWS = 2000


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


Verdict = Callable[[Sequence[Scores]], list[Comparison]]


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
    """Paired bootstrap of sign * (arm - rival - margin) over seeds, then items."""
    gains = [_gain(scores, arm, rival, margin, sign) for scores in runs]
    generator = np.random.default_rng(0)
    seeds = generator.integers(0, len(gains), (_DRAWS, len(gains)))
    drawn = np.empty(seeds.shape)
    for seed, groups in enumerate(gains):
        places = np.nonzero(seeds == seed)
        drawn[places] = np.mean([_resampled_means(items, len(places[0]), generator) for items in groups], axis=0)
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    estimate = float(np.mean([np.mean([items.mean() for items in groups]) for groups in gains]))
    verdict = REPRODUCED if low >= 0 else NOT_REPRODUCED if high < 0 else INCONCLUSIVE
    relation = ">=" if sign > 0 else "<="
    offset = f" {'+' if margin > 0 else '-'} {abs(margin):g}" if margin else ""
    return Comparison(f"{arm} {relation} {rival}{offset}", estimate, float(low), float(high), verdict)


def _gain(scores: Scores, arm: str, rival: str | float, margin: float, sign: float) -> list[np.ndarray]:
    """Per-item gains by group of one seed."""
    ours = _groups(scores, arm)
    theirs = _groups(scores, rival) if isinstance(rival, str) else {key: np.float64(rival) for key in ours}
    if set(ours) != set(theirs) or any(np.size(theirs[key]) not in (1, ours[key].size) for key in ours):
        raise InputError(f"scores of {arm} and {rival}", got="other items", expected="the same items for both arms")
    return [sign * (items - theirs[key] - margin) for key, items in ours.items()]


def _groups(scores: Scores, arm: str) -> dict[str, np.ndarray]:
    if arm not in scores:
        raise InputError("arm", got=repr(arm), expected=f"one of {', '.join(scores)}")
    score = scores[arm]
    groups = score if isinstance(score, Mapping) else {"": score}
    arrays = {key: np.atleast_1d(np.asarray(items, dtype=np.float64)) for key, items in groups.items()}
    for key, items in arrays.items():
        if items.size == 0 or not np.isfinite(items).all():
            raise InputError(f"scores of {arm}{f', group {key}' if key else ''}", got="none, NaN or infinite")
    return arrays


def _resampled_means(items: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Means of `draws` resamples with replacement; in blocks, so that memory stays small."""
    if items.size == 1:
        return np.full(draws, items[0])
    block = max(1, 4_000_000 // items.size)
    parts = [
        items[generator.integers(0, items.size, (min(block, draws - start), items.size))].mean(axis=1)
        for start in range(0, draws, block)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


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


@dataclass(frozen=True)
class Outcome:
    """What came out of one claim."""

    id: str
    says: str
    source: str
    form: str
    verdict: str
    arms: dict[str, dict[str, Any]]
    comparisons: list[Comparison]
    seeds: int
    seconds: float
    date: str
    version: str
    environment: dict[str, Any]

    @property
    def file_name(self) -> str:
        """`<statement>.<form>.<hardware>.json`."""
        return f"{self.id.split('/', 1)[1]}.{self.form}.{hardware_name()}.json"

    def save(self, folder: str | Path) -> Path:
        """Write it into a package's `results/`; quick forms are refused there."""
        if self.form != "full":
            raise InputError("form", got=self.form, expected="full: quick forms never enter results/")
        path = Path(folder) / self.file_name
        write_text(path, json.dumps(dataclasses.asdict(self), indent=1) + "\n")
        return path


def run_claim(claim: Claim, *, full: bool = False, advance: Callable[[], object] = lambda: None) -> Outcome:
    """Run a claim's experiment for each seed and judge it. Finished seeds are kept, so a killed run resumes by seed.

    They are kept under a key of the package's source, so that a change of the code runs them anew.
    """
    budget = dataclasses.replace(claim.full, form="full") if full else dataclasses.replace(claim.quick, form="quick")
    folder = cache_dir(claim.package) / "claims" / claim.id.split("/", 1)[1] / f"{budget.form}-{source_key(claim)}"
    runs, seconds = [], 0.0
    for seed in range(budget.seeds):
        scores, taken = _one_seed(claim, budget, seed, folder / f"seed-{seed}.safetensors")
        runs.append(scores)
        seconds += taken
        advance()
    comparisons = claim.verdict(runs)
    return Outcome(
        claim.id, claim.says, claim.source, budget.form, overall(comparisons), _summary(runs), comparisons,
        budget.seeds, round(seconds, 1), time.strftime("%Y-%m-%d"), version_of(claim.package), environment(),
    )  # fmt: skip


def _one_seed(claim: Claim, budget: Budget, seed: int, path: Path) -> tuple[Scores, float]:
    if not path.exists():
        start = time.perf_counter()
        scores = claim.run(budget, seed)
        arrays = {f"{arm}\t{key}": items for arm in scores for key, items in _groups(scores, arm).items()}
        meta = {"seconds": time.perf_counter() - start}
        artifacts.save(path, arrays, kind="ninefold.scores", format_version=1, package=claim.package, meta=meta)
    kept = artifacts.Artifact(path, kind="ninefold.scores", format_version=1)
    result: dict[str, dict[str, np.ndarray]] = {}
    for name in kept.names:
        arm, key = name.split("\t")
        result.setdefault(arm, {})[key] = kept.numpy(name)
    return result, kept.meta["seconds"]


def _summary(runs: Sequence[Scores]) -> dict[str, dict[str, Any]]:
    """By arm: mean over seeds, standard deviation over seeds, and the mean of each group."""
    summary = {}
    for arm in runs[0]:
        by_seed = [_groups(scores, arm) for scores in runs]
        means = [np.mean([items.mean() for items in groups.values()]) for groups in by_seed]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
        summary[arm] = {"mean": float(np.mean(means)), "sd": spread}
        if list(by_seed[0]) != [""]:
            groups = {key: float(np.mean([seed[key].mean() for seed in by_seed])) for key in by_seed[0]}
            summary[arm]["groups"] = groups
    return summary


_OUTSIDE = {"cli.py", "demo.py", "_system.py", "__init__.py"}  # what no experiment runs through


def source_key(claim: Claim) -> str:
    """Digest of the package's source files that an experiment can run through."""
    origin = importlib.import_module(claim.package).__file__
    if origin is None:
        raise InputError(claim.package, expected="an installed package")
    root = Path(origin).parent
    key = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        if file.name not in _OUTSIDE:
            key.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return key.hexdigest()[:16]


def outcome_table(outcomes: Sequence[Outcome], title: str = "") -> Table:
    """One row a bar: claim, bar, by how much it is passed with its interval, verdict."""
    table = Table(["claim", "bar", "passed by", "95 % interval", "verdict", "seconds"], title=title)
    for outcome in outcomes:
        for one in outcome.comparisons:
            interval = f"[{one.low:.4g}, {one.high:.4g}]"
            table.rows.append([outcome.id, one.bar, round(one.estimate, 4), interval, one.verdict, outcome.seconds])
    return table
