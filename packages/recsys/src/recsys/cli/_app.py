"""The command line's app, the options that several verbs share, and how their results are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import house_app, run_app
from ninefold.demo import demo_verb

if TYPE_CHECKING:
    from ninefold.report import Table

app = house_app("recsys", "Recommendations from an events table, and offline numbers that can be trusted.")
demo_verb(app, "recsys")
main = run_app(app)

ModelPath = Annotated[Path, typer.Argument(help="Model folder, as written by `recsys fit` or `best`.")]
Model = Annotated[
    str, typer.Option("--model", "-m", help="Name of the model, such as ease, ials, item-knn or popular.")
]
Models = Annotated[list[str] | None, typer.Option("--model", "-m", help="Name of a model; repeatable.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Parameter of the model, such as l2=400; repeatable.")
]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Metric, such as ndcg@10; repeatable.")]
Targets = Annotated[
    str, typer.Option("--targets", help="Targets to score: all, warm (items known to the model) or cold.")
]
Cut = Annotated[str | None, typer.Option("--cut", help="Moment from which events are held out, such as 2011-11-01.")]
Trials = Annotated[int, typer.Option("--trials", help="Number of parameter sets to try, including the default one.")]
Within = Annotated[
    list[str] | None, typer.Option("--in", help="Context of the request, such as scene=out; repeatable.")
]
Gain = Annotated[str | None, typer.Option("--gain", help="Gain of each target in NDCG: value or count; 1 if omitted.")]
Length = Annotated[int, typer.Option("-k", help="Number of items in each list.")]


def as_table(rows: Any) -> Table:
    """An Arrow table as the command line prints it."""
    from ninefold.report import Table

    return Table(rows.column_names, [list(row.values()) for row in rows.to_pylist()])


def is_table(path: Path) -> bool:
    """Whether this command wrote a table: a marked Parquet file, the CSV file of `simulate`, or lists as CSV."""
    from ninefold.files import starts_with

    from recsys.storage._lists import is_lists

    return is_lists(path) or starts_with('"user","item","rating","time","scene"')(path)


def write_parquet(table: Any, path: Path, *, force: bool) -> None:
    """Write an Arrow table to a marked Parquet file, whole or not at all."""
    import pyarrow.parquet
    from ninefold.files import atomic_file

    from recsys.storage._lists import marked

    with atomic_file(path, force=force, ours=is_table) as temporary:
        pyarrow.parquet.write_table(marked(table), temporary)
