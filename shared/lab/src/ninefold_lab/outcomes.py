"""Running a claim, and what came out: kept by seed while it runs, then one JSON file with the scores of each seed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ninefold import artifacts
from ninefold.datasets import cache_path
from ninefold.errors import ArtifactError, InputError, version_of
from ninefold.files import json_or_none, refuse_existing, write_text
from ninefold.report import Table, plain
from ninefold.run import environment

from ninefold_lab.claims import Budget, Claim, Comparison, Scores, groups_of, overall, planned_seeds
from ninefold_lab.confirmation import commit_of
from ninefold_lab.provenance import provenance, source_key

RETIRED = "retired.json"  # next to results/: comparisons that left their claim, with the reason
_LARGE = 3000  # numbers, above which scores stand in a file beside the outcome
_KIND = {"kind": "ninefold.scores", "format_version": 1}
_reused: ContextVar[float] = ContextVar("_reused", default=0.0)


@dataclass(frozen=True)
class Outcome:
    """Result of one claim.

    Attributes:
        arms: by arm the mean and the standard deviation over seeds, and the means of its groups.
        seconds: of computation, whenever that was: seeds kept from an earlier run count with what they took then.
        provenance: digests of the source (`code`) and the data, and the versions of the libraries.
        scores: of each seed: by arm, by group, of each item; empty in outcomes of older versions.

    Examples:
        >>> import os
        >>> from pathlib import Path
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

        >>> outcome = run_claim(claim, full=True)
        >>> round(outcome.arms["ease"]["mean"], 2), outcome.comparisons[0].bar
        (0.43, 'ease >= popular + 0.1')
        >>> outcome.save(Path("results")).suffix
        '.json'
    """

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
    provenance: dict[str, Any] = field(default_factory=dict)
    scores: Sequence[Scores] = ()

    @property
    def file_name(self) -> str:
        """`<statement>.<form>.<hardware>.json`."""
        return f"{self.id.split('/', 1)[1]}.{self.form}.{hardware_name()}.json"

    def save(self, folder: str | Path) -> Path:
        """Write it into a package's `results/`, many scores as `.safetensors` next to it; quick forms are refused.

        Replaces an outcome of the same claim, and no other file. Each comparison has a digest and the date on which an
        outcome first had it; a comparison of the last outcome may only go if it is retired with a reason.
        """
        if self.form != "full":
            raise InputError("form", got=self.form, expected="full: quick forms never enter results/")
        path = Path(folder) / self.file_name
        about = json_or_none(path.read_bytes()) if path.is_file() else None
        before = {one["bar"]: one for one in about.get("comparisons", [])} if isinstance(about, dict) else {}
        kept = {one.bar for one in self.comparisons}
        if (retired := path.parent.parent / RETIRED).is_file():
            kept |= {one["bar"] for one in json.loads(retired.read_text(encoding="utf-8")) if one["claim"] == self.id}
        if lost := [bar for bar in before if bar not in kept]:
            expected = f"each one of the last outcome, or an entry with the reason in {retired}"
            raise InputError(f"comparisons of {self.id}", got=f"none that says {lost[0]!r}", expected=expected)
        arrays = _flat(self.scores)
        held: Any = path.with_suffix(".scores.safetensors").name
        if sum(array.size for array in arrays.values()) > _LARGE:  # before the file that names them
            package = self.id.split("/")[0].replace("-", "_")
            artifacts.save(path.with_name(held), arrays, **_KIND, package=package, force=True)
        else:
            held = {key: [float(f"{one:.7g}") for one in array.tolist()] for key, array in arrays.items()}
        fields = plain({**vars(self), "scores": None})
        for one in fields["comparisons"]:
            digest = hashlib.sha256(f"{self.id}\t{one['bar']}".encode()).hexdigest()[:12]  # in all outcomes the same
            one |= {"digest": digest, "date": before.get(one["bar"], {}).get("date", self.date)}
        write_outcome(path, {**fields, "scores": held})
        return path


def write_outcome(path: Path, fields: dict[str, Any]) -> None:
    """Write the fields of an outcome, the scores last, on one line."""
    scores = json.dumps(fields.pop("scores"))
    lines = json.dumps({**fields, "scores": None}, indent=2, allow_nan=False).removesuffix("null\n}")
    write_text(path, f"{lines}{scores}\n}}\n", force=True, ours=_is_outcome)


def hardware_name() -> str:
    """Short name of this machine's kind for file names, e.g. `x86_64-2cpu`."""
    return f"{platform.machine().lower()}-{environment()['cores']}cpu"


