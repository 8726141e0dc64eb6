"""`verify`: is a run what it was when it finished? Every file against the journal, every printed number against its
cell."""

import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError
from ninefold.files import digest_file

from proteus.data._data import ProteomicsData
from proteus.llm._calls import Calls
from proteus.record._cited import COLUMNS, Evidence, pieces, read_evidence
from proteus.record._documents import changed_file, raise_first
from proteus.record._journal import Event, event_data, read_journal
from proteus.record._objects import DatasetProfile, Hypothesis, Ref
from proteus.record._run_folder import Folder, changed_rows
from proteus.study._gate import Evidence as Gate
from proteus.verification._export import CSV, csv_text, result_table
from proteus.verification._report import render_report

PRINTED = re.compile(
    r'<a class="cell"[^>]* data-artifact="([^"]*)" data-row="([^"]*)" data-column="([^"]*)"[^>]*>([^<]*)</a>'
)
_CHECKED_AT_THE_END = ("graph.json", "hypotheses.json")
_NAMED = 5


@dataclass
class Verification:
    """What was looked at, and what is wrong.

    Attributes:
        events, files, findings, numbers, sentences: how many were checked.
        problems: one line each, naming file and row, worst first; empty if the run is whole.
    """

    events: int = 0
    files: int = 0
    findings: int = 0
    numbers: int = 0
    sentences: int = 0
    problems: list[str] = field(default_factory=list)

    def check(self, path: Path) -> None:
        """Raise ArtifactError with the first problem, if there is one."""
        raise_first(path, self.problems)


def verify(run: str | Path) -> Verification:
    """Check a run folder without computing anything anew (that is `replay`).

    Raises:
        ArtifactError: only if there is no journal to check against; all else is listed.
    """
    folder = Folder(Path(run))
    if not folder.events.is_file():
        raise ArtifactError(folder.root, "holds no run: events.jsonl is missing")
    done = Verification()
    try:
        events = read_journal(folder.events)
    except ArtifactError as error:
        done.problems.append(_inside(folder, error))
        return done
    done.events = len(events)
    _input(folder, events, done)
    _artifacts(folder, events, done)
    _results(folder, events, done)
    done.problems += record_problems(folder, events)
    try:
        Calls(folder.llm)
    except ArtifactError as error:
        done.problems.append(_inside(folder, error))
    if not done.problems:
        evidence = read_evidence(folder)
        _findings(evidence, done)
        first = event_data(events, "run").get("profile")
        _statements(evidence, None if first is None else DatasetProfile.model_validate(first), done)
        _report(evidence, done)
        _table(folder, done)
    return done


def _inside(folder: Folder, error: ArtifactError) -> str:
    """An error's words with the path inside the run."""
    path = error.path
    return f"{path.relative_to(folder.root) if path.is_relative_to(folder.root) else path}: {error.reason}"


def _input(folder: Folder, events: list[Event], done: Verification) -> None:
    """The table fits its own digests, and what the run was given is what its first event says."""
    given = event_data(events, "run").get("input", {})
    for name, digest in given.items():  # a run of an earlier version does not say
        done.problems += changed_file(folder.input / name, digest, f"input/{name}")
        done.files += 1
    try:
        ProteomicsData.open(folder.input / "table")
        done.files += 4
    except ArtifactError as error:
        done.problems.append(_inside(folder, error))


def _artifacts(folder: Folder, events: list[Event], done: Verification) -> None:
    """Tables, and their rows' digests, as the journal has them."""
    known: dict[str, str] = {}
    for event in events:
        known.update(event.data.get("files", {}))
    for name, digest in known.items():
        path = folder.artifacts / name
        done.files += 1
        if not path.is_file():
            done.problems.append(f"artifacts/{name}: is missing")
        elif digest_file(path) != digest:
            done.problems.append(f"artifacts/{name}: {_what_changed(folder, name, known)}")
    there = {path.name for path in folder.artifacts.iterdir()} if folder.artifacts.is_dir() else set()
    foreign = sorted(name for name in there - set(known) if not name.startswith("."))
    done.problems += [f"artifacts/{name}: was not made by this run" for name in foreign]


def _what_changed(folder: Folder, name: str, known: dict[str, str]) -> str:
    """In words, with the rows where they are known."""
    path = folder.artifacts / name
    if path.suffix == ".rows":
        return "was changed: its digest does not fit"
    rows = path.with_suffix(".rows")
    if not rows.is_file() or digest_file(rows) != known.get(rows.name):
        return "was changed, and its row digests too: `replay` shows the rows"
    try:
        changed = changed_rows(path)
    except ArtifactError as error:
        return error.reason
    if not changed:
        return "was written anew with the same values"
    words = ", ".join(map(repr, changed[:_NAMED])) + (f" and {len(changed) - _NAMED} more" if changed[_NAMED:] else "")
    return f"row{'s' if len(changed) > 1 else ''} {words} changed"


