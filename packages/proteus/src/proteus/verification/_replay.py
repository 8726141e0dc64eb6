"""`replay`: compute a run again from its input, and compare byte by byte; what a model said is in the journal."""

import json
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, version_of
from pydantic import BaseModel

from proteus.planning._expert import ExpertPlanner
from proteus.record._documents import raise_first
from proteus.record._journal import Event, event_data, read_journal
from proteus.record._ledger import digest_of
from proteus.record._objects import Budget, Settings
from proteus.record._planner import Planner, PlannerError, Question, Spent
from proteus.record._run_folder import Folder, read_frame, row_digests
from proteus.study._study import open_study
from proteus.verification._verify import record_problems

_NAMED = 5


class ReplayPlanner(Planner):
    """Answers as another planner did in a run whose journal is given; never connects.

    Args:
        events: of that run.
    """

    name = "replay"

    def __init__(self, events: Iterable[Event]) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], deque[dict[str, Any]]] = defaultdict(deque)
        self._records: dict[str, str] = {}
        asked: tuple[str, str] | None = None
        for event in events:
            data = event.data
            if event.kind == "run":
                self.name = data["planner"]  # pyright: ignore[reportAttributeAccessIssue]  the journals are to be equal
            elif event.kind == "finish":
                self._records = dict(data.get("calls", {}))
            elif event.kind == "question":
                asked = data["role"], data["digest"]
            elif asked is not None and event.kind in ("answer", "fallback"):
                self._said[asked].append(data)
                asked = None

    def records(self) -> dict[str, str]:
        """Those of the run itself: nothing is called again."""
        return self._records

    def ask(self, question: Question) -> BaseModel:
        """See `Planner.ask`. A question that was not asked then is an ArtifactError; a failure then fails again."""
        said = self._said[question.role, digest_of(question)]
        if not said:
            raise ArtifactError("events.jsonl", f"holds no answer to this question ({question.role}); results differ")
        data = said.popleft()
        if "answer" not in data:
            kind, _, reason = data["reason"].partition(": ")
            raise PlannerError(kind, reason)
        self.spent = Spent.model_validate(data["spent"])
        return question.answer.model_validate(data["answer"])


@dataclass
class Replay:
    """How a run came out when it was computed again.

    Attributes:
        files: how many were compared.
        differences: one line each, naming file and rows; empty if all bytes are equal.
    """

    files: int = 0
    differences: list[str] = field(default_factory=list)

    def check(self, path: Path) -> None:
        """Raise ArtifactError with the first difference, if there is one."""
        raise_first(path, self.differences)


def replay(run: str | Path, *, advance: Callable[[str], object] = lambda _: None) -> Replay:
    """Compute a finished run again, in a folder that is removed afterwards.

    A model is not asked: its answers are in the journal. Objectives, workflows, every step, gate, grades and ranks are
    computed.

    Raises:
        ArtifactError: if the run's journal, settings or input are damaged, or another version wrote it.
    """
    folder = Folder(Path(run))
    events = read_journal(folder.events)
    if not any(event.kind == "finish" for event in events):
        raise ArtifactError(folder.events, "the run did not finish; --resume goes on")
    made, now = event_data(events, "run").get("version"), version_of("proteus")
    if made != now:
        raise ArtifactError(
            folder.events, f"was written by proteus {made}, and {now} computes otherwise: replay it there"
        )
    config = _config(folder)
    planner = ExpertPlanner() if config["planner"] == ExpertPlanner.name else ReplayPlanner(events)
    study = open_study(folder.root, planner)
    with tempfile.TemporaryDirectory() as place:
        again = Folder(Path(place) / "run")
        stopped: list[str] = []
        try:
            budget = Budget.model_validate(config["budget"])
            study.run(budget, config["seed"], out=again.root, settings=Settings.of(config), advance=advance)
        except ArtifactError as error:
            if error.path != Path("events.jsonl"):
                raise
            stopped = [str(error)]
        found = _compare(folder, again)
        found.differences = [*record_problems(folder, events), *found.differences, *stopped]
        return found


def _config(folder: Folder) -> dict[str, Any]:
    path = folder.root / "config.json"
    try:
        config = json.loads(path.read_bytes())
        return config | {key: config[key] for key in ("planner", "budget", "seed", "refine", "gate")}
    except FileNotFoundError:
        raise ArtifactError(path, "is missing") from None
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(path, "is damaged") from None


def _compare(before: Folder, now: Folder) -> Replay:
    found = Replay()
    names = {one.name for side in (before, now) for one in side.artifacts.glob("*.parquet")}
    for name in sorted(names):
        _artifact(before.artifacts / name, now.artifacts / name, found)
    for name in ("graph.json", "hypotheses.json", "events.jsonl"):
        found.files += 1
        first, second = before.root / name, now.root / name
        if not first.is_file():
            found.differences.append(f"{name}: is missing")
        elif not second.is_file() or first.read_bytes() != second.read_bytes():
            found.differences.append(f"{name}: differs when computed again{_line(first, second)}")
    return found


def _artifact(before: Path, now: Path, found: Replay) -> None:
    found.files += 1
    name = f"artifacts/{before.name}"
    if not before.is_file() or not now.is_file():
        found.differences.append(f"{name}: is {'missing' if now.is_file() else 'not made when computed again'}")
        return
    if before.read_bytes() == now.read_bytes():
        return
    try:
        first = read_frame(before)
    except ArtifactError as error:
        found.differences.append(f"{name}: {error.reason}")
        return
    second = read_frame(now)
    if list(first.columns) != list(second.columns) or list(first["id"]) != list(second["id"]):
        found.differences.append(f"{name}: has other rows or columns when computed again")
        return
    rows = first.loc[np.not_equal(row_digests(first), row_digests(second)), "id"].tolist()
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    named = f"row{'s' if len(rows) > 1 else ''} {', '.join(map(repr, rows[:_NAMED]))}{more} come out otherwise"
    found.differences.append(f"{name}: {named if rows else 'has equal values and other bytes'}")


def _line(first: Path, second: Path) -> str:
    """Where two text files part."""
    if not second.is_file():
        return ": it is not made"
    lines = [path.read_text(encoding="utf-8", errors="replace").splitlines() for path in (first, second)]
    place = next((n for n, (a, b) in enumerate(zip(*lines, strict=False), 1) if a != b), min(map(len, lines)) + 1)
    return f", from line {place}"
