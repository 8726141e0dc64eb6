"""Sessions of a graph: cut, looked into and audited, and run through by several learners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from mecoin.cli._app import Cut, Data, app


def _is_split(path: Path) -> bool:
    """Whether --force may replace a file: a split.json of ours."""
    from mecoin.sessions._split import is_split

    return is_split(path)


@verb(app, uses=("seed", "threads", "force", "out"), out="file", ours=_is_split)
def split(data: Data, *, cut: Cut, opts: Shared) -> Table:
    """Cut DATA into sessions and write split.json: the use of each node (training, validation, test) per session.

    Example: `mecoin split demo --base 10 --way 2 -o split.json`
    """
    from mecoin import SessionStream
    from mecoin.sessions._given import open_data, stream_table

    stream = SessionStream(open_data(data, opts.seed)[0], seed=opts.seed, **vars(cut))
    if opts.out is not None:
        stream.save(opts.out, force=opts.force)
    return stream_table(stream)


@verb(app, uses=("seed", "threads"))
def inspect(
    path: Annotated[Path, Argument(help="Model file, or a split.json file.")],
    *,
    data: Annotated[str | None, Option("--data", help="Graph against which the split is audited for leaks.")] = None,
    learner: Annotated[str | None, Option("--learner", help="Name of a learner to audit on the split.")] = None,
    opts: Shared,
) -> dict[str, Any] | list[Any] | Table:
    """Show the contents of a model, or audit a split and optionally a learner for leaks.

    Examples: `mecoin inspect grown.safetensors`, `mecoin inspect split.json --data demo --learner mecoin+`
    """
    from mecoin import Split
    from mecoin.evaluation._answers import model_of
    from mecoin.sessions._given import open_data, split_table

    if path.suffix != ".json":
        if data is not None or learner is not None:
            raise InputError("--data or --learner", got="a model", expected="a split.json to audit")
        model = model_of(path)
        labels = {"classes": len(model.labels), "labels": ", ".join(map(str, model.labels))}
        sizes = {f"{part}, bytes": count for part, count in model.memory_report().items()}
        return {**model.settings, **labels, **sizes}
    known = Split.load(path)
    if data is None:
        if learner is not None:
            raise InputError("--learner", got="no --data", expected="--data, to audit it on")
        return split_table(known)
    from mecoin.evaluation._audit import audit_learner, audit_split

    graph = open_data(data, opts.seed)[0]
    tables = [audit_split(known, graph)]
    if learner is not None:
        tables.append(audit_learner(_entry_of(learner), graph, known, opts.seed))
    return tables


def _entry_of(name: str) -> Any:
    """What `compare` takes for the name of a learner: the published method's class, else the name."""
    from mecoin.paper import PaperMecoin

    return PaperMecoin if name == PaperMecoin.name else name


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def compare(
    data: Data = "demo",
    *,
    learners: Annotated[str, Option(help="Names of learners, separated by commas.")] = "mecoin+,SGC-LDA + EM,SGC-NCM",
    cut: Cut,
    tune: Annotated[bool, Option("--tune", help="Choose the settings of rivals on the base classes.")] = False,
    opts: Shared,
) -> Table:
    """Run several learners through the same sessions; -o is a run folder, where a killed run resumes.

    Example: `mecoin compare demo --learners 'mecoin+,SGC-LDA + EM,SGC-NCM' -o run`
    """
    from mecoin import SessionStream
    from mecoin import compare as compared
    from mecoin.evaluation._compare import check_learners, result_table
    from mecoin.sessions._given import open_data

    entries = {name: _entry_of(name) for name in map(str.strip, learners.split(",")) if name}
    check_learners([entry for entry in entries.values() if isinstance(entry, str)] if entries else [""])
    stream = SessionStream(open_data(data, opts.seed)[0], seed=opts.seed, **vars(cut))
    settings = {"data": data, **vars(cut)}
    with progress(len(entries), "learners") as bar:
        results = compared(stream, entries, opts.seed, tune=tune, out=opts.out, settings=settings, advance=bar.advance)
    return result_table(results, f"{data}: {cut.base} + {len(stream) - 1} x {cut.way}-way {cut.shot}-shot, {cut.mode}")


@verb(app, uses=("seed", "threads"))
def bench(*, opts: Shared) -> Table:
    """Measure the time of adding two classes and of predicting, on the demo graph with embeddings computed before."""
    from mecoin.evaluation._answers import time_adding

    return time_adding(opts.seed)
