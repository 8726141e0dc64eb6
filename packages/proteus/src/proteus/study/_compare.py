"""`compare`: what two runs share and where they part; `merge`: runs of single objectives as one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.files import atomic_folder
from ninefold.report import Table

from proteus.record._cited import Evidence, read_evidence
from proteus.record._journal import Event, Journal, read_journal
from proteus.record._objects import Budget, Hypothesis
from proteus.record._planner import Planner
from proteus.record._run_folder import Folder
from proteus.study._hold_out import ARTIFACT
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
    if len(runs) < 2:
        raise InputError("runs", got=len(runs), expected="two or more to merge")
    folders = [Folder(Path(one)) for one in runs]
    journals = [read_journal(one.events) for one in folders]
    config = _one_config(folders)
    if planner is None and config["planner"] != "expert":
        raise InputError(
            "runs", got=f"the planner {config['planner']!r}",
            expected="--base-url and --model too: hypotheses are proposed over all objectives",
        )  # fmt: skip
    if planner is not None and config["planner"] == "expert":
        raise InputError("--base-url, --model", got="with runs of the expert", expected="runs of a model")
    first, segments = [], {}
    for folder, events in zip(folders, journals, strict=True):
        head, parts = _segments(events)
        if first and [_said(one) for one in head] != [_said(one) for one in first]:
            raise InputError("runs", got=f"{folder.root.name} has other objectives than {folders[0].root.name}")
        first = head
        for name, part in parts.items():
            if name in segments:
                raise InputError("runs", got=f"objective {name} twice, also in {folder.root.name}")
            segments[name] = part
    wanted = [one.data["objective"]["id"] for one in first if one.kind == "objective" and one.data["accepted"]]
    absent = [name for name in wanted if name not in segments]
    if absent:
        raise InputError("runs", got=f"none that did {', '.join(absent)}", expected="each objective in one of them")
    branches = sorted((name for name in segments if name not in wanted), key=_by_parent)
    with atomic_folder(out) as place:
        whole = Folder(place)
        shutil.copytree(folders[0].input, whole.input)
        for folder in folders:
            for name in ("artifacts", "llm"):
                if (folder.root / name).is_dir():
                    left_out = shutil.ignore_patterns(f"{ARTIFACT}.*")  # each part's own; made again over all
                    shutil.copytree(folder.root / name, place / name, dirs_exist_ok=True, ignore=left_out)
        shutil.copy(folders[0].root / "environment.json", place / "environment.json")
        (place / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (place / ".lock").touch()
        journal = Journal(whole.events)
        number = 0
        for event in [*first, *(one for name in (*wanted, *branches) for one in segments[name])]:
            number += event.kind == "question"
            data = event.data | ({"n": number} if "n" in event.data else {})
            if event.kind == "answer" and config["planner"] == "expert":  # who has answered each question so far
                data["spent"] = {**data["spent"], "calls": number}
            journal.append(event.kind, **data)
    budget = Budget.model_validate(config["budget"])
    study = open_study(out)
    study.planner = study.planner if planner is None else planner(study)
    return study.run(
        budget, config["seed"], out=out, resume=True, refine=config["refine"], gate=config["gate"],
        hold_out=config.get("hold_out"),
    )  # fmt: skip


def _one_config(folders: Sequence[Folder]) -> dict[str, Any]:
    configs = []
    for folder in folders:
        path = folder.root / "config.json"
        if not path.is_file():
            raise ArtifactError(path, "is missing")
        configs.append({key: value for key, value in json.loads(path.read_bytes()).items() if key != "objective"})
        if configs[-1] != configs[0]:
            differ = sorted(key for key in {*configs[0], *configs[-1]} if configs[0].get(key) != configs[-1].get(key))
            raise InputError("runs", got=f"{folder.root.name} with another {', '.join(differ)}", expected="the same")
        if (folder.input / "knowledge.json").read_bytes() != (folders[0].input / "knowledge.json").read_bytes():
            raise InputError("runs", got=f"{folder.root.name} with other knowledge", expected="the same")
    return configs[0]


def _segments(events: Sequence[Event]) -> tuple[list[Event], dict[str, list[Event]]]:
    """(events up to the accepted objectives, events of each objective's pursuit by its id)."""
    head: list[Event] = []
    parts: dict[str, list[Event]] = {}
    current: list[Event] | None = None
    named = True
    for event in events:
        if event.kind in ("family", "budget", "held_out", "finish") or event.data.get("role") == "propose_hypotheses":
            break
        if event.kind == "question" and event.data["role"] == "plan_workflow" and named:
            current, named = [], False
        if current is None:
            head.append(event)
            continue
        current.append(event)
        if event.kind == "workflow" and not named:
            parts[event.data["workflow"]["objective"]] = current
            named = True
        if event.kind == "objective" and not named:  # refused, as no planner has a workflow for it
            parts[event.data["objective"]["id"]] = current
            named = True
    return head, parts


def _said(event: Event) -> tuple[str, str]:
    return event.kind, json.dumps({key: value for key, value in event.data.items() if key != "spent"}, sort_keys=True)


def _by_parent(name: str) -> tuple[int, list[int]]:
    places = [int(one) for one in name[1:].split(".")]
    return len(places), places
