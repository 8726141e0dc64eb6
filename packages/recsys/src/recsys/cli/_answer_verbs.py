"""Verbs that answer from a model folder: lists, likenesses, reasons, a server, an index, what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from recsys.cli._app import Length, ModelPath, Within, app, as_table, is_table
from recsys.cli._arguments import known_items, shard_of, typed_context, typed_ids

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("threads", "quiet", "force", "out"), out="file", ours=is_table)
def recommend(
    model: ModelPath,
    users: Annotated[list[str] | None, typer.Option("--for", help="User id; all users if omitted; repeatable.")] = None,
    k: Length = 10,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Item id to leave out; repeatable.")] = None,
    among: Annotated[list[str] | None, typer.Option("--among", help="Item id to choose from; repeatable.")] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="Include items that the user had.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse users that the model does not know.")] = False,
    within: Within = None,
    shard: Annotated[str, typer.Option("--shard", help="Part i/n of the users, such as 2/4.")] = "1/1",
    to: Annotated[str | None, typer.Option(
        "--to", help="Database for the lists, as a URL: sqlite:///FILE, postgresql://USER@HOST/NAME (extra postgresql) "
        "or redis://HOST/0 (extra redis); or a .csv or .parquet file, as with --out.")] = None,
    table: Annotated[str | None, typer.Option(
        "--table", help="Table (or key of the Redis hash) that receives the lists; lists if omitted.")] = None,
    *, opts: Shared,
) -> Any:  # fmt: skip
    """Recommend items to users: print lists, or write them to a file (-o) or database (--to), in blocks that resume.

    The columns are user, item (named as in the events), rank (1 is best), score and source. In Redis, the hash `lists`
    has one field for each user: a JSON object of items, scores and sources. Readers see the previous lists until the
    new ones are complete; --force replaces them.

    Examples: `recsys recommend best/model -k 10 -o recs.parquet`, `recsys recommend best/model --to sqlite:///lists.db`
    """
    from recsys import load, recommend_to
    from recsys.storage._database import shown

    if to is not None and opts.out is not None:
        raise InputError("--to, --out", got="both", expected="one of them")
    place = to if to is not None else opts.out
    if table is not None and place is None:
        raise InputError("--table", got=repr(table), expected="none without --to")
    fitted = load(model)
    options = {
        "filter_seen": False if keep_seen else None,
        "exclude": known_items(fitted, exclude, "--exclude") if exclude else None,
        "candidates": known_items(fitted, among, "--among") if among else None,
        "strict": strict,
        "context": typed_context(fitted, within) if within else None,
    }
    ids = shard_of(typed_ids(fitted, users, "user") if users else fitted.user_ids_.values, shard)
    if place is not None:
        rows = recommend_to(fitted, place, ids, k, table=table, force=opts.force, **options)
        return {"rows": rows, "file" if to is None else "to": shown(str(place))}
    return as_table(fitted.recommend(ids if users else ids[:5], k, **options))


@verb(app, uses=())
def similar(
    model: ModelPath, items: Annotated[list[str], typer.Argument(help="Item ids to compare with.")], k: Length = 10,
) -> Table:  # fmt: skip
    """List the items most similar to each given item.

    Example: `recsys similar best/model i1 -k 3`
    """
    from recsys import load

    fitted = load(model)
    return as_table(fitted.similar_items(typed_ids(fitted, items, "item"), k))


@verb(app, uses=())
def explain(
    model: ModelPath, user: Annotated[str, typer.Argument(help="User id to explain for.")],
    item: Annotated[str, typer.Argument(help="Item id to explain.")], k: Length = 10, within: Within = None,
) -> Table:  # fmt: skip
    """Which of a user's items, or which parts of an event, speak for one item, and by how much.

    Example: `recsys explain model u1 i1`
    """
    from recsys import load

    fitted = load(model)
    ids = typed_ids(fitted, [user], "user")[0], typed_ids(fitted, [item], "item")[0]
    return as_table(fitted.explain(*ids, k, context=typed_context(fitted, within) if within else None))


@verb(app, uses=())
def serve(
    model: ModelPath, port: Annotated[int, typer.Option("--port", help="TCP port; 0 chooses a free one.")] = 8765,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; by default only this machine can connect.")]
    = "127.0.0.1",
    workers: Annotated[int, typer.Option("--workers", help="Number of processes; they share the model's memory.")] = 1,
    events: Annotated[Path | None, typer.Option("--events", help="SQLite file that /events appends to.")] = None,
    items: Annotated[Path | None, typer.Option("--items", help="Table whose columns requests filter by.")] = None,
) -> dict[str, Any]:  # fmt: skip
    """Answer JSON requests about a model until Ctrl-C (extra serve): lists, new events, filters; see /docs.

    A model saved to the same folder with --force replaces it without a pause, while the old one answers.

    Example: `recsys serve model --events events.sqlite`
    """
    from recsys.serving._serve import serve as start

    start(model, host=host, port=port, workers=workers, events=events, items=items)
    return {}


@verb(app, uses=("seed", "threads", "force", "out"), out="folder")
def export_index(
    model: ModelPath,
    recall: Annotated[float, typer.Option("--recall", help="Share of the exact top 10 to find.")] = 0.95,
    *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write an index for approximate neighbours (extra ann) to the folder -o; says which recall it reached.

    Example: `recsys export-index model -o index`
    """
    from recsys import build_index, load

    out = opts.need_out()
    index = build_index(load(model), recall=recall, seed=opts.seed)
    return {"index": index.save(out, force=opts.force), "recall@10": index.recall, "width": index.width}


@verb(app, uses=())
def inspect(model: ModelPath) -> dict[str, Any]:
    """Describe a model folder and check every byte of it.

    Example: `recsys inspect weighed`
    """
    from recsys.recommender._store import describe

    return describe(model)
