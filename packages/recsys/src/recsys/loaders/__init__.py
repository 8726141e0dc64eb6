"""Real files as their publishers write them. Nothing is downloaded: pass the path of a file you have."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.json
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._frame import as_table, read_file
from recsys.data._ids import typed_from_text
from recsys.data._untyped import pc
from recsys.loaders._movielens import tables_beside

_ML = ["userId", "movieId", "rating", "timestamp"]


def movielens(path: str | Path) -> Dataset:
    """MovieLens ratings: 100K's u.data, u1.base, u1.test (tabs), 1M and 10M ratings.dat (`::`), 20M to 32M ratings.csv.

    Tables about users and films are read where they lie beside it: u.user, u.item; users.dat, movies.dat; movies.csv.
    """
    path = Path(path)
    if path.suffix in (".data", ".base", ".test"):
        table = read_file(path, ids=_ML[:2], separator="\t", names=_ML, quoted=False)
    elif path.suffix == ".dat":
        table = double_colon(path, _ML)
    else:
        table = read_file(path, columns=_ML, ids=_ML[:2])
    users, items = tables_beside(path)
    return Dataset.from_frame(
        table, user="userId", item="movieId", value="rating", time="timestamp", users=users, items=items,
        scale=(0.5, 5.0), time_unit="s",
    )  # fmt: skip


def amazon(path: str | Path) -> Dataset:
    """Amazon Reviews 2023: a category's .jsonl (user_id, parent_asin, rating, timestamp in ms) or its ratings .csv."""
    path = Path(path)
    names = ["user_id", "parent_asin", "rating", "timestamp"]
    table = _json_lines(path, names) if ".jsonl" in path.name else read_file(path, columns=names, ids=names[:2])
    return Dataset.from_frame(
        table, user="user_id", item="parent_asin", value="rating", time="timestamp", scale=(1, 5), time_unit="ms"
    )


def goodbooks(path: str | Path) -> Dataset:
    """goodbooks-10k ratings.csv (user_id, book_id, rating); books.csv beside it becomes the items' table."""
    path = Path(path)
    books = path.with_name("books.csv")
    return Dataset.from_frame(
        path, user="user_id", item="book_id", value="rating", scale=(1, 5), items=books if books.is_file() else None
    )


def lastfm_360k(path: str | Path) -> Dataset:
    """Last.fm 360K usersha1-artmbid-artname-plays.tsv: no header; rows without an artist id are dropped."""
    names = ["user", "artist", "name", "plays"]
    table = read_file(Path(path), ids=names[:2], separator="\t", names=names, quoted=False)
    return Dataset.from_frame(table, user="user", item="artist", value="plays", nulls="drop")


def retailrocket(path: str | Path) -> Dataset:
    """RetailRocket events.csv (timestamp in ms, visitorid, event, itemid, transactionid); context: event."""
    return Dataset.from_frame(
        path, user="visitorid", item="itemid", time="timestamp", time_unit="ms", context=["event"]
    )


def yoochoose(path: str | Path) -> Dataset:
    """Yoochoose (RecSys Challenge 2015) clicks .dat: session, ISO time, item, category; no header."""
    names = ["session", "time", "item", "category"]
    table = read_file(Path(path), ids=["session", "item", "category"], separator=",", names=names)
    return Dataset.from_frame(table, user="session", item="item", time="time", context=["category"])


def otto(path: str | Path) -> Dataset:
    """OTTO sessions .jsonl: {"session": 0, "events": [{"aid": 1, "ts": ms, "type": "clicks"}]}; context: type."""
    table = _read_json(Path(path))
    if not {"session", "events"} <= set(table.column_names):
        raise InputError(f"file {path}", got=f"fields {table.column_names}", expected="session and events")
    events = table.column("events").combine_chunks()
    flat, parents = events.flatten(), np.repeat(np.arange(len(events)), np.diff(events.offsets.to_numpy()))
    frame = pa.table(
        {
            "session": table.column("session").take(pa.array(parents)),
            **{name: flat.field(name) for name in ("aid", "ts", "type")},
        }
    )
    return Dataset.from_frame(frame, user="session", item="aid", time="ts", time_unit="ms", context=["type"])


