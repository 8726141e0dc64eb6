"""Sessions of a graph: cut, looked into and audited, and run through by several learners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table

from mecoin.cli._app import Cut, Data, app, model_of, open_data


def _is_split(path: Path) -> bool:
    """Whether --force may replace a file: a split.json of ours."""
    from mecoin.sessions._split import is_split

    return is_split(path)


@verb(app, uses=("seed", "threads", "force", "out"), out="file", ours=_is_split)
def split(data: Data, *, cut: Cut, opts: Shared) -> Table:
    """Cut DATA into sessions and write split.json: which node is for training, validation or test, and when."""
    from mecoin import SessionStream

    stream = SessionStream(open_data(data, opts.seed)[0], seed=opts.seed, **vars(cut))
    if opts.out is not None:
        stream.save(opts.out, force=opts.force)
    table = Table(["session", "new classes", "labelled", "validation", "test", "visible nodes"])
    for session in stream:
        names = ", ".join(str(stream.data.classes[code]) for code in session.new)
        sizes = [session.train.size, session.validation.size, session.test.size, len(session.graph)]
        table.rows.append([session.index, names, *sizes])
    return table


@verb(app, uses=("seed", "threads"))
def inspect(
    path: Annotated[Path, typer.Argument(help="A model, or a split.json.")],
    *,
    data: Annotated[str | None, typer.Option("--data", help="Audit a split against this data.")] = None,
    learner: Annotated[str | None, typer.Option("--learner", help="Audit this learner on the split, too.")] = None,
    opts: Shared,
) -> dict[str, Any] | list[Any] | Table:
    """Show what a model holds; or audit a split (and a learner on it) for leaks."""
    from mecoin import Split

    if path.suffix != ".json":
        if data is not None or learner is not None:
            raise InputError("--data or --learner", got="a model", expected="a split.json to audit")
        model = model_of(path)
        labels = {"classes": len(model.labels), "labels": ", ".join(map(str, model.labels))}
        return {**model.settings, **labels, **model.memory_report()}
    known = Split.load(path)
    if data is None:
        if learner is not None:
            raise InputError("--learner", got="no --data", expected="--data, to audit it on")
        table = Table(["session", "classes", "labelled", "nodes"])
        table.title = f"{known.mode}, {known.way}-way {known.shot}-shot"
        for place, one in enumerate(known.sessions):
            table.rows.append([place, len(one.classes), sum(map(len, one.support.values())), one.nodes.size])
        return table
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
    learners: Annotated[
        str, typer.Option("--learners", help="Names, divided by commas.")
    ] = "mecoin+,SGC-LDA + EM,SGC-NCM",
    cut: Cut,
    tune: Annotated[bool, typer.Option("--tune", help="Choose rivals' settings, on base classes alone.")] = False,
    opts: Shared,
) -> Table:
    """Take several learners through the same sessions; -o is a run folder, which a killed run goes on in."""
    from mecoin import SessionStream
    from mecoin import compare as compared
    from mecoin.evaluation._compare import check_learners, result_table

    entries = {name: _entry_of(name) for name in map(str.strip, learners.split(",")) if name}
    check_learners([entry for entry in entries.values() if isinstance(entry, str)] if entries else [""])
    stream = SessionStream(open_data(data, opts.seed)[0], seed=opts.seed, **vars(cut))
    settings = {"data": data, **vars(cut)}
    with progress(len(entries), "learners") as bar:
        results = compared(stream, entries, opts.seed, tune=tune, out=opts.out, settings=settings, advance=bar.advance)
    return result_table(results, f"{data}: {cut.base} + {len(stream) - 1} x {cut.way}-way {cut.shot}-shot, {cut.mode}")


@verb(app, uses=("seed", "threads"))
def bench(*, opts: Shared) -> Table:
    """Time adding two classes to the default and predicting with it, on the demo's graph, embeddings made."""
    import copy

    from ninefold.measure import compare as timed

    from mecoin import SessionStream
    from mecoin.evaluation._compare import make_learner

    base, new, *_ = SessionStream(open_data("demo", opts.seed)[0], 10, 2, seed=opts.seed)
    learner = make_learner("mecoin+", base, opts.seed, encoder="sgc")
    learner.fit_base(base.graph, base.support, base.validation)
    calls = {"predict": lambda: learner.predict(base.graph, base.test)}
    calls["add two classes"] = lambda: copy.copy(learner).add_classes(new.graph, new.support)
    return Table(["what", "seconds"], [[name, one.seconds] for name, one in timed(calls, repeats=3).items()])
