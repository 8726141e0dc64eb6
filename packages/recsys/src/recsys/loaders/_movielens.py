"""What MovieLens says of users and films, in each of its forms, as tables that a data set takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from recsys.data._frame import read_file
from recsys.data._untyped import pc
from recsys.loaders._text_files import double_colon

GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_USERS_100K = ["userId", "age", "gender", "occupation", "zip"]
_ITEMS_100K = ["movieId", "title", "released", "video", "url", *GENRES_100K]
_USERS_1M = ["userId", "gender", "age", "occupation", "zip"]
_ITEMS_1M = ["movieId", "title", "genres"]


def tables_beside(path: Path) -> tuple[pa.Table | None, pa.Table | None]:
    """(users, items) that lie beside a file of ratings: u.user, u.item (100K); users.dat, movies.dat (1M, 10M);
    movies.csv (20M and later). Genres are sets such as "Action|Comedy"; the year is taken from the title."""
    users = _first(path, {"u.user": (_USERS_100K, "|"), "users.dat": (_USERS_1M, "::")}, _forms(path))
    items = _first(path, {"u.item": (_ITEMS_100K, "|"), "movies.dat": (_ITEMS_1M, "::")}, _forms(path))
    if path.suffix == ".csv" and (movies := path.with_name("movies.csv")).is_file():
        items = read_file(movies, ids=["movieId"])
    return users, None if items is None else _with_year(_with_genres(items))


def _forms(path: Path) -> tuple[str, ...]:
    return {".dat": ("users.dat", "movies.dat"), ".csv": ()}.get(path.suffix, ("u.user", "u.item"))


def _first(path: Path, known: dict[str, tuple[list[str], str]], names: tuple[str, ...]) -> pa.Table | None:
    for name in names:
        if name in known and (file := path.with_name(name)).is_file():
            columns, between = known[name]
            return _read(file, columns, between)
    return None


def _read(file: Path, columns: list[str], between: str) -> pa.Table:
    if between == "|":
        return read_file(file, ids=[columns[0], "zip"], separator="|", names=columns, encoding="latin1", quoted=False)
    return double_colon(file, columns, encoding="latin1")


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
