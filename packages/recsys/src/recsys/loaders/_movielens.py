"""MovieLens' ratings, and what it says of users and films, in each of its forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.data._dataset import Dataset
from recsys.data._frame import read_file
from recsys.data._untyped import pc
from recsys.loaders._text_files import double_colon

_ML = ["userId", "movieId", "rating", "timestamp"]
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_USERS_100K = ["userId", "age", "gender", "occupation", "zip"]
_ITEMS_100K = ["movieId", "title", "released", "video", "url", *GENRES_100K]
_USERS_1M = ["userId", "gender", "age", "occupation", "zip"]
_ITEMS_1M = ["movieId", "title", "genres"]


def movielens(path: str | Path) -> Dataset:
    """MovieLens ratings: 100K's u.data, u1.base, u1.test (tabs), 1M and 10M ratings.dat (`::`), 20M to 32M ratings.csv.

    Tables about users and films are read from the same folder: u.user, u.item; users.dat, movies.dat; movies.csv.
    Genres are sets such as "Action|Comedy"; the year is taken from the title.
    """
    path, users = Path(path), None
    if path.suffix in (".data", ".base", ".test"):
        table = read_file(path, ids=_ML[:2], separator="\t", names=_ML, quoted=False)
        users, items = _beside(path, "u.user", _USERS_100K), _beside(path, "u.item", _ITEMS_100K)
    elif path.suffix == ".dat":
        table = double_colon(path, _ML)
        users, items = _beside(path, "users.dat", _USERS_1M), _beside(path, "movies.dat", _ITEMS_1M)
    else:
        table = read_file(path, columns=_ML, ids=_ML[:2])
        movies = path.with_name("movies.csv")
        items = read_file(movies, ids=["movieId"]) if movies.is_file() else None
    return Dataset.from_frame(
        table, user="userId", item="movieId", value="rating", time="timestamp", users=users,
        items=None if items is None else _with_year(_with_genres(items)), scale=(0.5, 5.0), time_unit="s",
    )  # fmt: skip


def _beside(path: Path, name: str, columns: list[str]) -> pa.Table | None:
    """A table in the folder of a file of ratings, if it exists."""
    file = path.with_name(name)
    if not file.is_file():
        return None
    if file.suffix == ".dat":
        return double_colon(file, columns, encoding="latin1")
    return read_file(file, ids=[columns[0], "zip"], separator="|", names=columns, encoding="latin1", quoted=False)


def _with_genres(items: pa.Table) -> pa.Table:
    """The flags of 100K as one column of sets."""
    if not set(GENRES_100K) <= set(items.column_names):
        return items
    flags = zip(*(items[name].to_pylist() for name in GENRES_100K), strict=True)
    sets = ["|".join(name for name, on in zip(GENRES_100K, row, strict=True) if on) for row in flags]
    return items.select(["movieId", "title"]).append_column("genres", pa.array(sets))


def _with_year(items: pa.Table) -> pa.Table:
    if "title" not in items.column_names or "year" in items.column_names:
        return items
    found: Any = pc.extract_regex(items["title"].cast(pa.string()), r"\((?P<year>[0-9]{4})\)\s*$")
    return items.append_column("year", pc.struct_field(found, "year").cast(pa.int64()))