def steam(path: str | Path) -> Dataset:
    """Steam play times, steam-200k.csv: user, game, "purchase" or "play", hours; no header. context: behaviour."""
    names = ["user", "game", "behaviour", "hours", "zero"]
    table = read_file(Path(path), ids=names[:2], separator=",", names=names)
    return Dataset.from_frame(table, user="user", item="game", value="hours", context=["behaviour"])


def recbole(path: str | Path) -> Dataset:
    """RecBole atomic files: pass the .inter; .user and .item beside it become side tables. Types stand in the header.

    user_id and item_id are needed; rating and timestamp (s) are used, other columns become context. Sequences of side
    tables become lists, e.g. genres as a set.
    """
    path = Path(path)
    table = _atomic(path)
    known = set(table.column_names)
    if not {"user_id", "item_id"} <= known:
        raise InputError(f"file {path}", got=f"columns {sorted(known)}", expected="user_id and item_id")
    side = {
        what: _atomic(one, lists=True) if (one := path.with_suffix(f".{what}")).is_file() else None
        for what in ("user", "item")
    }
    context = [name for name in table.column_names if name not in ("user_id", "item_id", "rating", "timestamp")]
    return Dataset.from_frame(
        table, user="user_id", item="item_id", value="rating" if "rating" in known else None,
        time="timestamp" if "timestamp" in known else None, time_unit="s", context=context,
        users=side["user"], items=side["item"],
    )  # fmt: skip


def dst(path: str | Path, *, users: str = "") -> Dataset:
    """UCI DST files, such as Anonymous Microsoft Web Data: `A` lines name items, `C` lines open a user, `V` are events.

    Columns: user, item; items: title, url. Lines of other kinds are ignored.

    Args:
        path: .data, .test or .dst, Latin-1, perhaps .gz.
        users: put before each user's number, which then is text: files of one set may number other people alike.
    Raises:
        InputError: for a line that cannot be read, a vote before any case, or no votes at all.
    """
    path = Path(path)
    items: dict[int, tuple[str, str]] = {}
    user: list[int] = []
    item: list[int] = []
    case: int | None = None
    with _open(path, "latin-1") as file:
        for number, fields in enumerate(csv.reader(file), start=1):
            try:
                if fields[:1] == ["A"]:
                    items[int(fields[1])] = (fields[3], fields[4])
                elif fields[:1] == ["C"]:
                    case = int(fields[2])
                elif fields[:1] == ["V"]:
                    item.append(int(fields[1]))
                    user.append(_not_none(case))
            except (ValueError, IndexError):
                expected = "A,id,1,title,url; C,number,number; or V,id,1 after a C line"
                raise InputError(f"line {number}", where=path, got=",".join(fields)[:60], expected=expected) from None
    if not item:
        raise InputError(f"file {path}", got="no V line", expected="events of users (DST)")
    side = {
        "item": list(items),
        "title": [title for title, _ in items.values()],
        "url": [url for _, url in items.values()],
    }
    frame = {"user": [f"{users}{one}" for one in user] if users else user, "item": item}
    return Dataset.from_frame(frame, user="user", item="item", items=side if items else None)


def svmlight(path: str | Path) -> tuple[Any, np.ndarray]:
    """libFM and svmlight files: `target index:value ...` a line. Returns (design, CSR float32; targets, float32)."""
    import scipy.sparse as sp

    targets, indptr, indices, data = [], [0], [], []
    with _open(Path(path)) as file:
        for number, line in enumerate(file, start=1):
            words = line.split("#")[0].split()
            if not words:
                continue
            try:
                targets.append(float(words[0]))
                for word in words[1:]:
                    index, _, value = word.partition(":")
                    indices.append(int(index))
                    data.append(float(value))
            except ValueError:
                raise InputError(
                    f"line {number}", where=path, got=line.strip()[:60], expected="target index:value ..."
                ) from None
            indptr.append(len(indices))
    if not targets:
        raise InputError(f"file {path}", got="no rows", expected="target index:value ...")
    width = max(indices, default=-1) + 1
    matrix = sp.csr_matrix((np.array(data, np.float32), indices, indptr), shape=(len(targets), width))
    return matrix, np.array(targets, np.float32)


