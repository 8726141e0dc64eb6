"""Claims: what a publication (or we) say of a method, as an experiment over seeds with a verdict from an interval.

An experiment runs the method and its rivals on the same data and seeds and returns, for each arm, its score: a number,
an array of scores per item, or such arrays by group, whose means are averaged (macro average).

The verdict comes from a 95 % paired bootstrap of the gain that resamples seeds, then items (the same items in all arms,
and in all seeds that have equally many). With three to five seeds it says little about seeds that were not run: read
the standard deviation over seeds beside it. A single number from a single seed has no interval: it is inconclusive.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ninefold import artifacts
from ninefold.datasets import cache_path, data_dir
from ninefold.errors import ArtifactError, InputError, version_of
from ninefold.files import digest_file, write_text
from ninefold.report import Table, to_json
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
    """Paired bootstrap of the gain sign * (arm - rival - margin) over seeds, then items, and its verdict."""
    gains = [_gain(scores, arm, rival, margin, sign) for scores in runs]
    if any(one.keys() != gains[0].keys() for one in gains):
        raise InputError(f"scores of {arm}", got="other groups", expected="the same groups for each seed")
    generator = np.random.default_rng(0)
    seeds = generator.integers(0, len(gains), (_DRAWS, len(gains)))
    shares = (seeds[:, :, None] == np.arange(len(gains))).mean(axis=1)  # of each seed in each draw
    by_seed = np.mean([_means([groups[key] for groups in gains], generator) for key in gains[0]], axis=0)
    drawn = (shares * by_seed).sum(axis=1)
    if len(gains) == 1 and all(items.size == 1 for items in gains[0].values()):
        drawn = np.array([-np.inf, np.inf])
    estimate = float(np.mean([np.mean([items.mean() for items in groups.values()]) for groups in gains]))
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    slack = 1e-12 * max(abs(margin), *(float(np.abs(items).max()) for items in _groups(runs[0], arm).values()))
    verdict = REPRODUCED if low >= -slack else NOT_REPRODUCED if high < -slack else INCONCLUSIVE
    relation = ">=" if sign > 0 else "<="
    offset = f" {'+' if margin > 0 else '-'} {abs(margin):g}" if margin else ""
    return Comparison(f"{arm} {relation} {rival}{offset}", estimate, float(low), float(high), verdict)


def _gain(scores: Scores, arm: str, rival: str | float, margin: float, sign: float) -> dict[str, np.ndarray]:
    """Per-item gains by group of one seed."""
    ours = _groups(scores, arm)
    theirs = _groups(scores, rival) if isinstance(rival, str) else {key: np.full(ours[key].size, rival) for key in ours}
    if {key: one.size for key, one in ours.items()} != {key: one.size for key, one in theirs.items()}:
        raise InputError(f"scores of {arm} and {rival}", got="other items", expected="the same items for both arms")
    return {key: sign * (items - theirs[key] - margin) for key, items in ours.items()}


def _groups(scores: Scores, arm: str) -> dict[str, np.ndarray]:
    if arm not in scores:
        raise InputError("arm", got=repr(arm), expected=f"one of {', '.join(scores)}")
    score = scores[arm]
    groups = score if isinstance(score, Mapping) else {"": score}
    arrays = {key: np.asarray(items, dtype=np.float64).ravel() for key, items in groups.items()}
    for key, items in arrays.items():
        if items.size == 0 or not np.isfinite(items).all():
            raise InputError(f"scores of {arm}{f', group {key}' if key else ''}", got="none, NaN or infinity")
    return arrays


def _means(by_seed: Sequence[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """(draws, seeds): each seed's mean over resampled items, the same in all seeds if they have equally many."""
    if len({items.size for items in by_seed}) > 1:
        return np.concatenate([_means([items], generator) for items in by_seed], axis=1)
    items = np.stack(by_seed, axis=1)
    block = max(1, 4_000_000 // items.size)  # so that memory stays small
    places = (
        generator.integers(0, len(items), (min(block, _DRAWS - at), len(items))) for at in range(0, _DRAWS, block)
    )
    return np.concatenate([items[one].mean(axis=1) for one in places])


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
        write_text(path, to_json(self) + "\n")
        return path


def run_claim(claim: Claim, *, full: bool = False, advance: Callable[[], object] = lambda: None) -> Outcome:
    """Run a claim's experiment for each seed and judge it. Finished seeds are kept, so a killed run resumes by seed.

    They are kept under a key of the package's source, so that a change of the code runs them anew.
    """
    budget = dataclasses.replace(claim.full, form="full") if full else dataclasses.replace(claim.quick, form="quick")
    folder = cache_path(claim.package) / "claims" / claim.id.split("/", 1)[1] / f"{budget.form}-{source_key(claim)}"
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
    try:
        kept = artifacts.Artifact(path, kind="ninefold.scores", format_version=1)
        kept.verify()
    except ArtifactError:  # not there, or of no use
        start = time.perf_counter()
        scores = claim.run(budget, seed)
        arrays = {f"{arm}\t{key}": items for arm in scores for key, items in _groups(scores, arm).items()}
        about = {"kind": "ninefold.scores", "format_version": 1, "package": claim.package}
        artifacts.save(path, arrays, **about, meta={"seconds": time.perf_counter() - start}, force=None)
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
    """Digest of the package's files that an experiment can run through, and of what data there is beside them."""
    origin = importlib.import_module(claim.package).__file__
    if origin is None:
        raise InputError(claim.package, expected="an installed package")
    root, data = Path(origin).parent, data_dir(claim.package)
    key = hashlib.sha256(repr(sorted(path.name for path in data.iterdir()) if data else None).encode())
    for file in sorted(root.rglob("*")):
        if file.is_file() and file.parent.name != "__pycache__" and file.name not in _OUTSIDE:
            key.update(file.relative_to(root).as_posix().encode() + b"\0" + digest_file(file).encode())
    return key.hexdigest()[:16]


def outcome_table(outcomes: Sequence[Outcome], title: str = "") -> Table:
    """One row a bar: claim, bar, by how much it is passed with its interval, verdict."""
    table = Table(["claim", "bar", "passed by", "95 % interval", "verdict", "seconds"], title=title)
    for outcome in outcomes:
        for one in outcome.comparisons:
            interval = f"[{one.low:.4g}, {one.high:.4g}]"
            table.rows.append([outcome.id, one.bar, round(one.estimate, 4), interval, one.verdict, outcome.seconds])
    return table
