"""The command line: one verb for each step from an events table to lists, numbers and a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.app import house_verbs
from ninefold.cli import Shared, house_app, run_app, verb
from ninefold.errors import ArtifactError, InputError

from recsys.cli._asked import known_items, shard_of, typed_context, typed_ids
from recsys.cli._source import Source, TimeUnit, with_source

if TYPE_CHECKING:
    from ninefold.report import Table

    from recsys.data._dataset import Dataset
    from recsys.recommender._base import Recommender

app = house_app("recsys", "Recommendations from an events table, and offline numbers that can be trusted.")
house_verbs(app, "recsys")

ModelPath = Annotated[Path, typer.Argument(help="A model folder, as `recsys fit` writes it.")]
Model = Annotated[str, typer.Option("--model", "-m", help="Model, e.g. ease, ials, item-knn, popular.")]
Models = Annotated[list[str] | None, typer.Option("--model", "-m", help="Model; may be given again.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Parameter, e.g. l2=400; may be given again.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Metric, e.g. ndcg@10; may be given again.")]
Targets = Annotated[str, typer.Option("--targets", help="all, or only those of warm or cold items.")]
Cut = Annotated[str | None, typer.Option("--cut", help="Moment from which events are held out, e.g. 2011-11-01.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Trials = Annotated[int, typer.Option("--trials", help="Parameter sets to try, the default one included.")]
Within = Annotated[list[str] | None, typer.Option("--in", help="Context, e.g. scene=out; repeatable.")]
Length = Annotated[int, typer.Option("-k", help="Length of a list.")]


@verb(app)
@with_source
def doctor(
    test: Annotated[Path | None, typer.Option("--test", help="Events held out from these.")] = None,
    *, source: Source, opts: Shared,  # noqa: ARG001
) -> Table:  # fmt: skip
    """Look for leaks, clashing ids, odd times, duplicates and other reasons to distrust a number."""
    from recsys.data._doctor import doctor as examine
    from recsys.data._doctor import findings_table

    held = None if test is None else source.load(test)
    return findings_table(examine(source.load(), held), str(source.events))


@verb(app)
@with_source
def split(
    cut: Cut = None,
    by: Annotated[str, typer.Option("--by", help="time, leave-last-out, user or rows.")] = "time",
    force: Force = False, *, source: Source, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write train.parquet and test.parquet (and fold_in.parquet for held-out users) to the folder -o."""
    import pyarrow.parquet
    from ninefold.files import atomic_folder, refuse_existing

    if cut is not None and by != "time":
        raise InputError("--cut", got=cut, expected=f"none with --by {by}: it is of --by time")
    refuse_existing(opts.need_out(), force)
    data = source.load()
    if by == "time":
        parts = dict(zip(("train", "test"), data.split.time(cut), strict=True))
    elif by == "leave-last-out":
        parts = dict(zip(("train", "test"), data.split.leave_last_out(), strict=True))
    elif by == "user":
        parts = dict(zip(("train", "fold_in", "test"), data.split.user_held_out(seed=opts.seed), strict=True))
    elif by == "rows":
        parts = dict(zip(("train", "test"), data.split.rows(seed=opts.seed), strict=True))
    else:
        raise InputError("--by", got=repr(by), expected="time, leave-last-out, user or rows")
    with atomic_folder(opts.need_out(), force=force) as folder:
        for name, part in parts.items():
            pyarrow.parquet.write_table(part.to_table(), folder / f"{name}.parquet")
    return {name: repr(part) for name, part in parts.items()}


