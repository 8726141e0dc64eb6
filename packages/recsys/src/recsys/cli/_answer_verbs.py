"""Verbs that answer from a model folder: lists, likenesses, reasons, a server, an index, what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb

from recsys.cli._app import Length, ModelPath, Within, app, as_table, is_table
from recsys.cli._arguments import known_items, shard_of, typed_context, typed_ids

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("threads", "quiet", "force", "out"), out="file", ours=is_table)
def recommend(
    model: ModelPath, users: Annotated[list[str] | None, typer.Option("--for", help="User id; all if none.")] = None,
    k: Length = 10, exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Item never listed.")] = None,
    among: Annotated[list[str] | None, typer.Option("--among", help="Items to choose from; all if none.")] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="List what a user had, too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown users.")] = False,
    within: Within = None,
    shard: Annotated[str, typer.Option("--shard", help="i/n: the i-th of n parts of the users.")] = "1/1",
    *, opts: Shared,
) -> Any:  # fmt: skip
    """Lists for users: to the file -o recs.parquet, streamed and resumable, or printed."""
    from recsys import load, recommend_to_file

    fitted = load(model)
    options = {
        "filter_seen": False if keep_seen else None,
        "exclude": known_items(fitted, exclude, "--exclude") if exclude else None,
        "candidates": known_items(fitted, among, "--among") if among else None,
        "strict": strict,
        "context": typed_context(fitted, within) if within else None,
    }
    ids = shard_of(typed_ids(fitted, users, "user") if users else fitted.user_ids_.values, shard)
    if opts.out is not None:
        return {"rows": recommend_to_file(fitted, opts.out, ids, k, force=opts.force, **options), "file": opts.out}
    return as_table(fitted.recommend(ids if users else ids[:5], k, **options))


@verb(app, uses=())
def similar(
    model: ModelPath, items: Annotated[list[str], typer.Argument(help="Item ids.")], k: Length = 10,
) -> Table:  # fmt: skip
    """The items most like each given one."""
    from recsys import load

    fitted = load(model)
    return as_table(fitted.similar_items(typed_ids(fitted, items, "item"), k))


@verb(app, uses=())
def explain(
    model: ModelPath, user: Annotated[str, typer.Argument(help="User id.")],
    item: Annotated[str, typer.Argument(help="Item id.")], k: Length = 10, within: Within = None,
) -> Table:  # fmt: skip
    """Which of a user's items, or which parts of an event, speak for one item, and by how much."""
    from recsys import load

    fitted = load(model)
    ids = typed_ids(fitted, [user], "user")[0], typed_ids(fitted, [item], "item")[0]
    return as_table(fitted.explain(*ids, k, context=typed_context(fitted, within) if within else None))


@verb(app, uses=())
def serve(
    model: ModelPath, port: Annotated[int, typer.Option("--port", help="0: any free one.")] = 8765,
    host: Annotated[str, typer.Option("--host", help="Who reaches it may ask; the default is this machine alone.")]
    = "127.0.0.1",
    workers: Annotated[int, typer.Option("--workers", help="Processes, which share the model's memory.")] = 1,
    events: Annotated[Path | None, typer.Option("--events", help="SQLite file that /events appends to.")] = None,
    items: Annotated[Path | None, typer.Option("--items", help="Table whose columns requests filter by.")] = None,
) -> dict[str, Any]:  # fmt: skip
    """Answer JSON requests about a model until Ctrl-C (extra serve): lists, new events, filters; see /docs.

    A model saved to the same folder with --force is taken up whole, while the old one answers."""
    from recsys.serving._serve import serve as start

    start(model, host=host, port=port, workers=workers, events=events, items=items)
    return {}


@verb(app, uses=("seed", "threads", "force", "out"), out="folder")
def export_index(
    model: ModelPath,
    recall: Annotated[float, typer.Option("--recall", help="Share of the exact top 10 to find.")] = 0.95,
    *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write an index for approximate neighbours (extra ann) to the folder -o; says which recall it reached."""
    from recsys import build_index, load

    out = opts.need_out()
    index = build_index(load(model), recall=recall, seed=opts.seed)
    return {"index": index.save(out, force=opts.force), "recall@10": index.recall, "width": index.width}


@verb(app, uses=())
def inspect(model: ModelPath) -> dict[str, Any]:
    """What a model folder holds; checks every byte of it."""
    from recsys.recommender._store import describe

    return describe(model)