def judge_places(claims: Iterable[Claim], folder: Path) -> None:
    """Raise ArtifactError, before the work, if the outcome of one of the claims would replace another file.

    Examples:
        >>> import os
        >>> from pathlib import Path
        >>> from ninefold_lab import Budget, Claim, at_least, judge_places, run_claim

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> judge_places([claim], Path("results"))  # free: nothing is said
        >>> Path("results").exists()
        False
    """
    for claim in claims:
        for path in folder.glob(f"{claim.id.split('/', 1)[1]}.full.{hardware_name()}.json"):
            refuse_existing(path, True, _is_outcome)


def _is_outcome(path: Path) -> bool:
    about = json_or_none(path.read_bytes())
    return isinstance(about, dict) and path.name.split(".")[0] == str(about.get("id", "")).partition("/")[2]


def load_scores(path: Path) -> list[dict[str, dict[str, np.ndarray]]]:
    """The scores that `Outcome.save` stored with the outcome at `path`, by seed; empty if it has none.

    Raises:
        ArtifactError: if they are in a file of their own that is missing, damaged or foreign.

    Examples:
        >>> import os
        >>> from pathlib import Path
        >>> from ninefold_lab import Budget, Claim, at_least, load_scores, run_claim

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> path = run_claim(claim, full=True).save(Path("results"))
        >>> len(load_scores(path)), sorted(load_scores(path)[0])
        (5, ['ease', 'popular'])
    """
    held = json.loads(path.read_text(encoding="utf-8")).get("scores")
    if isinstance(held, str):
        file = artifacts.Artifact(path.with_name(Path(held).name), **_KIND)
        held = {name: file.numpy(name) for name in file.names}
    runs: list[dict[str, dict[str, np.ndarray]]] = []
    for name, items in (held or {}).items():
        seed, arm, group = name.split("\t")
        runs.extend({} for _ in range(int(seed) + 1 - len(runs)))
        runs[int(seed)].setdefault(arm, {})[group] = np.asarray(items, dtype=np.float64)
    return [{arm: {**groups, **run.get(arm, {})} for arm, groups in runs[0].items()} for run in runs]


def _flat(runs: Sequence[Scores]) -> dict[str, np.ndarray]:
    """{"seed<tab>arm<tab>group": scores of the items}, small; what equals the first seed's is left out."""
    return {
        f"{seed}\t{arm}\t{group}": _small(items)
        for seed, scores in enumerate(runs)
        for arm in scores
        for group, items in groups_of(scores, arm).items()
        if seed == 0 or seed == len(runs) - 1 or not np.array_equal(items, groups_of(runs[0], arm)[group])
    }


def _small(items: np.ndarray) -> np.ndarray:
    """The same numbers as int8 or float16 where these hold them, else to the seven digits of float32."""
    whole = np.abs(items).max() < 128
    with np.errstate(over="ignore"):
        small = items.astype(np.int8 if whole else np.float16)
    return small if np.array_equal(small, items) else items.astype(np.float32)


def run_claim(claim: Claim, *, full: bool = False, advance: Callable[[], object] = lambda: None) -> Outcome:
    """Run a claim's experiment for each seed and judge it. Finished seeds are kept, so a killed run resumes by seed.

    They are kept under the key of the experiment's source and data, so that a change of either runs them anew.

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

        >>> outcome = run_claim(claim)
        >>> outcome.verdict, outcome.seeds
        ('reproduced', 3)
    """
    budget = dataclasses.replace(claim.full, form="full") if full else dataclasses.replace(claim.quick, form="quick")
    folder = cache_path(claim.package) / "claims" / claim.id.split("/", 1)[1] / f"{budget.form}-{source_key(claim)}"
    origin = provenance(claim)  # before the hours in which a file may change
    runs, seconds, wanted = [], 0.0, budget.seeds
    while len(runs) < wanted:
        seed = len(runs)
        scores, taken = _one_seed(claim, budget, seed, folder / f"seed-{seed}.safetensors")
        runs.append(scores)
        seconds += taken
        advance()
        if len(runs) == budget.seeds:  # the pilot says how many more
            wanted = planned_seeds(claim.verdict(runs), budget.seeds, budget.most)
    comparisons = claim.verdict(runs)
    return Outcome(
        claim.id, claim.says, claim.source, budget.form, overall(comparisons), _summary(runs), comparisons,
        len(runs), round(seconds, 1), time.strftime("%Y-%m-%d"), version_of(claim.package),
        environment() | {"commit": commit_of(claim.package)},
        origin, runs,
    )  # fmt: skip