@verb(app)
@with_source
def fit(
    model: Model = "ease", settings: Settings = None, force: Force = False, *, source: Source, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Fit a model and write its folder to -o. After a kill the same command goes on from the last epoch.

    Under `torchrun --no-python`, processes train one network together, and the first of them writes it.
    """
    from ninefold.files import refuse_existing

    from recsys.neural._checkpoint import fit_key
    from recsys.neural._processes import first_process
    from recsys.recommender._registry import make_model
    from recsys.recommender._store import load

    out = opts.need_out()
    chosen = make_model(model, settings or [], opts.seed, opts.device)
    data = source.load()
    if not force and (out / "model.json").exists():  # killed between the last write and the end: it is done
        try:
            if load(out).key_ == fit_key(repr(chosen), chosen.seen_by(data)):
                return {"model": repr(chosen), "folder": out, "events": len(data)}
        except ArtifactError:
            pass
    refuse_existing(out, force)
    chosen.fit(data, checkpoint=out.with_name(f".{out.name}.checkpoint"))
    if first_process():
        chosen.save(out, force=force)
    return {"model": repr(chosen), "folder": out, "events": len(data)}


@verb(app)
@with_source
def tune(
    model: Model = "ease", settings: Settings = None, trials: Trials = 12,
    metric: Annotated[str, typer.Option("--metric", help="What to maximise.")] = "ndcg@10",
    *, source: Source, opts: Shared,
) -> Table:  # fmt: skip
    """Search a model's parameters on the latest fifth of the events; with -o DIR a killed search resumes."""
    from recsys import tune as search
    from recsys.recommender._registry import make_model

    chosen = make_model(model, settings or [], opts.seed, opts.device)
    return search(chosen, source.load(), metric=metric, trials=trials, seed=opts.seed, run=opts.out).table()


@verb(app)
def evaluate(
    model: ModelPath, test: Annotated[Path, typer.Argument(help="Later events, columns named as in the fit.")],
    metrics: Metrics = None, targets: Targets = "all",
    next_item: Annotated[bool, typer.Option("--next", help="Ask for the next item at each step of a user.")] = False,
    time_unit: TimeUnit = None, force: Force = False, *, opts: Shared,
) -> Table:  # fmt: skip
    """Rank the full catalogue for each test user; -o FILE.parquet keeps the values of each user.

    With --metric rmse, mae, log_loss or row_auc, predicted values are compared with those of the events instead.
    """
    from recsys import evaluate as run
    from recsys import evaluate_next, load
    from recsys.evaluation._evaluate import METRICS, VALUE_METRICS
    from recsys.evaluation._next import NEXT_METRICS

    _refuse_taken(opts.out, force)
    of_values = bool(metrics) and set(metrics or ()) <= set(VALUE_METRICS)
    ignored = {
        "--next": of_values and next_item,
        "--targets": (of_values or next_item) and targets != "all",
        "--time-unit": time_unit is not None and (of_values or not next_item),
        "--out": of_values and opts.out is not None,
    }
    for option in (name for name, is_given in ignored.items() if is_given):
        mode = "metrics of values" if of_values else "--next" if next_item else "lists (without --next)"
        raise InputError(option, got="given", expected=f"none: {mode} take no notice of it")
    fitted = load(model)
    names = fitted.names_
    if metrics and of_values:
        held = Source(test, names.user, names.item, names.value, context=fitted._context_columns()).load()
        return _value_table(fitted, held, metrics)
    if next_item:
        columns = fitted.history_.context.column_names
        held = Source(test, names.user, names.item, time=names.time, context=columns, time_unit=time_unit).load()
        result = evaluate_next(fitted, held, metrics or NEXT_METRICS, seed=opts.seed)
    else:
        held = Source(test, names.user, names.item, context=fitted._context_columns()).load()
        result = run(fitted, held, metrics or METRICS, targets=targets, seed=opts.seed)
    if opts.out is not None:
        _write_parquet(result.per_user(), opts.out)
    return result.table()


def _value_table(model: Recommender, test: Dataset, metrics: list[str]) -> Table:
    from ninefold.report import Table

    from recsys import evaluate_values

    return Table(["metric", "value"], [list(one) for one in evaluate_values(model, test, metrics).items()])


@verb(app)
@with_source
def compare(
    events: Annotated[  # noqa: ARG001  (`source` holds it)
        Path | None, typer.Argument(help="Events; the embedded purchases if none are given.")
    ] = None,
    cut: Cut = None, models: Models = None, metrics: Metrics = None, targets: Targets = "warm",
    seeds: Annotated[int, typer.Option("--seeds", help="Fits of each model that draws.")] = 1,
    trials: Annotated[int, typer.Option("--trials", help="Tune each model with so many trials first.")] = 0,
    force: Force = False, *, source: Source, opts: Shared,
) -> Table:  # fmt: skip
    """Compare models on one time split; popular and recent-popular always join. -o DIR: report.md, .json, per user."""
    from recsys.datasets import embedded_retail
    from recsys.demo import CUT
    from recsys.evaluation._report import compare_events, requested_models, write_report

    _refuse_taken(opts.out, force)
    names = models or ["ease", "item-knn", "puresvd"]
    requested_models(
        names, metrics, targets=targets, seeds=seeds, trials=trials, seed=opts.seed, device=opts.device
    )  # fmt: skip
    if source.events is None:
        data, about, cut = embedded_retail(), "Online Retail (real)", cut or CUT
    else:
        data, about = source.load(), str(source.events)
    result = compare_events(
        data, names, cut=cut, metrics=metrics, targets=targets, seeds=seeds,
        trials=trials, seed=opts.seed, device=opts.device,
    )  # fmt: skip
    table = result.table()
    table.title = f"{about}: {table.title}"
    if opts.out is not None:
        write_report(result, table, opts.out, force=force)
    return table


@verb(app)
def recommend(
    model: ModelPath, users: Annotated[list[str] | None, typer.Option("--for", help="User id; all if none.")] = None,
    k: Length = 10, exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Item never listed.")] = None,
    among: Annotated[list[str] | None, typer.Option("--among", help="Items to choose from; all if none.")] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="List what a user had, too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown users.")] = False,
    within: Within = None,
    shard: Annotated[str, typer.Option("--shard", help="i/n: the i-th of n parts of the users.")] = "1/1",
    force: Force = False, *, opts: Shared,
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
        return {"rows": recommend_to_file(fitted, opts.out, ids, k, force=force, **options), "file": opts.out}
    return _table(fitted.recommend(ids if users else ids[:5], k, **options))


