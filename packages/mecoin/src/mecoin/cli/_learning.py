"""Learning base classes, adding classes to a model, and predicting with it."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from ninefold.files import starts_with, write_text
from ninefold.report import Table

from mecoin.cli._app import Data, Model, Number, SplitFile, app, model_of, open_data, stream_of_split

ANSWERS = "node,class,probability,novelty"  # first line of the file that `predict` writes


@verb(app, uses=("seed", "threads", "force", "out"), out="file")
def fit(
    data: Data,
    *,
    variant: Annotated[str, typer.Option("--variant", help="mecoin+ (ours), or paper.")] = "mecoin+",
    encoder: Annotated[str | None, typer.Option("--encoder", help="sgc, gcn or gat; the variant's own.")] = None,
    split: SplitFile = None,
    opts: Shared,
) -> dict[str, Any]:
    """Learn the base classes: those of the split's session 0, or all classes that DATA has labels of."""
    import numpy as np

    from mecoin import Mecoin
    from mecoin.paper import PaperModel

    out = opts.need_out()
    kinds = {one.variant: one for one in (Mecoin, PaperModel)}
    if variant not in kinds:
        raise InputError("variant", got=repr(variant), expected=f"one of {', '.join(kinds)}")
    graph, _ = open_data(data, opts.seed)
    model = kinds[variant](encoder, seed=opts.seed)
    if split is not None:
        _, session = stream_of_split(graph, split)
        graph = session.graph
        train, held = (np.isin(graph.ids, part) for part in (session.train, session.validation))
    else:
        draws, held = np.random.default_rng(opts.seed), np.zeros(len(graph), bool)
        if (graph.y < 0).all():
            raise InputError(data, got="no labelled node", expected="labels of the base classes")
        for code in range(len(graph.classes)):  # class by class: a small one must not lose its few labels
            nodes = np.flatnonzero(graph.y == code)
            held[draws.choice(nodes, nodes.size // 5, replace=False)] = True
        train = (graph.y >= 0) & ~held
    model.fit_base(graph, train, held)
    model.save(out, force=opts.force)
    return {"classes": len(model.labels), "labelled nodes": int(train.sum()), **model.memory_report(), "model": out}


@verb(app, uses=("threads", "force", "out"), out="file")
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
    opts: Shared,
) -> dict[str, Any]:
    """Add classes to MODEL from a few labelled nodes of DATA; writes a new model to -o."""
    from ninefold_graphs import read_support

    out = opts.need_out()
    learnt = model_of(model)
    graph, _ = open_data(data, learnt.settings["seed"])  # as when it was fitted
    if split is not None and support is None:
        _, now = stream_of_split(graph, split, session)
        graph, given = now.graph, {graph.classes[code]: nodes for code, nodes in now.support.items()}
    elif support is None or split is not None:
        raise InputError("classes to add", got="neither or both", expected="either --support or --split")
    else:
        given = read_support(support, graph, [*graph.classes, *learnt.labels])
    with warnings.catch_warnings(record=True, action="always") as caught:
        learnt.add_classes(graph, given, update=update)
    for warning in caught:
        typer.echo(f"warning: {warning.message}", err=True)
    learnt.save(out, force=opts.force)
    return {"added": ", ".join(map(str, given)), "classes": len(learnt.labels), "model": out}


@verb(app, uses=("threads", "force", "out"), out="file", ours=starts_with(ANSWERS))
def predict(
    model: Model,
    data: Data,
    *,
    node: Annotated[list[str] | None, typer.Option("--node", help="A node; can be given again.")] = None,
    split: SplitFile = None,
    session: Number = 0,
    opts: Shared,
) -> Table:
    """Predict classes of nodes of DATA: those named, or all (with -o, to a CSV file); with --split, its test nodes."""
    import numpy as np

    if split is not None and (node or opts.out is not None):
        raise InputError("--split", got="--node or --out beside it", expected="--split alone: it prints accuracies")
    learnt = model_of(model)
    graph, places = open_data(data, learnt.settings["seed"])  # as when it was fitted
    if split is not None:
        sessions, now = stream_of_split(graph, split, session)
        right = learnt.predict(now.graph, now.test) == np.array(graph.classes, object)[now.truth]
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
    chances, novelty = learnt.predict_proba(graph, nodes).max(axis=1), learnt.novelty(graph, nodes)
    answers = zip(names, learnt.predict(graph, nodes), chances.tolist(), novelty.tolist(), strict=True)
    table = Table(ANSWERS.split(","), [list(one) for one in answers])
    table.notes.append("novelty above 1: farther from every known class than 95 % of base validation nodes")
    if opts.out is not None:
        lines = io.StringIO()
        rounded = ([a, b, f"{c:.4f}", f"{d:.4f}"] for a, b, c, d in table.rows)
        csv.writer(lines, lineterminator="\n").writerows([table.columns, *rounded])
        write_text(opts.out, lines.getvalue(), force=opts.force, ours=starts_with(ANSWERS))
        return Table(["nodes", "file"], [[len(names), str(opts.out)]])
    if len(names) > 20 and not opts.json:
        table.notes.append(f"the first 20 of {len(names):,} nodes; all with -o FILE or --json")
        table.rows = table.rows[:20]
    return table
