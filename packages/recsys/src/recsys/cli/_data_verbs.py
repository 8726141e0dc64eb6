"""Verbs about events: look for reasons to distrust them, split them, simulate them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from recsys.cli._app import Cut, app, is_table, write_parquet
from recsys.cli._source import Source

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=())
def doctor(
    test: Annotated[Path | None, typer.Option("--test", help="Events held out from EVENTS, to find leaks.")] = None,
    *, source: Source,
) -> Table:  # fmt: skip
    """Look for leaks, clashing ids, odd times, duplicates and other reasons to distrust a number.

    Example: `recsys doctor shop.csv --value rating --time time`
    """
    from recsys.data._doctor import doctor as examine
    from recsys.data._doctor import findings_table

    held = None if test is None else source.load(test)
    return findings_table(examine(source.load(), held), str(source.events))


@verb(app, uses=("seed", "force", "out"), out="folder")
def split(
    cut: Cut = None,
    by: Annotated[str, typer.Option("--by", help="Way to split: time, leave-last-out, user or rows.")] = "time",
    *, source: Source, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write train.parquet and test.parquet (and fold_in.parquet for held-out users) to the folder -o.

    Example: `recsys split shop.csv --value rating --time time --context scene -o parts`
    """
    import pyarrow.parquet
    from ninefold import artifacts

    if cut is not None and by != "time":
        raise InputError("--cut", got=cut, expected=f"none with --by {by}: it is of --by time")
    out = opts.need_out()
    data = source.load()
    ways = {
        "time": lambda: data.split.time(cut), "leave-last-out": data.split.leave_last_out,
        "user": lambda: data.split.user_held_out(seed=opts.seed), "rows": lambda: data.split.rows(seed=opts.seed),
    }  # fmt: skip
    if by not in ways:
        raise InputError("--by", got=repr(by), expected="time, leave-last-out, user or rows")
    names = ("train", "fold_in", "test") if by == "user" else ("train", "test")
    parts = dict(zip(names, ways[by](), strict=True))
    about = {"kind": "recsys.split", "format_version": 1, "package": "recsys"}
    with artifacts.write_folder(out, **about, force=opts.force) as folder:
        for name, part in parts.items():
            pyarrow.parquet.write_table(part.to_table(), folder / f"{name}.parquet")
    return {name: repr(part) for name, part in parts.items()}


@verb(app, uses=("seed", "force", "out"), out="file", ours=is_table)
def simulate(
    users: Annotated[int, typer.Option("--n-users", help="Number of users.")] = 500,
    items: Annotated[int, typer.Option("--n-items", help="Number of items.")] = 200,
    events: Annotated[int, typer.Option("--n-events", help="Number of events.")] = 20_000,
    transitions: Annotated[float, typer.Option("--transitions", help="Share that follows the last item.")] = 0.0,
    drift: Annotated[float, typer.Option("--drift", help="Change of tastes from first to last event.")] = 0.0,
    *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write events of a world whose truth is known to -o FILE.parquet (or .csv)."""
    import pyarrow.csv
    from ninefold.files import atomic_file

    from recsys import simulate as draw

    out = opts.need_out()
    table = draw(users, items, events, transitions=transitions, drift=drift, seed=opts.seed).data.to_table()
    if out.suffix == ".csv":
        with atomic_file(out, force=opts.force, ours=is_table) as temporary:
            pyarrow.csv.write_csv(table, temporary)
    else:
        write_parquet(table, out, force=opts.force)
    first = {name: str(column[0].as_py()) for name, column in zip(table.column_names, table.columns, strict=True)}
    return {"file": out, "rows": table.num_rows, **first}
