"""Places for lists: a Parquet or CSV file, a table of a database, a Redis hash. Whole or absent, and resumable.

Each place keeps finished blocks next to the final lists, together with the settings of the run. A block and the note
that it is there are one commit, so that a killed run loses no block and writes none twice; the last step puts all of
them in the place of the previous lists.
"""

from __future__ import annotations

import abc
import json
import re
import shutil
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from ninefold.errors import ArtifactError, InputError, require
from ninefold.files import atomic_file, foreign, mark, refuse_existing
from ninefold.run import Run

from recsys.storage._database import Database, StorageError, is_url, shown

FORMS = "a .parquet or .csv file, sqlite:///FILE, postgresql://USER@HOST/NAME or redis://HOST/0"
_NOTES = "recsys_lists"  # table of a database: which lists this package wrote, and how far a run got
_FORCE = "--force (force=True) replaces them"


class Place(abc.ABC):
    """Where a run writes its lists, block by block."""

    @abc.abstractmethod
    def has(self, block: int) -> bool:
        """Whether an earlier, interrupted run wrote this block."""

    @abc.abstractmethod
    def write(self, block: int, lists: pa.Table) -> None:
        """Keep the lists of one block and the note that it is there, or neither."""

    @abc.abstractmethod
    def finish(self, blocks: int) -> int:
        """Put all blocks in the place of the previous lists, at once; the number of rows."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what the place holds open."""


def open_place(
    to: str | Path, settings: dict[str, Any], schema: pa.Schema, *, table: str | None = None, force: bool = False
) -> Place:
    """The place of lists that a path or URL names.

    Args:
        to: one of `FORMS`.
        settings: what a resumed run must share with the interrupted one.
        schema: of the lists; its names are the columns of a table.
        table: table of a database or key of a Redis hash, "lists" if None; refused for files.
        force: replace lists that this package wrote.
    Raises:
        InputError: for another URL, lists that exist, a table with other columns, or an interrupted run with other
            settings.
        MissingExtraError: without the driver that the URL needs.
    """
    if not is_url(to):
        if table is not None:
            raise InputError("--table", got=repr(table), expected="none: a file holds one table")
        return _File(Path(to), settings, force)
    table = "lists" if table is None else table
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,49}", table) or table == _NOTES:
        raise InputError("--table", got=repr(table), expected="a name of letters, digits and _, such as lists")
    scheme = urlsplit(str(to)).scheme
    if scheme in ("sqlite", "postgresql", "postgres"):
        return _Table(str(to), table, settings, schema, force)
    if scheme in ("redis", "rediss"):
        return _Hash(str(to), table, settings, force)
    raise InputError(f"URL {shown(str(to))}", expected=FORMS)


def is_lists(path: Path) -> bool:
    """Whether a file holds lists that this package wrote: a marked Parquet file, or a CSV file with their header."""
    if next(foreign(path, "recsys"), None) is None:
        return True
    with path.open("rb") as file:
        return file.readline(4096).rstrip().endswith(b'"rank","score","source"')


def marked(table: Any) -> Any:
    """An Arrow table or schema whose Parquet file says that this package wrote it."""
    return (table.with_metadata if isinstance(table, pa.Schema) else table.replace_schema_metadata)(
        {"writer": mark("recsys")}
    )


def _need_same(what: str, before: str, settings: dict[str, Any]) -> None:
    """InputError that names the settings in which an interrupted run differs from this one."""
    known, now = json.loads(before), json.loads(json.dumps(settings))
    pairs = {key: (known.get(key), now.get(key)) for key in sorted({**known, **now})}
    differ = [f"{key} was {was!r}, now {one!r}" for key, (was, one) in pairs.items() if was != one]
    if differ:
        hint = "--force (force=True) starts anew"
        raise InputError(f"interrupted run of {what}", got=", ".join(differ), expected="the same settings", hint=hint)


class _File(Place):
    """Parts in the folder `<path>.partial`, joined at the end."""

    def __init__(self, path: Path, settings: dict[str, Any], force: bool) -> None:
        if path.suffix not in (".parquet", ".csv"):
            raise InputError(f"file {path}", got=f"the ending {path.suffix!r}", expected=FORMS)
        refuse_existing(path, force, is_lists)
        self._path, self._force = path, force
        self._run = Run(path.with_name(f"{path.name}.partial"), settings)

    def has(self, block: int) -> bool:
        return self._part(block).exists()

    def write(self, block: int, lists: pa.Table) -> None:
        with atomic_file(self._part(block)) as temporary:
            pyarrow.parquet.write_table(lists, temporary)

    def finish(self, blocks: int) -> int:
        schema, rows = marked(pyarrow.parquet.read_schema(self._part(0))), 0
        made: Any = pyarrow.parquet.ParquetWriter if self._path.suffix == ".parquet" else pyarrow.csv.CSVWriter
        with (
            atomic_file(self._path, force=self._force, ours=is_lists) as temporary,
            made(temporary, schema) as writer,
        ):
            for block in range(blocks):
                try:
                    table = pyarrow.parquet.read_table(self._part(block))
                except (pa.ArrowInvalid, OSError) as error:
                    raise ArtifactError(self._part(block), f"is damaged ({error}); delete it and run again") from None
                writer.write_table(marked(table))
                rows += table.num_rows
        self._run.close()
        shutil.rmtree(self._run.path)
        return rows

    def close(self) -> None:
        self._run.close()

    def _part(self, block: int) -> Path:
        return self._run.checkpoints / f"part-{block:08d}.parquet"


