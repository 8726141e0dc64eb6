"""Lists for everyone, streamed to a Parquet or CSV file in blocks of users; a killed run resumes at the next block."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from ninefold.errors import ArtifactError, InputError
from ninefold.files import atomic_file, digest, mark, refuse_existing, starts_with
from ninefold.progress import progress
from ninefold.run import Run

from recsys.data._frame import as_table
from recsys.data._ids import id_array
from recsys.neural._checkpoint import as_stream
from recsys.recommender._base import Recommender
from recsys.recommender._query import check_length, context_rows, is_table
from recsys.recommender._store import schema_hash


def recommend_to_file(
    model: Recommender,
    path: str | Path,
    users: Any = None,
    k: int = 10,
    *,
    block: int = 4096,
    force: bool = False,
    **options: Any,
) -> int:
    """Write `model.recommend(users, k, **options)` to a Parquet or CSV file; memory holds one block of users at a time.

    Finished blocks are kept in `<path>.partial` until the file is whole, so that the same call resumes after a kill.

    Args:
        model: fitted.
        path: the .parquet or .csv file; refused if it exists, unless `force`.
        users, k, options: see `Recommender.recommend`.
        block: users a part.
    Returns: rows written.

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
    path, block = Path(path), check_length(block, "block")
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(f"file {path}", got=f"the ending {path.suffix!r}", expected=".parquet or .csv")
    ours: Any = "recsys" if path.suffix == ".parquet" else starts_with(_header(model))
    refuse_existing(path, force, ours)
    ids = model.user_ids_.values if users is None else id_array(users, "user")
    context = context_rows(options.pop("context", None), len(ids))
    for name in ("candidates", "exclude"):
        if is_table(options.get(name)):
            options[name] = as_table(options[name], ids=(model.names_.user, model.names_.item))
        elif options.get(name) is not None:
            options[name] = id_array(options[name], "item")
    folder = path.with_name(f"{path.name}.partial")
    with Run(folder, _config(model, ids, k, block, context, options)) as run:
        parts = [run.checkpoints / f"part-{start:012d}.parquet" for start in range(0, max(len(ids), 1), block)]
        with progress(len(parts), "blocks of lists") as bar:
            for index, part in enumerate(parts):
                if not part.exists():
                    chosen = ids.slice(index * block, block)
                    requested = None if context is None else context.slice(index * block, block)
                    table = model.recommend(chosen, k, context=requested, block=block, **options)
                    with atomic_file(part) as temporary:
                        pyarrow.parquet.write_table(table, temporary)
                bar.advance()
        rows = _join(parts, path, force, ours)
    shutil.rmtree(folder)
    return rows


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


def _header(model: Recommender) -> str:
    """First line of a CSV file of lists; an earlier file is recognised by it."""
    return ",".join(f'"{name}"' for name in (model.names_.user, model.names_.item, "rank", "score", "source"))


def _join(parts: list[Path], path: Path, force: bool, ours: Any) -> int:
    rows = 0
    schema = marked(pyarrow.parquet.read_schema(parts[0]))
    write: Any = pyarrow.parquet.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
    with atomic_file(path, force=force, ours=ours) as temporary, write(temporary, schema) as writer:
        for part in parts:
            try:
                table = pyarrow.parquet.read_table(part)
            except (pa.ArrowInvalid, OSError) as error:
                raise ArtifactError(part, f"is damaged ({error}); delete it and run again") from None
            writer.write_table(marked(table))
            rows += table.num_rows
    return rows


def marked(table: Any) -> Any:
    """An Arrow table or schema whose Parquet file says that this package wrote it."""
    return (table.with_metadata if isinstance(table, pa.Schema) else table.replace_schema_metadata)(
        {"writer": mark("recsys")}
    )
