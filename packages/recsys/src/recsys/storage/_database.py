"""SQLite and PostgreSQL by URL, through one small dialect of SQL that both understand."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ninefold.errors import ArtifactError, InputError, NinefoldError, require

_POSTGRESQL = ("postgresql", "postgres")
_IDENTITY = {False: "INTEGER PRIMARY KEY AUTOINCREMENT", True: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}


class StorageError(NinefoldError):
    """A store that cannot be read or written: a full disk, a lock of another process, a server that is down."""


def is_url(text: str | Path) -> bool:
    """Whether a place is named by a URL with a scheme, and not by a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", str(text)) is not None


def shown(url: str) -> str:
    """A URL without its password, as messages may show it."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///FILE` (relative) or `sqlite:////FILE` (absolute).

    Raises:
        InputError: if the URL names no file.
    """
    rest = url.split("://", 1)[1]
    if not rest.startswith("/") or len(rest) < 2 or "?" in rest:
        raise InputError(f"URL {shown(url)}", expected="sqlite:///FILE, with three slashes (four: an absolute path)")
    return Path(unquote(rest[1:]))


class Database:
    """An open database; statements mark values with `?` and are committed one by one outside `transaction`.

    Args:
        url: `sqlite:///FILE` (made if it is not there) or `postgresql://USER@HOST/NAME` (needs the extra `postgresql`).
        wait: seconds to wait for another process that writes, and for a server to accept the connection.
    Raises:
        InputError: for another URL, or a server that refuses the connection.
        ArtifactError: for a file that is no SQLite database.
        MissingExtraError: without psycopg.
    """

    def __init__(self, url: str, *, wait: float = 5.0) -> None:
        self.url, self.name = url, shown(url)
        self.is_server = urlsplit(url).scheme in _POSTGRESQL
        self.identity = _IDENTITY[self.is_server]
        if self.is_server:
            driver: Any = require("psycopg", "recsys", "postgresql")
            self._error: type[Exception] = driver.Error
            try:
                self._base: Any = driver.connect(url, autocommit=True, connect_timeout=max(2, round(wait)))
            except (driver.Error, UnicodeError) as error:
                raise InputError(f"URL {self.name}", got=_line(error), expected="a server that accepts it") from None
            self._base.execute("SET client_min_messages = warning")
            self._base.execute(f"SET lock_timeout = {round(wait * 1000)}")
        elif urlsplit(url).scheme == "sqlite":
            self._error, path = sqlite3.Error, sqlite_path(url)
            try:
                self._base = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.execute("PRAGMA synchronous=NORMAL")
            except sqlite3.Error as error:
                raise ArtifactError(path, f"cannot be used as an SQLite database: {error}") from None
        else:
            raise InputError(f"URL {self.name}", expected="sqlite:///FILE or postgresql://USER@HOST/NAME")

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of one statement.

        Raises:
            StorageError: if the database refuses it.
        """
        try:
            cursor = self._base.execute(self._own(statement), tuple(values))
            return [] if cursor.description is None else cursor.fetchall()
        except self._error as error:
            raise StorageError(f"{self.name}: {_line(error)}") from None

    def insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row, within the open transaction if there is one."""
        try:
            self._base.cursor().executemany(self._own(statement), list(rows))
        except self._error as error:
            raise StorageError(f"{self.name}: {_line(error)}") from None

    @contextlib.contextmanager
    def transaction(self, lock: str | None = None) -> Iterator[None]:
        """All statements within, or none. Writers with the same `lock` follow one another: their order of commits is
        the order of their rows' numbers."""
        try:
            if self.is_server:
                with self._base.transaction():
                    if lock is not None:
                        self._base.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (lock,))
                    yield
                return
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
        except self._error as error:
            raise StorageError(f"{self.name}: {_line(error)}") from None

    def columns(self, table: str) -> list[str] | None:
        """Names of a table's columns; None if there is no such table."""
        if self.is_server:
            found = self.run("SELECT to_regclass(?) IS NOT NULL", (f'"{table}"',))[0][0]
        else:
            found = self.run(
                "SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?", (table,)
            )
            found = found[0][0]
        if not found:
            return None
        try:
            return [one[0] for one in self._base.execute(f'SELECT * FROM "{table}" LIMIT 0').description]
        except self._error as error:
            raise StorageError(f"{self.name}: {_line(error)}") from None

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        self._base.close()

    def _own(self, statement: str) -> str:
        return statement.replace("?", "%s") if self.is_server else statement


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