@verb(app)
def similar(
    model: ModelPath, items: Annotated[list[str], typer.Argument(help="Item ids.")], k: Length = 10,
    *, opts: Shared,  # noqa: ARG001
) -> Table:  # fmt: skip
    """The items most like each given one."""
    from recsys import load

    fitted = load(model)
    return _table(fitted.similar_items(typed_ids(fitted, items, "item"), k))


@verb(app)
def explain(
    model: ModelPath, user: Annotated[str, typer.Argument(help="User id.")],
    item: Annotated[str, typer.Argument(help="Item id.")], k: Length = 10, within: Within = None,
    *, opts: Shared,  # noqa: ARG001
) -> Table:  # fmt: skip
    """Which of a user's items, or which parts of an event, speak for one item, and by how much."""
    from recsys import load

    fitted = load(model)
    ids = typed_ids(fitted, [user], "user")[0], typed_ids(fitted, [item], "item")[0]
    return _table(fitted.explain(*ids, k, context=typed_context(fitted, within) if within else None))


@verb(app)
def simulate(
    users: Annotated[int, typer.Option("--n-users", help="Users.")] = 500,
    items: Annotated[int, typer.Option("--n-items", help="Items.")] = 200,
    events: Annotated[int, typer.Option("--n-events", help="Events.")] = 20_000,
    transitions: Annotated[float, typer.Option("--transitions", help="Share that follows the last item.")] = 0.0,
    drift: Annotated[float, typer.Option("--drift", help="Turn of taste from first to last event.")] = 0.0,
    force: Force = False, *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write events of a world whose truth is known to -o FILE.parquet (or .csv)."""
    import pyarrow.csv
    from ninefold.files import atomic_file, refuse_existing

    from recsys import simulate as draw

    out = opts.need_out()
    refuse_existing(out, force)
    table = draw(users, items, events, transitions=transitions, drift=drift, seed=opts.seed).data.to_table()
    if out.suffix == ".csv":
        with atomic_file(out) as temporary:
            pyarrow.csv.write_csv(table, temporary)
    else:
        _write_parquet(table, out)
    first = {name: str(column[0].as_py()) for name, column in zip(table.column_names, table.columns, strict=True)}
    return {"file": out, "rows": table.num_rows, **first}


@verb(app)
def serve(
    model: ModelPath, port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1; 0: any free one.")] = 8765,
    *, opts: Shared,  # noqa: ARG001
) -> dict[str, Any]:  # fmt: skip
    """Answer JSON requests about a model on 127.0.0.1 until Ctrl-C: /health, /recommend, /similar, /explain."""
    from recsys import load, make_server

    server = make_server(load(model), port)
    typer.echo(f"http://127.0.0.1:{server.server_address[1]}/health", err=True)
    with server:
        server.serve_forever()
    return {}


@verb(app)
def export_index(
    model: ModelPath,
    recall: Annotated[float, typer.Option("--recall", help="Share of the exact top 10 to find.")] = 0.95,
    force: Force = False, *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Write an index for approximate neighbours (extra ann) to the folder -o; says which recall it reached."""
    from recsys import build_index, load

    out = opts.need_out()
    _refuse_taken(out, force)
    index = build_index(load(model), recall=recall, seed=opts.seed)
    return {"index": index.save(out, force=force), "recall@10": index.recall, "width": index.width}


@verb(app)
def inspect(model: ModelPath, *, opts: Shared) -> dict[str, Any]:  # noqa: ARG001
    """What a model folder holds; checks every byte of it."""
    from recsys.recommender._store import describe

    return describe(model)


@verb(app)
def bench(*, opts: Shared) -> Table:
    """Speed of lists and fits beside implicit's and a bare matrix product, on made data, in one process."""
    from recsys.evaluation._bench import bench as run

    return run(opts.seed)


def _table(rows: Any) -> Table:
    from ninefold.report import Table

    return Table(rows.column_names, [list(row.values()) for row in rows.to_pylist()])


def _refuse_taken(out: Path | None, force: bool) -> None:
    """Before any work: ArtifactError if a verb's result would replace what is there."""
    from ninefold.files import refuse_existing

    if out is not None:
        refuse_existing(out, force)


def _write_parquet(table: Any, path: Path) -> None:
    import pyarrow.parquet
    from ninefold.files import atomic_file

    with atomic_file(path) as temporary:
        pyarrow.parquet.write_table(table, temporary)


main = run_app(app)
