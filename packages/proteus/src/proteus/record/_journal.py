"""The journal of a run: one JSON event a line, each with the hash of the line before, so that no line can be changed,
taken out or put in without the chain showing where.

It holds no times and no paths: the same run gives the same bytes. `tip` is what a reader compares two runs by.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError
from ninefold.report import plain

_FORMAT = 1
START = "proteus.events"


@dataclass(frozen=True)
class Event:
    """A line: its place from 0, its kind, what it says, and the hash of everything up to it."""

    n: int
    kind: str
    data: dict[str, Any]
    hash: str


class Journal:
    """An open journal; `append` flushes to disk before it returns. One writer: the run's lock sees to it."""

    def __init__(self, path: str | Path) -> None:
        """Open or make `path`. A half line that a kill left at the end is cut off.

        Raises:
            ArtifactError: naming the line at which the chain breaks.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)
        self.events = read_journal(self.path)

    @property
    def tip(self) -> str:
        """Hash of all that was written."""
        return self.events[-1].hash if self.events else _first()

    def append(self, kind: str, **data: Any) -> Event:
        """Write an event (values as JSON; NaN and infinities become null)."""
        n, value = len(self.events), plain(data)
        event = Event(n, kind, value, _hash(self.tip, n, kind, value))
        line = {"n": n, "kind": kind, "data": value, "hash": event.hash}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.events.append(event)
        return event

    def of(self, kind: str) -> list[Event]:
        """Events of one kind, in order."""
        return [one for one in self.events if one.kind == kind]


def read_journal(path: str | Path) -> list[Event]:
    """All events of a journal, its chain checked.

    Raises:
        ArtifactError: missing, of a newer format, or changed; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(path, "is missing")
    events: list[Event] = []
    for number, line in enumerate(_lines(path), 1):
        before = events[-1].hash if events else _first()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            value = json.loads(line)
            event = Event(value["n"], value["kind"], value["data"], value["hash"])
            if event.n == len(events) and event.hash == _hash(before, event.n, event.kind, event.data):
                events.append(event)
                continue
        raise ArtifactError(path, f"line {number} was changed, or one before it was taken out: its hash does not fit")
    return events


def event_data(events: Sequence[Event], kind: str, *, last: bool = False) -> dict[str, Any]:
    """What the first event of a kind says, or the last one; nothing where there is none."""
    return next((one.data for one in (reversed(events) if last else events) if one.kind == kind), {})


def _lines(path: Path) -> Iterator[bytes]:
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        raise ArtifactError(path, "ends inside a line: the run was killed there; --resume mends it")
    yield from text.splitlines()


def _first() -> str:
    return hashlib.sha256(f"{START} {_FORMAT}".encode()).hexdigest()


def _hash(before: str, n: int, kind: str, data: Any) -> str:
    text = json.dumps([before, n, kind, data], sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
