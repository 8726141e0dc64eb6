"""The `mecoin` command: each verb parses, calls the API and returns what to print."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.app import house_verbs
from ninefold.cli import Shared, house_app, progress, run_app, verb
from ninefold.errors import InputError
from ninefold.files import refuse_existing, write_text
from ninefold.report import Table

if TYPE_CHECKING:
    from mecoin.graphs._graph import Graph
    from mecoin.sessions._stream import Session, SessionStream

app = house_app(
    "mecoin",
    "New node classes for a graph model from five labels each. Begin with **mecoin demo**; on your own graph: "
    "fit, add, predict; to compare methods: split, bench.",
)
Data = Annotated[
    str,
    typer.Argument(
        help="A data set (CS, Computers, ...), 'demo' or 'simulated', or a folder with edges.csv, labels.csv and, if "
        "there are features, features.csv."
    ),
]
Model = Annotated[Path, typer.Argument(help="File of a model.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at --out.")]
Mode = Annotated[str, typer.Option("--mode", help="inductive, or transductive: all nodes visible from the start.")]
SplitFile = Annotated[Path | None, typer.Option("--split", help="A split.json: take the nodes of a session from it.")]
Number = Annotated[int, typer.Option("--session", help="Session of the split.", min=0)]
Base = Annotated[int, typer.Option("--base", help="Base classes: the largest.")]
Way = Annotated[int, typer.Option("--way", help="New classes a session.")]
Shot = Annotated[int, typer.Option("--shot", help="Labelled nodes of each new class.")]
Sessions = Annotated[int | None, typer.Option("--sessions", help="Sessions after the base one; all, if left out.")]


@verb(app)
def split(
    data: Data,
    *,
    base: Base = 10,
    way: Way = 2,
    shot: Shot = 5,
    mode: Mode = "inductive",
    sessions: Sessions = None,
    force: Force = False,
    opts: Shared,
) -> Table:
    """Cut DATA into sessions and write split.json: which node is for training, validation or test, and when."""
    _on_cpu(opts)
    from mecoin import SessionStream

    if opts.out is not None:
        refuse_existing(opts.out, force)  # before the work, here and below
    stream = SessionStream(_open(data, opts.seed)[0], base, way, shot, mode, opts.seed, sessions)
    if opts.out is not None:
        stream.save(opts.out, force=force)
    table = Table(["session", "new classes", "labelled", "validation", "test", "visible nodes"])
    for session in stream:
        names = ", ".join(str(stream.data.names[code]) for code in session.new)
        sizes = [session.train.size, session.validation.size, session.test.size, len(session.graph)]
        table.rows.append([session.index, names, *sizes])
    return table


@verb(app)
def fit(
    data: Data,
    *,
    variant: Annotated[str, typer.Option("--variant", help="mecoin+ (ours), paper or codebook.")] = "mecoin+",
    encoder: Annotated[str | None, typer.Option("--encoder", help="sgc, gcn or gat; the variant's own.")] = None,
    prototypes: Annotated[int, typer.Option("--prototypes", help="Prototypes of each class.")] = 1,
    split: SplitFile = None,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Learn the base classes: those of the split's session 0, or all classes that DATA has labels of."""
    _on_cpu(opts)
    import numpy as np

    from mecoin import Mecoin

    out = opts.need_out()
    refuse_existing(out, force)
    graph, _ = _open(data, opts.seed)
    model = Mecoin(variant, encoder, proto_per_class=prototypes, seed=opts.seed)
    if split is not None:
        session = _stream(graph, split)[0]
        graph, train = session.graph, np.isin(session.graph.ids, session.train)
        held = np.isin(graph.ids, session.validation)
    else:
        draws, held = np.random.default_rng(opts.seed), np.zeros(len(graph), bool)
        if (graph.y < 0).all():
            raise InputError(data, got="no labelled node", expected="labels of the base classes")
        for code in range(len(graph.names)):  # class by class: a small one must not lose its few labels
            nodes = np.flatnonzero(graph.y == code)
            held[draws.choice(nodes, nodes.size // 5, replace=False)] = True
        train = (graph.y >= 0) & ~held
    model.fit_base(graph, train, held)
    model.save(out, force=force)
    return {"classes": len(model.labels), "labelled nodes": int(train.sum()), **model.memory_report(), "model": out}


@verb(app)
def add(
    model: Model,
    data: Data,
    *,
    support: Annotated[
        Path | None, typer.Option("--support", help="CSV without header: a line for each labelled node, node,label.")
    ] = None,
    split: SplitFile = None,
    session: Number = 1,
    update: Annotated[bool, typer.Option("--update", help="Learn known labels anew.")] = False,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Add classes to MODEL from a few labelled nodes of DATA; writes a new model to -o."""
    _on_cpu(opts)
    import time

    from mecoin import Mecoin

    out = opts.need_out()
    refuse_existing(out, force)
    learnt = Mecoin.load(model)
    graph, places = _open(data, learnt.settings["seed"])  # as when it was fitted
    if (split is None) == (support is None):
        raise InputError("classes to add", got="neither or both", expected="either --support or --split")
    if split is not None:
        now = _at(_stream(graph, split), session)
        graph, given = now.graph, {graph.names[code]: nodes for code, nodes in now.support.items()}
    else:
        given = _support(support, places, [*graph.names, *learnt.labels])
    start = time.perf_counter()
    with warnings.catch_warnings(record=True, action="always") as told:
        learnt.add_classes(graph, given, update=update)
    for warning in told:
        typer.echo(f"warning: {warning.message}", err=True)
    taken = time.perf_counter() - start
    learnt.save(out, force=force)
    return {"added": ", ".join(map(str, given)), "classes": len(learnt.labels), "seconds": taken, "model": out}


@verb(app)
def predict(
    model: Model,
    data: Data,
    *,
    node: Annotated[list[str] | None, typer.Option("--node", help="A node; can be given again.")] = None,
    split: SplitFile = None,
    session: Number = 0,
    force: Force = False,
    opts: Shared,
) -> Table:
    """Predict classes of nodes of DATA: those named, or all (with -o, to a CSV file); with --split, its test nodes."""
    _on_cpu(opts)
    import numpy as np

    from mecoin import Mecoin

    if split is not None and (node or opts.out is not None):
        raise InputError("--split", got="--node or --out beside it", expected="--split alone: it prints accuracies")
    if opts.out is not None:
        refuse_existing(opts.out, force)
    learnt = Mecoin.load(model)
    graph, places = _open(data, learnt.settings["seed"])  # as when it was fitted
    if split is not None:
        sessions = _stream(graph, split)
        now = _at(sessions, session)
        right = learnt.predict(now.graph, now.test) == np.array(graph.names, object)[now.truth]
        base = np.isin(now.truth, sessions[0].new)
        table = Table(["test nodes of", "nodes", "accuracy %"])
        for what, some in (("all classes", base | True), ("base classes", base), ("novel classes", ~base)):
            if some.any():
                table.rows.append([what, int(some.sum()), 100 * float(right[some].mean())])
        return table
    names = node or list(places)
    unknown = [one for one in names if one not in places]
    if unknown:
        raise InputError("--node", got=repr(unknown[0]), expected=f"a node of {data}")
    nodes = np.array([places[one] for one in names])
    answers = zip(
        names,
        learnt.predict(graph, nodes),
        learnt.predict_proba(graph, nodes).max(axis=1),
        learnt.novelty(graph, nodes),
        strict=True,
    )
    table = Table(["node", "class", "probability", "novelty"], [[a, b, float(c), float(d)] for a, b, c, d in answers])
    table.notes.append("novelty above 1: farther from every known class than 95 % of base validation nodes")
    if opts.out is not None:
        lines = [",".join(map(str, table.columns)), *(",".join(map(_cell, row)) for row in table.rows)]
        write_text(opts.out, "\n".join(lines) + "\n")
        return Table(["nodes", "file"], [[len(names), str(opts.out)]])
    if len(names) > 20 and not opts.json:
        table.notes.append(f"the first 20 of {len(names):,} nodes; all with -o FILE or --json")
        table.rows = table.rows[:20]
    return table


@verb(app)
def inspect(
    path: Annotated[Path, typer.Argument(help="A model, or a split.json.")],
    *,
    data: Annotated[str | None, typer.Option("--data", help="Audit a split against this data.")] = None,
    learner: Annotated[str | None, typer.Option("--learner", help="Audit this learner on the split, too.")] = None,
    opts: Shared,
) -> dict[str, Any] | list[Any] | Table:
    """Show what a model holds; or audit a split (and a learner on it) for leaks."""
    _on_cpu(opts)
    from mecoin import Mecoin, Split

    if path.suffix != ".json":
        if data is not None or learner is not None:
            raise InputError("--data or --learner", got="a model", expected="a split.json to audit")
        model = Mecoin.load(path)
        return {
            **model.settings,
            "classes": len(model.labels),
            "labels": ", ".join(map(str, model.labels)),
            **model.memory_report(),
        }
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
    from mecoin.evaluation._bench import make_learner

    graph = _open(data, opts.seed)[0]
    tables = [audit_split(known, graph)]
    if learner is not None:
        tables.append(
            audit_learner(lambda _, session: make_learner(learner, session, opts.seed), graph, known, opts.seed)
        )
    return tables


@verb(app)
def bench(
    data: Data = "demo",
    *,
    learners: Annotated[str, typer.Option("--learners", help="Names, divided by commas.")] = "mecoin+,SGC-NCM",
    base: Base = 10,
    way: Way = 2,
    shot: Shot = 5,
    mode: Mode = "inductive",
    sessions: Sessions = None,
    tune: Annotated[bool, typer.Option("--tune", help="Choose rivals' settings, on base classes alone.")] = False,
    opts: Shared,
) -> Table:
    """Take several learners through the same sessions; -o is a run folder, which a killed run goes on in."""
    _on_cpu(opts)
    import tempfile

    from ninefold.run import Run

    from mecoin import SessionStream
    from mecoin.evaluation._bench import check_learners, result_table, run_bench, write_reports

    names = [name.strip() for name in learners.split(",") if name.strip()]
    settings = {"data": data, "learners": names, "base": base, "way": way, "shot": shot, "mode": mode}
    settings |= {"sessions": sessions, "seed": opts.seed, "tune": tune}
    check_learners(names)
    stream = SessionStream(_open(data, opts.seed)[0], base, way, shot, mode, opts.seed, sessions)
    settings["data digest"] = stream.data.digest[:16]  # the split that the folder keeps tells of the labels
    with tempfile.TemporaryDirectory() as scratch, Run(opts.out or Path(scratch) / "run", settings) as run:
        with progress(len(names), "learners") as bar:
            results = run_bench(run, stream, names, opts.seed, bar.advance, tune=tune)
        if opts.out is not None:
            write_reports(run, stream, results)
    return result_table(results, f"{data}: {base} + {len(stream) - 1} x {way}-way {shot}-shot, {mode}")


def _open(data: str, seed: int) -> tuple[Graph, dict[str, int]]:
    """(graph, node ids by name) of a data set by name, a simulated one, or a folder."""
    from mecoin import datasets
    from mecoin.graphs._simulator import DEMO, Simulated

    folder = Path(data)
    simulators = {"demo": DEMO, "simulated": Simulated()}
    names = [*simulators, *datasets.DATASETS]
    if data not in names and folder.is_dir():  # ./demo is a folder, whatever there is
        features = folder / "features.csv"
        files = folder / "edges.csv", folder / "labels.csv", features if features.exists() else None
        return datasets.read_edge_list(*files, seed=seed)
    if data not in names:
        raise InputError("data", got=repr(data), expected=f"a folder, or one of {', '.join(names)}")
    graph = simulators[data].draw(seed) if data in simulators else datasets.load(data)
    return graph, {str(one): int(one) for one in graph.ids}


def _at(stream: SessionStream, number: int) -> Session:
    if number >= len(stream):
        raise InputError("--session", got=number, expected=f"0 to {len(stream) - 1}, as the split has")
    return stream[number]


def _on_cpu(opts: Shared) -> None:
    """A device that is not used must not seem to be."""
    if opts.device != "cpu":
        raise InputError("--device", got=opts.device, expected="cpu: mecoin has no code for others")


def _stream(graph: Graph, path: Path) -> SessionStream:
    """Sessions of a split; InputError if a node is of another class than when it was cut, as after lines were added."""
    from mecoin import SessionStream

    stream = SessionStream.from_split(graph, path)
    for session in stream.split.sessions:
        for part in (session.support, session.validation, session.test):
            for name, nodes in part.items():
                others = nodes[graph.y[graph.positions(nodes)] != graph.code(name)]
                if others.size:
                    got, hint = f"not of class {name!r}", "it was made of other data: cut it anew"
                    raise InputError(f"node {others[0]}", got=got, expected="as the split says", where=path, hint=hint)
    return stream


def _support(path: Path | None, places: dict[str, int], known: Iterable[Hashable]) -> dict[Hashable, list[int]]:
    """Node ids by label. A label that reads like a known one is that one, so that 7 is the class 7 and not a text."""
    from mecoin.graphs._readers import _pairs

    if path is None or not path.is_file():
        raise InputError("--support", got=str(path), expected="a CSV file of node,label")
    by_text, given = {str(one): one for one in known}, dict[Hashable, list[int]]()
    for number, (node, label) in _pairs(path):
        if node not in places or not label:
            got = f"node {node!r}" if label else "no label"
            raise InputError(
                "line", got=got, expected="a node of the graph, and its label", where=f"{path}, line {number}"
            )
        given.setdefault(by_text.get(label, label), []).append(places[node])
    return given


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n') else text


house_verbs(app, "mecoin")
main = run_app(app)
