"""Real files as their publishers write them, one function a form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._frame import read_file
from recsys.loaders._movielens import tables_beside
from recsys.loaders._text_files import double_colon

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


def load_published(name: str, path: str | Path) -> Dataset:
    """The file at a path by the loader of this name; InputError that lists the names if it is unknown."""
    if name not in LOADERS:
        raise InputError("form", got=repr(name), expected=f"one of {', '.join(LOADERS)}")
    return LOADERS[name](path)


LOADERS: dict[str, Callable[[str | Path], Dataset]] = {"movielens": movielens}
