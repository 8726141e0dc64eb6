"""Real files as their publishers write them, one function a form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._frame import read_file
from recsys.loaders._movielens import tables_beside
from recsys.loaders._sparse_rows import dst
from recsys.loaders._text_files import atomic, double_colon, json_lines, read_json

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
    table = json_lines(path, names) if ".jsonl" in path.name else read_file(path, columns=names, ids=names[:2])
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
    table = read_json(Path(path))
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
    table = atomic(path)
    known = set(table.column_names)
    if not {"user_id", "item_id"} <= known:
        raise InputError(f"file {path}", got=f"columns {sorted(known)}", expected="user_id and item_id")
    side = {
        what: atomic(one, lists=True) if (one := path.with_suffix(f".{what}")).is_file() else None
        for what in ("user", "item")
    }
    context = [name for name in table.column_names if name not in ("user_id", "item_id", "rating", "timestamp")]
    return Dataset.from_frame(
        table, user="user_id", item="item_id", value="rating" if "rating" in known else None,
        time="timestamp" if "timestamp" in known else None, time_unit="s", context=context,
        users=side["user"], items=side["item"],
    )  # fmt: skip


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
