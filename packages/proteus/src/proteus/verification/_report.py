"""`report.html`: one self-contained page of a run, in which each number of a result is a link to its cell."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError
from ninefold.files import write_text

from proteus.knowledge._addresses import of_protein, of_set
from proteus.llm._calls import Calls
from proteus.planning._headline import unit_of
from proteus.record._cited import COLUMNS, Evidence, pieces, read_evidence
from proteus.record._documents import judged
from proteus.record._journal import Event, event_data, read_journal
from proteus.record._objects import DatasetProfile, Finding, Hypothesis, Ref
from proteus.record._run_folder import Folder, read_frame, shown
from proteus.verification._drawn import tree, volcano
from proteus.verification._export import contrasts_of, counts, methods
from proteus.verification._plots import draw
from proteus.verification._scoring import beside_replication
from proteus.verification._summary import rests_on, shared_alternatives, summary_of, title_of, without_numbers

_TOP, _TREES = 15, 8
_EXPLORED = 6000  # rows of a contrast that can be searched
_WIDE = 800  # pixels from which a picture scrolls on a telephone
_ARTIFACT = re.compile(r"(?P<objective>O[\d.]+)\.(?P<step>S\d+)\.v(?P<version>\d+)\.")
_SIGNS = {1: "up", -1: "down", 0: "no direction"}


@dataclass(frozen=True)
class _Cell:
    """A number on the page."""

    text: str
    ref: Ref
    anchor: str


def write_report(run: str | Path) -> Path:
    """Draw the pictures and write the page of a finished run; returns its path.

    Raises:
        ArtifactError: naming what of the run is missing or damaged.
    """
    folder = Folder(Path(run))
    captions = dict(draw(folder))
    write_text(folder.plots / "captions.json", json.dumps(captions, indent=1) + "\n")
    write_text(folder.report, render_report(folder))
    return folder.report


def render_report(folder: Folder) -> str:
    """The page's HTML, from the run's files alone: the same files give the same bytes."""
    from jinja2 import Environment, StrictUndefined

    events, evidence = read_journal(folder.events), read_evidence(folder)
    page = _Page(evidence)
    marks = judged(folder.judge)
    hypotheses = [page.hypothesis(one, marks.get(one.id)) for one in evidence.hypotheses]
    first = event_data(events, "run")
    calls, explored = Calls(folder.llm), _explore(folder, events)
    profile = DatasetProfile.model_validate(first["profile"]) if "profile" in first else None
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(
        resources.files("proteus.verification").joinpath("report.html").read_text("utf-8")
    )
    return template.render(
        title=title_of(events),
        summary=summary_of(events, evidence.hypotheses, _objectives(events), page.parts) or [[_nothing(evidence)]],
        facts=_facts(events, evidence),
        replication=[(*row, shown(rho)) for *row, rho in beside_replication(folder)],
        warnings=[str(one) for one in first.get("profile", {}).get("warnings", [])],
        replies=[page.reply(one.data) for one in events if one.kind == "reply"],
        not_asked=[name for one in events if one.kind == "not_asked" for name in one.data["contrasts"]],
        hypotheses=[one for one in hypotheses if one["joined"]],
        single=[one for one in hypotheses if not one["joined"]],
        assay=first.get("profile", {}).get("assay", "unknown"),
        trees=page.trees(profile),
        volcano=_volcano(explored, profile),
        common=[shared_alternatives([one for one in hypotheses if one["joined"] == kind]) for kind in (True, False)],
        nothing=_nothing(evidence),
        refused=_refused(events),
        objectives=(objectives := _objectives(events)),
        pictures=_place_pictures(folder, objectives),
        tables=page.tables(),
        origin=_origin(folder, first, events),
        ledger=_rounded(calls) if calls.records else None,
        explore=explored,
        script=(script := resources.files("proteus.verification").joinpath("report.js").read_text("utf-8")),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        counts=counts(events),
        one_cohort=not any(one.kind == "replication" for one in events),
        methods=methods(events),
    )


def _explore(folder: Folder, events: Sequence[Event]) -> dict[str, list[list[Any]]]:
    """By contrast [name, effect, p, q, values modelled] of features with an effect, rounded, smallest p first."""
    made = {}
    for contrast, data in contrasts_of(events).items():
        frame = read_frame(folder.artifact(data["result"]["artifacts"]["features"])).sort_values("p", kind="stable")
        frame = frame[frame["effect"].notna() & frame["p"].notna()].head(_EXPLORED)
        columns = [[float(f"{value:.4g}") for value in frame[name]] for name in ("effect", "p", "q")]
        columns.append([int(one) for one in frame["modelled"]] if "modelled" in frame else [0] * len(frame))
        made[contrast] = [list(row) for row in zip(frame["entity"].astype(str), *columns, strict=True)]
    return {name: rows for name, rows in made.items() if rows}


def _volcano(explored: Mapping[str, list[list[Any]]], profile: DatasetProfile | None) -> tuple[str, str] | None:
    """(contrast, picture) of the first contrast; None where there is none."""
    name = next(iter(explored), None)
    if name is None or profile is None:
        return None
    return name, volcano(explored[name], unit_of("changed_in", name, profile))


def _nothing(evidence: Evidence) -> str:
    """What stands instead of hypotheses."""
    passed = len(evidence.findings)
    if not passed:
        return "None: no finding passed. That is a result."
    return f"None, though {passed} finding{'s' * (passed > 1)} passed: no proposal about them was accepted."


def _refused(events: Sequence[Event]) -> list[int]:
    """Lines of the journal with what the gate refused; its words, which may be made up, stay there."""
    return [number for number, event in enumerate(events, 1) if event.kind == "gate" and not event.data["accepted"]]


class _Page:
    """Numbers and the tables they are in."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._artifacts = list(dict.fromkeys(one.artifact for one in evidence.findings.values()))
        self._cited: dict[str, set[str]] = {name: set() for name in self._artifacts}

    def _anchor(self, artifact: str, row: str, column: str = "") -> str:
        """A name for a cell or a row; positions, so that no text of a table is in it."""
        frame = self.evidence.artifacts.frame(artifact)
        found = np.flatnonzero((frame["id"] == row).to_numpy())
        if len(found) != 1 or (column and column not in frame):
            path = self.evidence.folder.artifact(artifact)
            raise ArtifactError(path, f"has no row {row!r}" if len(found) != 1 else f"has no column {column!r}")
        place = f"t{self._artifacts.index(artifact)}r{found[0]}" if artifact in self._artifacts else "t"
        return f"{place}c{frame.columns.get_loc(column)}" if column else place

    def _number(self, text: str, ref: Ref) -> _Cell:
        if ref.artifact not in self._artifacts:
            self._artifacts.append(ref.artifact)
        self._cited.setdefault(ref.artifact, set()).add(ref.row)
        return _Cell(text, ref, self._anchor(ref.artifact, ref.row, ref.column))

    def parts(self, text: str, numbers: Mapping[str, Ref]) -> list[str | _Cell]:
        """A text's words, and its numbers as cells."""
        made = pieces(text, numbers, self.evidence.artifacts)
        return [one if isinstance(one, str) else self._number(one.text, one.ref) for one in made]

    def _finding(self, one: Finding) -> tuple[str, list[str | _Cell]]:
        """(anchor of its row, words and numbers)."""
        self._cited[one.artifact].add(one.row)
        parts: list[str | _Cell] = [f"{one.entity} {one.relation.replace('_', ' ')} {one.target}, {_SIGNS[one.sign]}"]
        frame = self.evidence.artifacts.frame(one.artifact)
        for name, column in COLUMNS.items():
            if name in ("effect", "q", "n") and getattr(one, name) is not None and column in frame:
                ref = Ref(artifact=one.artifact, row=one.row, column=column)
                parts += [f", {name} ", self._number(self.evidence.artifacts.text(ref), ref)]
        return self._anchor(one.artifact, one.row), parts

    def reply(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to the user's question, as the template takes it."""
        lines = [
            self.parts(one["text"], {key: Ref.model_validate(ref) for key, ref in one["numbers"].items()})
            for one in data["lines"]
        ]
        return {"question": data["question"], "lines": lines}

    def hypothesis(self, one: Hypothesis, mark: Mapping[str, Any] | None) -> dict[str, Any]:
        """As the template takes it."""
        findings = self.evidence.findings
        plan, lead = one.experiment, findings[one.evidence[0]]
        edges = [findings[edge.finding] for edge in one.joins]
        told = {edge.finding for edge in one.joins} - {lead.id}  # in the table of edges
        return {
            "id": one.id, "grade": one.grade, "firm": one.firm, "joined": one.joined,
            **without_numbers(self.parts(one.statement, one.numbers)),
            "entity": lead.entity, "sign": _SIGNS[lead.sign], "context": lead.target,
            "cells": {name: self._of(lead, name) for name in ("effect", "q")},
            "cohorts": [self._number(self.evidence.artifacts.text(ref), ref) for ref in one.cohorts],
            "edges": [
                {
                    "entity": edge.entity, "sign": _SIGNS[edge.sign], "rests": rests_on(lead, edge),
                    "cells": {name: self._of(edge, name) for name in ("effect", "low", "high", "q")},
                    "links": [] if edge.kind == "link" else of_protein(edge.entity, edge.row),
                }
                for edge in edges
            ],
            "links": of_protein(lead.entity, lead.row) if lead.kind == "feature" else of_set(lead.entity, lead.members),
            "members": [] if edges else lead.members,
            "prose": self.parts(one.prose, one.own_numbers) if one.prose else [],
            "mechanism": self.parts(one.mechanism, one.own_numbers) if one.mechanism else [],
            "evidence": [self._finding(findings[name]) for name in one.evidence if name not in told],
            "contrary": [self._finding(findings[name]) for name in one.contrary],
            "alternatives": [self.parts(text, one.own_numbers) for text in one.alternatives],
            "experiment": plan.assay if plan else "",
            "scores": _scores(one.scores.model_dump()),
            "judged": mark and {"samples": len(mark["reasons"]), "text": _scores(mark["mean"])}, "notes": one.notes,
        }  # fmt: skip

    def _of(self, one: Finding, name: str) -> _Cell | str:
        """A number of a finding as a cell, '' where it has none."""
        column = COLUMNS[name]
        if getattr(one, name) is None or column not in self.evidence.artifacts.frame(one.artifact):
            return ""
        ref = Ref(artifact=one.artifact, row=one.row, column=column)
        return self._number(self.evidence.artifacts.text(ref), ref)

    def trees(self, profile: DatasetProfile | None) -> list[str]:
        """Pictures of the first hypotheses whose members were tested by themselves."""
        findings, made = self.evidence.findings, []
        for one in self.evidence.hypotheses:
            members = [findings[edge.finding] for edge in one.joins if findings[edge.finding].kind == "feature"]
            if one.joined and members and len(made) < _TREES:
                lead = findings[one.evidence[0]]
                members = [lead, *members] if lead.kind == "feature" else members
                unit = unit_of(members[0].relation, members[0].target, profile) if profile is not None else "change"
                made.append(tree(one, lead, members, f"{unit}, {members[0].target}"))
        return made

    def tables(self) -> list[dict[str, Any]]:
        """Of each artifact the cited rows and the first by p."""
        made = []
        for name in self._artifacts:
            frame = self.evidence.artifacts.frame(name)
            order = np.argsort(frame["p"].to_numpy(float), kind="stable") if "p" in frame else np.arange(len(frame))
            chosen = frame["id"].isin(self._cited.get(name, set())).to_numpy(copy=True)  # pandas 3 lends its own
            chosen[order[:_TOP]] = True
            body = []
            for place in order[chosen[order]]:
                row = str(frame["id"].iloc[place])
                cells = [self._cell(name, row, str(column), frame[column].iloc[place]) for column in frame]
                body.append({"anchor": self._anchor(name, row), "cells": cells})
            columns = [str(one) for one in frame.columns]
            made.append({"name": name, "columns": columns, "rows": len(frame), "shown": len(body), "body": body})
        return made

    def _cell(self, artifact: str, row: str, column: str, value: Any) -> str | _Cell:
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "" if value is None else str(value)
        return _Cell(shown(value), Ref(artifact=artifact, row=row, column=column), self._anchor(artifact, row, column))


def _scores(scores: Mapping[str, float | None]) -> str:
    known = [f"{name} {'unknown' if value is None else shown(value)}" for name, value in scores.items()]
    return ", ".join(known) if any(value is not None for value in scores.values()) else ""


def _place_pictures(folder: Folder, objectives: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    """Pictures (caption, data, whether wide) to the objectives whose artifacts they show, those of earlier versions of
    a step to its workflow; returns the others."""
    captions = folder.plots / "captions.json"
    named: dict[str, str] = json.loads(captions.read_bytes()) if captions.is_file() else {}
    last: dict[tuple[str, str], int] = {}
    parts = {name: _ARTIFACT.match(name) for name in named}
    for found in filter(None, parts.values()):
        step = (found["objective"], found["step"])
        last[step] = max(last.get(step, 0), int(found["version"]))
    by_id = {one["id"]: one for one in objectives}
    rest = []
    for name, text in named.items():
        data = (folder.plots / name).read_bytes()
        wide = int.from_bytes(data[16:20], "big") > _WIDE  # where PNG has its width
        picture = (text, base64.b64encode(data).decode(), wide)
        found = parts[name]
        place = by_id.get(found["objective"]) if found else None
        if found is None or place is None:
            rest.append(picture)
        elif int(found["version"]) == last[found["objective"], found["step"]]:
            place["pictures"].append(picture)
        else:
            flow = next((one for one in place["workflows"] if one["version"] == int(found["version"])), place)
            flow["pictures"].append(picture)
    return rest


def _facts(events: Sequence[Event], evidence: Evidence) -> list[tuple[str, str]]:
    first, last = event_data(events, "run"), event_data(events, "finish", last=True)
    profile = first.get("profile", {})
    grades = {grade: sum(one.grade == grade for one in evidence.hypotheses) for grade in "ABC"}
    facts = [
        ("table", f"{profile.get('features')} features, {profile.get('samples')} samples, {profile.get('kind')}"),
        ("planner", str(first.get("planner", "unknown"))),
        ("hypotheses", ", ".join(f"{count} of grade {grade}" for grade, count in grades.items() if count) or "none"),
        ("findings", str(len(evidence.findings))),
    ]
    for line, event in enumerate(events, 1):
        if event.kind == "predicted" and event.data["rate"] is not None:
            name, rate, splits = (event.data[key] for key in ("contrast", "rate", "splits"))
            said = f"of what one half of the cohort calls in {name} the other half shows {shown(rate)}"
            facts.append(("predicted replication", f"{said} ({splits} splits; events.jsonl, line {line})"))
    if last.get("fallbacks"):
        facts.append(("the expert answered for the planner", ", ".join(last["fallbacks"])))
    if last.get("stopped"):
        facts.append(("partial: stopped by the budget", str(last["stopped"])))
    return facts


def _origin(folder: Folder, first: Mapping[str, Any], events: list[Event]) -> list[tuple[str, str]]:
    config = {}
    if (folder.root / "config.json").is_file():
        config = json.loads((folder.root / "config.json").read_bytes())
    settings = {"seed": first.get("seed"), **config}
    rows = [("version", str(first.get("version", "unknown"))), ("settings", json.dumps(settings, sort_keys=True))]
    return [*rows, ("journal", f"{len(events)} events, last hash {events[-1].hash if events else 'none'}")]


def _objectives(events: Iterable[Event]) -> list[dict[str, Any]]:
    """By id: question, workflows with the outcome of each step, refinements, summary, family."""
    made: dict[str, dict[str, Any]] = {}
    for event in events:
        data = event.data
        if event.kind == "objective":
            aim = data["objective"]
            known = made.get(aim["id"])
            proposal = not data["accepted"] and (known is None or known["question"] != aim["question"])
            entry = made.setdefault(
                f"proposal {event.n}" if proposal else aim["id"],
                {"workflows": [], "refinements": [], "summary": "", "family": "", "verdict": "-", "refused": "",
                 "failed": "",
                 "pictures": []},
            )  # fmt: skip
            entry |= {"id": "proposed:" if proposal else aim["id"], "question": aim["question"]}
            entry["template"] = aim["template"]
            entry["rationale"] = aim.get("rationale", "")
            if not data["accepted"]:
                entry["refused"] = data["reason"]
        elif event.kind == "workflow":
            flow = data["workflow"]
            steps = [{**one, "params": _pairs(one["params"]), "outcome": ""} for one in flow["steps"]]
            made[flow["objective"]]["workflows"].append(
                {**flow, "steps": steps, "reason": data["reason"], "pictures": []}
            )
        elif event.kind == "step":
            result = data["result"]
            if result["status"] == "failed" and not made[data["objective"]]["failed"]:
                made[data["objective"]]["failed"] = result["error"]
            said = result["error"] or f"{result['status']}; {_pairs(result['metrics'])}"
            for step in made[data["objective"]]["workflows"][-1]["steps"]:
                if step["id"] == result["step"]:
                    step["outcome"] = f"{said} (events.jsonl, line {event.n + 1})"
        elif event.kind == "refinement" and data["action"] != "continue":
            change = {"action": data["action"], "reason": data["reason"], "trigger": _pairs(data["trigger"])}
            made[data["objective"]]["refinements"].append({**change, "line": event.n + 1, "changed": ""})
        elif event.kind == "changed" and made[data["objective"]]["refinements"]:
            said = (
                f"Hits before {data['before']}, after {data['after']}; gained {data['gains']}, lost {data['losses']}."
            )
            made[data["objective"]]["refinements"][-1]["changed"] = said
        elif event.kind == "summary":
            made[data["objective"]]["summary"] = data["answer"]
        elif event.kind == "family":
            passed = "passed" if data["passed"] else "did not pass"
            made[data["objective"]]["verdict"] = f"{passed}, Simes p {shown(data['simes'])}"
            made[data["objective"]]["family"] = (
                f"Family {data['position']}: {data['size']} tests, Simes p {shown(data['simes'])}, {passed} the "
                f"control over the run; {data['rejected']} rejected (events.jsonl, line {event.n + 1})"
            )
    return list(made.values())


def _pairs(values: Mapping[str, Any]) -> str:
    """Short words for parameters and metrics."""
    short = {key: value for key, value in values.items() if not isinstance(value, (list, dict)) or len(str(value)) < 80}
    return ", ".join(f"{key} {shown(value) if isinstance(value, float) else value}" for key, value in short.items())


def _rounded(calls: Calls) -> dict[str, Any]:
    table = calls.ledger()
    rows = [[shown(one) if isinstance(one, float) else str(one) for one in row] for row in table.rows]
    return {"columns": table.columns, "rows": rows}