def load_published(name: str, path: str | Path) -> Dataset:
    """The file at a path by the loader of this name; InputError that lists the names if it is unknown."""
    if name not in LOADERS:
        raise InputError("form", got=repr(name), expected=f"one of {', '.join(LOADERS)}")
    return LOADERS[name](path)


LOADERS: dict[str, Callable[[str | Path], Dataset]] = {
    "amazon": amazon,
    "dst": dst,
    "goodbooks": goodbooks,
    "lastfm-360k": lastfm_360k,
    "movielens": movielens,
    "otto": otto,
    "recbole": recbole,
    "retailrocket": retailrocket,
    "steam": steam,
    "yoochoose": yoochoose,
}


def _not_none(case: int | None) -> int:
    if case is None:
        raise ValueError
    return case


def _open(path: Path, encoding: str = "utf-8") -> TextIO:
    if not path.is_file():
        raise InputError(f"file {path}", got="nothing there", expected="a file")
    return gzip.open(path, "rt", encoding=encoding) if path.suffix == ".gz" else path.open(encoding=encoding)


def double_colon(path: Path, names: list[str], encoding: str = "utf-8") -> pa.Table:
    """A file with `::` between fields, as MovieLens 1M and 10M have; all columns but "rating" as integers or text."""
    with _open(path, encoding) as file:
        columns = list(zip(*_fields(file, path, len(names)), strict=True))
    return pa.table(
        {
            name: pa.array([float(one) for one in column]) if name == "rating" else typed_from_text(pa.array(column))
            for name, column in zip(names, columns, strict=True)
        }
    )


def _fields(file: TextIO, path: Path, n: int) -> Iterator[list[str]]:
    for number, line in enumerate(file, start=1):
        fields = line.rstrip("\n").split("::")
        if len(fields) != n:
            raise InputError(f"line {number}", where=path, got=line.strip()[:60], expected=f"{n} fields between ::")
        yield fields


def _json_lines(path: Path, names: list[str]) -> pa.Table:
    return as_table(_read_json(path), columns=names)


def _read_json(path: Path) -> pa.Table:
    if not path.is_file():
        raise InputError(f"file {path}", got="nothing there", expected="a .jsonl file")
    try:
        return pyarrow.json.read_json(path, read_options=pyarrow.json.ReadOptions(block_size=32 << 20))
    except pa.ArrowInvalid as error:
        raise InputError(f"file {path}", got=str(error).splitlines()[0], expected="one JSON object a line") from None


_ATOMIC = ("token", "float", "token_seq", "float_seq")


def _atomic(path: Path, *, lists: bool = False) -> pa.Table:
    """A RecBole file: tab separated, header `name:type`; tokens are ids or words, floats numbers, sequences text."""
    with _open(path, "utf-8-sig") as file:
        headings = file.readline().rstrip("\r\n").split("\t")
    kinds = {heading: heading.partition(":")[2] for heading in headings}
    for heading, kind in kinds.items():
        if kind not in _ATOMIC:
            raise InputError(f"column {heading!r}", where=path, expected=f"name:type with a type of {_ATOMIC}")
    # the header decides: a reader that guesses would make one id of the tokens 007 and 7
    texts = [heading for heading, kind in kinds.items() if kind != "float"]
    raw = read_file(path, separator="\t", quoted=False, texts=texts)
    columns = {}
    for heading, column in zip(raw.column_names, raw.columns, strict=True):
        name, _, kind = heading.partition(":")
        if kind == "float":
            columns[name] = column.cast(pa.float64())
        elif kind == "token":
            columns[name] = typed_from_text(column.cast(pa.string()).combine_chunks())
        else:
            parts = pc.split_pattern(column.cast(pa.string()), " ") if lists else column
            columns[name] = parts.cast(pa.list_(pa.float64())) if lists and kind == "float_seq" else parts
    return pa.table(columns)