class _Table(Place):
    """Rows in the table `<name>_partial`, moved to the table itself in one transaction.

    The table keeps its indexes and grants: its rows are replaced, not the table.
    """

    def __init__(self, url: str, table: str, settings: dict[str, Any], schema: pa.Schema, force: bool) -> None:
        self._base, self._force = Database(url), force
        self._table, self._partial, self._settings = table, f"{table}_partial", json.dumps(settings)
        self._what = f"table {table} in {self._base.name}"
        kinds = {name: _kind(schema.field(name).type) for name in schema.names}
        self._columns = ", ".join(f'"{name}"' for name in kinds)
        self._form = ", ".join(f'"{name}" {kind} NOT NULL' for name, kind in kinds.items())
        self._user = schema.names[0]
        try:
            for name in (table, self._partial):
                there = self._base.columns(name)
                if there is not None and there != schema.names:
                    raise InputError(
                        f"table {name} in {self._base.name}", got=f"columns {', '.join(there)}",
                        expected=f"columns {', '.join(schema.names)}", hint="choose another table with --table",
                    )  # fmt: skip
            with self._base.transaction(lock=_NOTES):
                self._base.run(
                    f"CREATE TABLE IF NOT EXISTS {_NOTES} "
                    "(name TEXT PRIMARY KEY, settings TEXT NOT NULL, blocks BIGINT NOT NULL, size BIGINT NOT NULL)"
                )
                self._may_replace()
                before = self._note(self._partial)
                if before is None and self._base.columns(self._partial) is not None:
                    raise InputError(f"table {self._partial}", got="a table of others", expected="a free name: --table")
                if before is not None and before[0] != self._settings:
                    if not force:
                        _need_same(self._what, before[0], settings)
                    self._base.run(f'DROP TABLE "{self._partial}"')
                    self._base.run(f"DELETE FROM {_NOTES} WHERE name = ?", (self._partial,))
                    before = None
                if before is None:
                    self._base.run(f'CREATE TABLE "{self._partial}" ({self._form})')
                    self._base.run(f"INSERT INTO {_NOTES} VALUES (?, ?, 0, 0)", (self._partial, self._settings))
            self._blocks = 0 if before is None else int(before[1])
        except BaseException:
            self._base.close()
            raise

    def has(self, block: int) -> bool:
        return block < self._blocks

    def write(self, block: int, lists: pa.Table) -> None:
        places = ", ".join("?" * lists.num_columns)
        rows = zip(*(column.to_pylist() for column in lists.columns), strict=True)
        with self._base.transaction(lock=_NOTES):
            self._still_mine(block)
            self._base.insert(f'INSERT INTO "{self._partial}" ({self._columns}) VALUES ({places})', rows)
            self._base.run(
                f"UPDATE {_NOTES} SET blocks = ?, size = size + ? WHERE name = ?",
                (block + 1, lists.num_rows, self._partial),
            )
        self._blocks = block + 1

    def finish(self, blocks: int) -> int:
        with self._base.transaction(lock=_NOTES):
            self._still_mine(blocks)
            self._may_replace()
            _, _, rows = self._note(self._partial) or ("", 0, 0)
            self._base.run(f'CREATE TABLE IF NOT EXISTS "{self._table}" ({self._form})')
            self._base.run(f'CREATE INDEX IF NOT EXISTS "{self._table}_users" ON "{self._table}" ("{self._user}")')
            self._base.run(f'DELETE FROM "{self._table}"')
            self._base.run(
                f'INSERT INTO "{self._table}" ({self._columns}) SELECT {self._columns} FROM "{self._partial}"'
            )
            self._base.run(f'DROP TABLE "{self._partial}"')
            self._base.run(f"DELETE FROM {_NOTES} WHERE name IN (?, ?)", (self._table, self._partial))
            self._base.run(f"INSERT INTO {_NOTES} VALUES (?, ?, ?, ?)", (self._table, self._settings, blocks, rows))
        return int(rows)

    def close(self) -> None:
        self._base.close()

    def _note(self, name: str) -> tuple[Any, ...] | None:
        found = self._base.run(f"SELECT settings, blocks, size FROM {_NOTES} WHERE name = ?", (name,))
        return found[0] if found else None

    def _still_mine(self, block: int) -> None:
        note = self._note(self._partial)
        if note is None or note[0] != self._settings or note[1] != block:
            raise StorageError(f"{self._what}: another run writes it")

    def _may_replace(self) -> None:
        if self._base.columns(self._table) is None:
            return
        if not self._base.run(f'SELECT 1 FROM "{self._table}" LIMIT 1'):
            return
        if self._note(self._table) is None:
            raise InputError(self._what, got="rows of others", expected="a table that is empty, or that recsys wrote")
        if not self._force:
            raise InputError(self._what, got="lists already", expected="none", hint=_FORCE)


