"""`compare`: what two runs share and where they part; `merge`: runs of single objectives as one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.report import Table

from proteus.record._cited import Evidence, read_evidence
from proteus.record._journal import read_journal
from proteus.record._objects import Hypothesis
from proteus.record._planner import Planner
from proteus.record._run_folder import Folder
from proteus.study._gather import gather, one_config
from proteus.study._out import need_free
from proteus.study._study import Report, Study, open_study

_JACCARD = 0.5


def compare(first: str | Path, second: str | Path) -> list[Table]:
    """Two finished runs side by side: settings, hypotheses matched by entities and direction, findings by row.

    Raises:
        ArtifactError: naming what is missing or damaged.
    """
    folders = [Folder(Path(first)), Folder(Path(second))]
    a, b = (read_evidence(one) for one in folders)
    return [_settings(folders), _hypotheses(a, b), _findings(a, b)]


def _settings(folders: Sequence[Folder]) -> Table:
    configs = []
    for folder in folders:
        run = next((event for event in read_journal(folder.events) if event.kind == "run"), None)
        if run is None:
            raise ArtifactError(folder.events, "holds no run")
        profile = run.data["profile"]
        about = {key: value for key, value in run.data.items() if key not in ("profile", "budget", "tools", "input")}
        configs.append({**about, **run.data["budget"], "features": profile["features"], "samples": profile["samples"]})
    table = Table(["setting", "first", "second"], title="Settings that differ")
    for key in dict.fromkeys([*configs[0], *configs[1]]):
        values = [str(one.get(key)) for one in configs]
        if values[0] != values[1]:
            table.rows.append([key, *values])
    return table


def _hypotheses(a: Evidence, b: Evidence) -> Table:
    table = Table(["entities", "direction", "first", "second"], title="Hypotheses")
    left = list(b.hypotheses)
    for one in a.hypotheses:
        match = next((other for other in left if _same(one, other)), None)
        if match is not None:
            left.remove(match)
        table.rows.append([" ".join(one.entities[:3]), one.direction, _place(one), _place(match)])
    table.rows += [[" ".join(one.entities[:3]), one.direction, _place(None), _place(one)] for one in left]
    both = sum(row[2] != "-" and row[3] != "-" for row in table.rows)
    table.notes = [f"{both} of {len(table.rows)} are in both"]
    return table


def _same(one: Hypothesis, other: Hypothesis) -> bool:
    a, b = set(one.entities), set(other.entities)
    same = one.direction == other.direction and one.context == other.context
    return same and len(a & b) >= _JACCARD * len(a | b)


def _place(one: Hypothesis | None) -> str:
    return "-" if one is None else f"{one.id}, grade {one.grade}"


def _findings(a: Evidence, b: Evidence) -> Table:
    """By relation and target: how many each has, how many are the same entity and sign, how effects agree."""
    table = Table(["relation", "target", "first", "second", "both", "effects' correlation"], title="Findings")
    groups: dict[tuple[str, str], list[dict[tuple[str, int], float]]] = {}
    for place, evidence in enumerate((a, b)):
        for one in evidence.findings.values():
            pair = groups.setdefault((one.relation, one.target), [{}, {}])
            pair[place][one.entity, one.sign] = one.effect if one.effect is not None else float("nan")
    for (relation, target), (first, second) in groups.items():
        shared = sorted(set(first) & set(second))
        x, y = (np.array([one[key] for key in shared]) for one in (first, second))
        known = len(shared) > 2 and np.isfinite(x).all() and np.isfinite(y).all() and np.ptp(x) > 0 and np.ptp(y) > 0
        rho = float(np.corrcoef(x, y)[0, 1]) if known else None
        table.rows.append([relation, target, len(first), len(second), len(shared), rho])
    return table


def merge(runs: Sequence[str | Path], out: str | Path, planner: Callable[[Study], Planner] | None = None) -> Report:
    """Put runs of single objectives (`run --objective`) together, as if one process had done all.

    All finished steps and answers are taken over; then the run is resumed, which computes the control over all
    families, the gate, grades and ranks, and repeats no step. A model is not asked again, but for the hypotheses:
    `planner` answers there.

    Args:
        runs: folders of runs of the same table, settings and version, each of other objectives.
        out: folder to write.
        planner: makes the runs' planner for the study; None for the expert.
    Raises:
        InputError: if the runs are of different tables or settings, do the same objective, or leave one out.
        ArtifactError: if a run is damaged, or something is at `out`.
    """
    need_free(Path(out))
    config = one_config([Folder(Path(one)) for one in runs])
    if planner is None and config["planner"] != "expert":
        raise InputError(
            "runs", got=f"the planner {config['planner']!r}",
            expected="--base-url and --model too: hypotheses are proposed over all objectives",
        )  # fmt: skip
    if planner is not None and config["planner"] == "expert":
        raise InputError("--base-url, --model", got="with runs of the expert", expected="runs of a model")
    gather(runs, out)
    study = open_study(out)
    study.planner = study.planner if planner is None else planner(study)
    return study.resume_gathered(config, out)
