"""Verbs that measure: one model on later events, several models compared, speed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from recsys.cli._app import Cut, Gain, Metrics, ModelPath, Models, Targets, app, is_table, write_parquet
from recsys.cli._source import OwnSource, Source, TimeUnit

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="file", ours=is_table)
def evaluate(
    model: ModelPath, test: Annotated[Path, typer.Argument(help="Later events, with the columns of the fit.")],
    metrics: Metrics = None, targets: Targets = "all",
    next_item: Annotated[bool, typer.Option("--next", help="Predict the next item at each step of a user.")] = False,
    gain: Gain = None, time_unit: TimeUnit = None,
    repeats: Annotated[
        str, typer.Option("--repeats", help="Count items that a user had before: yes, no, or auto (as the model does).")
    ] = "auto", *, opts: Shared,
) -> Table:  # fmt: skip
    """Rank the full catalogue for each test user; -o FILE.parquet keeps the values of each user.

    With --metric rmse, mae, log_loss or row_auc, predicted values are compared with those of the events instead.

    Example: `recsys evaluate ratings parts/test.parquet --metric rmse`
    """
    from ninefold.report import Table

    from recsys import evaluate as run
    from recsys import evaluate_next, evaluate_values, load
    from recsys.evaluation._evaluate import METRICS, VALUE_METRICS
    from recsys.evaluation._next import NEXT_METRICS

    of_values = bool(metrics) and set(metrics or ()) <= set(VALUE_METRICS)
    ignored = {
        "--next": of_values and next_item,
        "--targets": (of_values or next_item) and targets != "all",
        "--gain": (of_values or next_item) and gain is not None,
        "--time-unit": time_unit is not None and (of_values or not next_item),
        "--repeats": of_values and repeats != "auto",
        "--out": of_values and opts.out is not None,
    }
    for option in (name for name, is_given in ignored.items() if is_given):
        mode = "metrics of values" if of_values else "--next" if next_item else "lists (without --next)"
        raise InputError(option, got="given", expected=f"none: {mode} take no notice of it")
    if repeats not in ("auto", "yes", "no"):
        raise InputError("--repeats", got=repeats, expected="auto, yes or no")
    filter_seen = None if repeats == "auto" else repeats == "no"
    fitted = load(model)
    names = fitted.names_
    if metrics and of_values:
        held = Source(test, names.user, names.item, names.value, context=fitted._context_columns()).load()
        found = evaluate_values(fitted, held, metrics)
        return Table(["metric", "value"], [list(one) for one in found.items()])
    if next_item:
        columns = fitted.history_.context.column_names
        held = Source(test, names.user, names.item, time=names.time, context=columns, time_unit=time_unit).load()
        result = evaluate_next(fitted, held, metrics or NEXT_METRICS, filter_seen=filter_seen, seed=opts.seed)
    else:
        held = Source(test, names.user, names.item, names.value, context=fitted._context_columns()).load()
        options: dict[str, Any] = {"targets": targets, "gain": gain, "seed": opts.seed, "filter_seen": filter_seen}
        result = run(fitted, held, metrics or METRICS, **options)
    if opts.out is not None:
        write_parquet(result.per_user(), opts.out, force=opts.force)
    return result.table()


@verb(app, uses=("seed", "device", "threads", "quiet", "force", "out"), out="folder")
def compare(
    cut: Cut = None, models: Models = None, metrics: Metrics = None, targets: Targets = "warm",
    seeds: Annotated[int, typer.Option("--seeds", help="Number of fits of each model that uses random numbers.")] = 1,
    trials: Annotated[int, typer.Option("--trials", help="Number of tuning trials of each model; 0: none.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter of the models that have it, such as weight=count.")
    ] = None,
    gain: Gain = None,
    next_item: Annotated[bool, typer.Option("--next", help="Predict the next item at each step of a user.")] = False,
    *, source: OwnSource, opts: Shared,
) -> Table:  # fmt: skip
    """Compare models on one time split; popular and recent-popular are always included.

    The folder of `-o` receives report.md, report.json and the values of each user. With --metric rmse, mae or log_loss,
    values are predicted, and the bias of ratings is included instead.

    Example: `recsys compare shop.csv --time time --model ease --model item-knn --metric ndcg@10 -o report`
    """
    from recsys.datasets import embedded_retail
    from recsys.demo import CUT
    from recsys.evaluation._evaluate import METRICS
    from recsys.evaluation._next import NEXT_METRICS
    from recsys.evaluation._report import compare_events, requested_models, write_report

    names = models or ["ease", "item-knn", "puresvd"]
    metrics = metrics or list(NEXT_METRICS if next_item else METRICS)
    options: dict[str, Any] = {"targets": targets, "seeds": seeds}
    search: dict[str, Any] = {"trials": trials, "seed": opts.seed}
    made = requested_models(names, metrics, **options, **search, device=opts.device, settings=settings or [])
    if source.events is None:
        data, about, cut = embedded_retail(), "Online Retail (real)", cut or CUT
    else:
        data, about = source.load(), str(source.events)
    result = compare_events(data, made, metrics, cut=cut, **search, gain=gain, next_item=next_item, **options)
    table = result.table()
    table.title = f"{about}: {table.title}"
    if opts.out is not None:
        write_report(result, table, opts.out, force=opts.force)
    return table


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="run")
def best(
    minutes: Annotated[float, typer.Option("--minutes", help="Time limit for the whole search, in minutes.")] = 20.0,
    metric: Annotated[str, typer.Option("--metric", help="Ranking metric to maximise, such as ndcg@10.")] = "ndcg@10",
    cuts: Annotated[
        int, typer.Option("--cuts", help="Number of periods to evaluate on; the last one gives the final score.")
    ] = 5,
    today: Annotated[str | None, typer.Option("--today", help="Model you use now, such as item-knn(k=50).")] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Maximum number of settings to try; if omitted, as time allows.")
    ] = None,
    repeats: Annotated[
        str, typer.Option("--repeats", help="Recommend items that a user had before: yes, no, or auto (if 10 % are).")
    ] = "auto",
    *, source: Source, opts: Shared,
) -> Table:  # fmt: skip
    """Search for the best recommender for EVENTS, evaluate it on the last period, and save it (extra best).

    The folder of `-o` receives `model`, `report.html` and `report.json`. Rerun the same command to resume an
    interrupted search. Tables about users or items and ties are refused: the search reads only events.

    Example: `recsys best shop.csv --time time --minutes 0.2 -o best`
    """
    from recsys import best as run

    options: dict[str, Any] = {"minutes": minutes, "metric": metric, "cuts": cuts, "today": today, "trials": trials}
    options["repeats"] = repeats
    return run(source.load(), opts.need_out(), **options, seed=opts.seed, force=opts.force).table()


@verb(app, uses=("seed", "threads"))
def bench(*, opts: Shared) -> Table:
    """Measure the speed of lists, implicit's and a bare matrix product, on generated data in one process."""
    from recsys.evaluation._bench import bench as run

    return run(opts.seed)
