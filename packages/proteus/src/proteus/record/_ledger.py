"""What a run remembers: its journal, and look-up of answers and steps that an interrupted run had finished.

A resumed run goes through the same loop; each question whose answer is in the journal, and each step whose result is,
is taken from there. So no finished step is run again and no paid call is made again, whatever the planner.
"""

from typing import Any

import numpy as np
from ninefold.files import digest
from ninefold.report import plain

from proteus.record._journal import Event, Journal
from proteus.record._objects import Record, Step, StepResult


class MemoryLog:
    """A journal without a file, for runs that keep no folder."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, kind: str, **data: Any) -> Event:
        """Add an event."""
        event = Event(len(self.events), kind, data, "")
        self.events.append(event)
        return event


class Ledger:
    """Events written by this run, laid over those of an interrupted one."""

    def __init__(self, log: Journal | MemoryLog) -> None:
        self.log = log
        self._place = 0  # events before this one were met again by this run
        self._old = len(log.events)
        self.recalled = 0

    def note(self, kind: str, **data: Any) -> None:
        """Write an event, unless the interrupted run has written this very one at this place."""
        if self._place < self._old:
            event = self.log.events[self._place]
            if event.kind == kind and event.data == plain(data):
                self._place += 1
                return
            self._place = self._old  # the runs part here; what follows is new
        self.log.append(kind, **data)

    def recall(self, kind: str, **match: Any) -> dict[str, Any] | None:
        """Data of the interrupted run's next event, if it is of this kind and has these values."""
        if self._place < self._old:
            event = self.log.events[self._place]
            if event.kind == kind and all(event.data.get(key) == value for key, value in match.items()):
                self._place += 1
                self.recalled += 1
                return event.data
        return None


def digest_of(record: Record) -> str:
    """Digest of a question or a step, which says whether it is the same one."""
    return digest(record.model_dump_json().encode())


def step_key(objective: str, step: Step, version: int) -> dict[str, Any]:
    """What says that a recorded step is this one."""
    return {"objective": objective, "workflow_version": version, "digest": digest_of(step)}


def as_result(data: dict[str, Any]) -> StepResult:
    """A recorded result."""
    return StepResult.model_validate(data["result"])


def plain_metrics(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values only: numpy numbers as python's, NaN and infinity as None."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return plain(values)
