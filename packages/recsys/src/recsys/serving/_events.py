"""Events that come in while a model is served: an append-only SQLite file that all workers write and follow.

An event that was acknowledged is in the file (write-ahead log, committed): a killed worker loses none. A disk that is
full or a file that cannot be written is an error before the acknowledgement.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ninefold.errors import ArtifactError, NinefoldError, version_of

_FORMAT = 1


class StorageError(NinefoldError):
    """Events could not be written: the disk is full, or the file is locked, read-only or gone."""


class Event(NamedTuple):
    """One event with original ids; `context` holds what the model's events have besides user, item, value and time."""

    user: Any
    item: Any
    value: float | None
    time: int | None
    context: dict[str, Any]


class EventLog:
    """Events in the order in which they came; each process opens its own.

    Args:
        path: the file, made if it is not there.
        wait: seconds to wait for another process that writes.
    Raises:
        ArtifactError: if there is a file that is no event log, or one of a newer format.
    """

    def __init__(self, path: str | Path, *, wait: float = 5.0) -> None:
        self.path = Path(path)
        try:
            self._base = sqlite3.connect(self.path, timeout=wait, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.execute("CREATE TABLE IF NOT EXISTS about (format INTEGER, writer TEXT)")
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS events (place INTEGER PRIMARY KEY AUTOINCREMENT, user BLOB, item BLOB, "
                "value REAL, time INTEGER, context TEXT)"
            )
            held = self._base.execute("SELECT format FROM about").fetchone()
            if held is None:
                self._base.execute("INSERT INTO about VALUES (?, ?)", (_FORMAT, f"recsys {version_of('recsys')}"))
            elif held[0] > _FORMAT:
                raise ArtifactError(self.path, f"is an event log of format {held[0]}, newer than {_FORMAT}")
        except sqlite3.Error as error:
            raise ArtifactError(self.path, f"cannot be used as an event log: {error}") from None

    def append(self, events: Iterable[Event]) -> int:
        """Write all events or none; returns the place of the last.

        Raises:
            StorageError: if they could not be written; none of them is there then.
        """
        rows = [(one.user, one.item, one.value, one.time, json.dumps(one.context, default=str)) for one in events]
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                self._base.executemany("INSERT INTO events (user, item, value, time, context) VALUES (?,?,?,?,?)", rows)
                last = self._base.execute("SELECT max(place) FROM events").fetchone()[0] or 0
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StorageError(f"{self.path.name}: {error}") from None
        return int(last)

    def since(self, place: int) -> tuple[int, list[Event]]:
        """(place of the last event, all events after `place`): what other workers wrote, too.

        Raises:
            StorageError: if the file cannot be read.
        """
        query = "SELECT place, user, item, value, time, context FROM events WHERE place > ? ORDER BY place"
        try:
            rows = self._base.execute(query, (place,)).fetchall()
            found = [Event(row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]
            return rows[-1][0] if rows else place, found
        except (sqlite3.Error, ValueError) as error:
            raise StorageError(f"{self.path.name}: {error}") from None

    def close(self) -> None:
        """Close the file; what was acknowledged stays."""
        self._base.close()
