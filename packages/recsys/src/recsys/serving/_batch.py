"""Lists for everyone, streamed in blocks of users to a file, a database or Redis; a killed run resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError
from ninefold.files import digest
from ninefold.progress import progress

from recsys.data._frame import as_table
from recsys.data._ids import id_array
from recsys.neural._checkpoint import as_stream
from recsys.recommender._base import Recommender
from recsys.recommender._query import check_length, context_rows, is_table
from recsys.recommender._store import schema_hash
from recsys.storage._database import is_url
from recsys.storage._lists import FORMS, open_place


def recommend_to(
    model: Recommender, to: str | Path, users: Any = None, k: int = 10, *, table: str | None = None,
    block: int = 4096, force: bool = False, **options: Any,
) -> int:  # fmt: skip
    """Write `model.recommend(users, k, **options)` to a file or a database; memory holds one block of users at a time.

    The place holds the previous lists or all new ones, never a part. Finished blocks are kept next to them, so that the
    same call resumes after a kill, without a user that is lost or written twice.

    Args:
        model: fitted.
        to: a .parquet or .csv file; `sqlite:///FILE`; `postgresql://USER@HOST/NAME` (extra `postgresql`) or
            `redis://HOST/0` (extra `redis`). Columns are those of `Recommender.recommend`; Redis receives a hash with
            one field for each user, a JSON object of items, scores and sources.
        users, k, options: see `Recommender.recommend`.
        table: table of the database, or key of the hash; "lists" if None.
        block: users written at a time.
        force: replace lists that this package wrote.
    Returns: rows written.
    Raises:
        InputError: for another URL, lists that are there, a table with other columns, or an interrupted run with other
            settings.
        MissingExtraError: without the driver of the database.
        StorageError: if the database fails; what it holds is resumed.

    Examples:
        >>> import sqlite3
        >>> import recsys

        >>> data = recsys.simulate(100, 30, 1_000, seed=0).data.clicks()
        >>> model = recsys.ItemKNN().fit(data)
        >>> recsys.recommend_to(model, "sqlite:///lists.db", k=5, block=40)
        500
        >>> sqlite3.connect("lists.db").execute("SELECT item, rank FROM lists WHERE user = 'u1' LIMIT 2").fetchall()
        [('i13', 1), ('i21', 2)]
    """
    block = check_length(block, "block")
    model._need_fit()
    ids = model.user_ids_.values if users is None else id_array(users, "user")
    context = context_rows(options.pop("context", None), len(ids))
    for name in ("candidates", "exclude"):
        if is_table(options.get(name)):
            options[name] = as_table(options[name], ids=(model.names_.user, model.names_.item))
        elif options.get(name) is not None:
            options[name] = id_array(options[name], "item")
    schema = model.recommend(ids.slice(0, 0), k, **{**options, "strict": False}).schema
    place = open_place(to, _config(model, ids, k, block, context, options), schema, table=table, force=force)
    try:
        blocks = max(1, -(-len(ids) // block))
        with progress(blocks, "blocks of lists") as bar:
            for index in range(blocks):
                if not place.has(index):
                    chosen = ids.slice(index * block, block)
                    requested = None if context is None else context.slice(index * block, block)
                    place.write(index, model.recommend(chosen, k, context=requested, block=block, **options))
                bar.advance()
        return place.finish(blocks)
    finally:
        place.close()


def recommend_to_file(
    model: Recommender, path: str | Path, users: Any = None, k: int = 10, *, block: int = 4096, force: bool = False,
    **options: Any,
) -> int:  # fmt: skip
    """`recommend_to` for a .parquet or .csv file.

    Finished blocks are kept in `<path>.partial` until the file is complete.

    Examples:
        >>> import pyarrow.parquet as pq
        >>> import recsys

        >>> data = recsys.simulate(100, 30, 1_000, seed=0).data.clicks()
        >>> model = recsys.ItemKNN().fit(data)
        >>> recsys.recommend_to_file(model, "lists.parquet", k=5, block=40)
        500
        >>> pq.read_table("lists.parquet").column_names
        ['user', 'item', 'rank', 'score', 'source']
    """
    if is_url(path):
        raise InputError(f"file {path}", got="a URL", expected=f"a path; recommend_to accepts {FORMS}")
    return recommend_to(model, path, users, k, block=block, force=force, **options)


def _config(
    model: Recommender, ids: pa.Array, k: int, block: int, context: pa.Table | None, options: dict[str, Any]
) -> dict[str, Any]:
    """What a resumed run must share: the model, the fit and the events since, the users, the options."""
    state = [schema_hash(model), repr(model), model.key_]
    history = digest(np.ascontiguousarray(model.history_.item).view(np.uint8).data)
    settings = {
        name: one.to_pylist() if isinstance(one, (pa.Array, pa.Table)) else one for name, one in options.items()
    }
    rows = "" if context is None else digest(memoryview(as_stream(context)))
    requested = digest(repr((ids.to_pylist(), sorted(settings.items(), key=str), rows)).encode())
    return {"model": digest("".join([*state, history]).encode()), "asked": requested, "k": k, "block": block}