class _Hash(Place):
    """One field for each user in the hash `{<name>}:partial`, renamed at the end."""

    def __init__(self, url: str, name: str, settings: dict[str, Any], force: bool) -> None:
        driver: Any = require("redis", "recsys", "redis")
        self._error, self._force = driver.RedisError, force
        self._what, self._settings = f"key {name} in {shown(url)}", json.dumps(settings)
        self._name, self._partial, self._run, self._written = (
            name, f"{{{name}}}:partial", f"{{{name}}}:run", f"{{{name}}}:written",
        )  # fmt: skip
        try:
            self._base = driver.Redis.from_url(url, decode_responses=True, socket_connect_timeout=5)
            self._base.ping()
            self._may_replace()
            before = self._base.hgetall(self._run)
            if not before and self._base.exists(self._partial):
                raise InputError(f"key {self._partial}", got="a key of others", expected="a free name: --table")
            if before and before["settings"] != self._settings:
                if not force:
                    _need_same(self._what, before["settings"], settings)
                before = {}
            if not before:
                with self._base.pipeline() as together:
                    together.delete(self._partial, self._run)
                    together.hset(self._run, mapping={"settings": self._settings, "blocks": 0, "rows": 0})
                    together.execute()
        except (driver.RedisError, ValueError) as error:
            raise InputError(f"URL {shown(url)}", got=str(error), expected="a Redis server that accepts it") from None
        self._blocks = int(before["blocks"]) if before else 0

    def has(self, block: int) -> bool:
        return block < self._blocks

    def write(self, block: int, lists: pa.Table) -> None:
        columns = [column.to_pylist() for column in lists.columns]
        fields: dict[str, str] = {}
        for user, rows in groupby(zip(*columns, strict=True), key=lambda row: row[0]):
            _, items, _, scores, sources = zip(*rows, strict=True)
            fields[str(user)] = json.dumps({"items": items, "scores": scores, "sources": sources})
        try:
            with self._base.pipeline() as together:
                together.watch(self._run)
                self._still_mine(together.hgetall(self._run), block)
                together.multi()
                if fields:
                    together.hset(self._partial, mapping=fields)
                together.hset(self._run, "blocks", block + 1)
                together.hincrby(self._run, "rows", lists.num_rows)
                together.execute()
        except self._error as error:
            raise StorageError(f"{self._what}: {error}") from None
        self._blocks = block + 1

    def finish(self, blocks: int) -> int:
        try:
            with self._base.pipeline() as together:
                together.watch(self._run, self._name)
                note = together.hgetall(self._run)
                self._still_mine(note, blocks)
                self._may_replace()
                has_lists = together.exists(self._partial)
                together.multi()
                if has_lists:
                    together.rename(self._partial, self._name)
                else:
                    together.delete(self._name)
                together.delete(self._run)
                together.set(self._written, self._settings)
                together.execute()
        except self._error as error:
            raise StorageError(f"{self._what}: {error}") from None
        return int(note["rows"])

    def close(self) -> None:
        self._base.close()

    def _still_mine(self, note: dict[str, str], block: int) -> None:
        if note.get("settings") != self._settings or int(note["blocks"]) != block:
            raise StorageError(f"{self._what}: another run writes it")

    def _may_replace(self) -> None:
        if not self._base.exists(self._name):
            return
        if not self._base.exists(self._written):
            raise InputError(self._what, got="a key of others", expected="a free name (--table), or lists of recsys")
        if not self._force:
            raise InputError(self._what, got="lists already", expected="none", hint=_FORCE)


def _kind(kind: pa.DataType) -> str:
    """SQL type of a column of lists, in the words of both dialects."""
    if pa.types.is_integer(kind):
        return "BIGINT"
    return "DOUBLE PRECISION" if pa.types.is_floating(kind) else "TEXT"
