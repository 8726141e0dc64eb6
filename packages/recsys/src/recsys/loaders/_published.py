"""Real files as their publishers write them, one function a form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._frame import read_file
from recsys.loaders._dst import dst
from recsys.loaders._movielens import tables_beside
from recsys.loaders._text_files import atomic, double_colon

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
    "dst": dst,
    "movielens": movielens,
    "recbole": recbole,
}