def add_seconds(seconds: float) -> None:
    """Count what an intermediate result took when it was computed, in an experiment that reads it from a cache.

    Examples:
        >>> import os
        >>> from dataclasses import replace
        >>> from ninefold_lab import Budget, Claim, add_seconds, at_least, run_claim

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> def from_cache(budget, seed):
        ...     add_seconds(60)  # what the intermediate result took when it was computed
        ...     return scores(budget, seed)
        >>> run_claim(replace(claim, run=from_cache)).seconds >= 180
        True
    """
    _reused.set(_reused.get() + seconds)


def _one_seed(claim: Claim, budget: Budget, seed: int, path: Path) -> tuple[Scores, float]:
    try:
        kept = artifacts.Artifact(path, **_KIND)
        kept.verify()
    except ArtifactError:  # not there, or of no use
        start = time.perf_counter()
        _reused.set(0.0)
        scores = claim.run(budget, seed)
        arrays = {f"{arm}\t{key}": items for arm in scores for key, items in groups_of(scores, arm).items()}
        seconds = time.perf_counter() - start + _reused.get()
        artifacts.save(path, arrays, **_KIND, package=claim.package, meta={"seconds": seconds}, force=None)
        kept = artifacts.Artifact(path, **_KIND)
    result: dict[str, dict[str, np.ndarray]] = {}
    for name in kept.names:
        arm, key = name.split("\t")
        result.setdefault(arm, {})[key] = kept.numpy(name)
    return result, kept.meta["seconds"]


def _summary(runs: Sequence[Scores]) -> dict[str, dict[str, Any]]:
    """By arm: mean over seeds, standard deviation over seeds, and the mean of each group."""
    summary = {}
    for arm in runs[0]:
        by_seed = [groups_of(scores, arm) for scores in runs]
        means = [np.mean([items.mean() for items in groups.values()]) for groups in by_seed]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
        summary[arm] = {"mean": float(np.mean(means)), "sd": spread}
        if list(by_seed[0]) != [""]:
            summary[arm]["groups"] = {key: float(np.mean([run[key].mean() for run in by_seed])) for key in by_seed[0]}
    return summary


def outcome_table(outcomes: Sequence[Outcome], title: str = "") -> Table:
    """One row a bar: claim, bar, by how much it is passed with its interval, verdict.

    Examples:
        >>> import os
        >>> from ninefold_lab import Budget, Claim, at_least, outcome_table, run_claim

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()  # where finished seeds are kept
        >>> def scores(budget, seed):
        ...     "Accuracy of two methods, for one seed."
        ...     return {"ease": 0.41 + 0.01 * seed, "popular": 0.20 + 0.01 * seed}
        >>> claim = Claim(
        ...     id="ninefold-lab/ease-beats-popularity", says="EASE is better than popularity by 0.1", source="ours",
        ...     run=scores, verdict=at_least("ease", "popular", margin=0.1),
        ...     quick=Budget(seeds=3, minutes=1), full=Budget(seeds=5, minutes=30, form="full"),
        ... )

        >>> table = outcome_table([run_claim(claim)])
        >>> table.columns
        ['claim', 'bar', 'passed by', '95 % interval', 'verdict', 'seconds']
    """
    table = Table(["claim", "bar", "passed by", "95 % interval", "verdict", "seconds"], title=title)
    for outcome in outcomes:
        for one in outcome.comparisons:
            figures = round(one.estimate, 4), one.interval
            table.rows.append([outcome.id, one.bar, *figures, one.verdict, outcome.seconds])
    return table