def _results(folder: Folder, events: list[Event], done: Verification) -> None:
    last = event_data(events, "finish", last=True)
    if not last:
        done.problems.append("events.jsonl: the run did not finish; --resume goes on")
        return
    for name in _CHECKED_AT_THE_END:
        done.problems += changed_file(folder.root / name, last["digests"].get(name), name)
        done.files += 1


def record_problems(folder: Folder, events: list[Event]) -> list[str]:
    """Records of a model's calls that are not there, or not what they were when the run finished; one line each.

    A run that an earlier version made does not say what they were; calls of a judge come after it.
    """
    calls = event_data(events, "finish", last=True).get("calls", {})
    return [one for name, digest in calls.items() for one in changed_file(folder.llm / name, digest, f"llm/{name}")]


def _findings(evidence: Evidence, done: Verification) -> None:
    """Each finding's row is there, and says what the finding says, in the columns of the same meaning."""
    for one in evidence.findings.values():
        done.findings += 1
        file = f"artifacts/{one.artifact}.parquet"
        frame = evidence.artifacts.frame(one.artifact)
        if not (frame["id"] == one.row).any():
            done.problems.append(f"{file}: has no row {one.row!r}, which graph.json cites")
            continue
        row = frame.loc[frame["id"] == one.row].iloc[0]
        for name, column in COLUMNS.items():
            told = getattr(one, name)
            if told is not None and column in frame and not np.isclose(told, row[column], rtol=1e-9, atol=0):
                done.problems.append(f"{file}: row {one.row!r}, {column} is {row[column]:g}; graph.json says {told:g}")


def _statements(evidence: Evidence, profile: DatasetProfile | None, done: Verification) -> None:
    for one in evidence.hypotheses:
        try:
            made = list(pieces(one.statement, one.numbers, evidence.artifacts))
            for text in (one.prose, one.mechanism, *one.alternatives):
                made += pieces(text, one.own_numbers, evidence.artifacts)
            done.numbers += sum(not isinstance(piece, str) for piece in made)
            if one.version > 1 and profile is not None:
                _same_sentence(one, evidence, profile, done)
        except ArtifactError as error:
            done.problems.append(f"{_inside(evidence.folder, error)}; {one.id} cites it")


def _same_sentence(one: Hypothesis, evidence: Evidence, profile: DatasetProfile, done: Verification) -> None:
    """The statement is that of the first finding and what is joined to it, made again from their slots."""
    done.sentences += 1
    text, numbers = Gate(evidence.findings, evidence.artifacts.frame, profile).said(one)
    if one.statement != text or one.numbers != numbers:
        done.problems.append(f"hypotheses.json: {one.id} does not say what {one.evidence[0]!r} says: {text!r}")


def _table(folder: Folder, done: Verification) -> None:
    """The result table, where there is one, is what the artifacts give."""
    path = folder.root / CSV
    if not path.is_file():
        return
    done.files += 1
    if path.read_text(encoding="utf-8") != csv_text(result_table(folder)):
        done.problems.append(f"{CSV}: is not what the run's artifacts give")


def _report(evidence: Evidence, done: Verification) -> None:
    """Each number that the page prints is the one in its cell, and each word the one that the run's files give."""
    path = evidence.folder.report
    if not path.is_file():
        done.problems.append("report.html: is missing; `run --resume` writes it again")
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    wrong = len(done.problems)
    for found in PRINTED.finditer(text):
        artifact, row, column, printed = map(unescape, found.groups())
        done.numbers += 1
        try:
            right = evidence.artifacts.text(Ref(artifact=artifact, row=row, column=column))
        except ArtifactError as error:
            done.problems.append(f"report.html: prints {printed}; {_inside(evidence.folder, error)}")
            continue
        if printed != right:
            place = f"artifacts/{artifact}.parquet, row {row!r}, {column}"
            done.problems.append(f"report.html: prints {printed} where {place} is {right}")
    if len(done.problems) == wrong:
        lines, made = text.splitlines(), render_report(evidence.folder).splitlines()
        place = next((n for n, (a, b) in enumerate(zip(lines, made, strict=False), 1) if a != b), None)
        if place is None and len(lines) != len(made):
            place = min(len(lines), len(made)) + 1
        if place is not None:
            done.problems.append(f"report.html: line {place} is not what the run's files give")
