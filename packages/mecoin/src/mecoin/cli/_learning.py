"""Learning base classes, adding classes to a model, and predicting with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from ninefold.files import starts_with
from ninefold.report import Table
from typer import Option

from mecoin.cli._app import Data, Model, Number, SplitFile, app

_ANSWERS = "node,class,probability,novelty"  # first line of the file that `predict` writes
_SUPPORT = "CSV file of the labelled nodes of the new classes: one node,label per line, without header."


@verb(app, uses=("seed", "threads", "force", "out"), out="file")
def fit(
    data: Data,
    *,
    variant: Annotated[
        str,
        Option("--variant", help="Method: mecoin+ (default) or paper, the published one.", rich_help_panel="Advanced"),
    ] = "mecoin+",
    encoder: Annotated[
        str | None, Option("--encoder", help="Encoder: sgc, gcn or gat; chosen on the base classes by default.")
    ] = None,
    split: SplitFile = None,
    opts: Shared,
) -> dict[str, Any]:
    """Learn the base classes: all classes with labels in DATA, or those of session 0 of a split.

    Example: `mecoin fit mine -o base.safetensors`
    """
    import numpy as np

    from mecoin.evaluation._answers import VARIANTS, base_nodes
    from mecoin.sessions._given import open_data, stream_of_split

    out = opts.need_out()
    if variant not in VARIANTS:
        raise InputError("variant", got=repr(variant), expected=f"one of {', '.join(VARIANTS)}")
    graph, _ = open_data(data, opts.seed)
    model = VARIANTS[variant](encoder, seed=opts.seed)
    if split is not None:
        _, session = stream_of_split(graph, split)
        graph = session.graph
        train, held = (np.isin(graph.ids, part) for part in (session.train, session.validation))
    else:
        train, held = base_nodes(graph, data, opts.seed)
    model.fit_base(graph, train, held)
    model.save(out, force=opts.force)
    sizes = {f"{part}, bytes": count for part, count in model.memory_report().items()}
    return {"classes": len(model.labels), "labelled nodes": int(train.sum()), **sizes, "model": out}


@verb(app, uses=("threads", "force", "out"), out="file")
def add(
    model: Model,
    data: Data,
    *,
    support: Annotated[Path | None, Option(help=_SUPPORT)] = None,
    split: SplitFile = None,
    session: Number = 1,
    update: Annotated[
        bool, Option("--update", help="Replace classes that the model already knows instead of refusing them.")
    ] = False,
    opts: Shared,
) -> dict[str, Any]:
    """Add classes to MODEL from a few labelled nodes of DATA, and write a new model.

    Example: `mecoin add base.safetensors mine --support new.csv -o grown.safetensors`
    """
    from ninefold_graphs import read_support

    from mecoin.evaluation._answers import model_of
    from mecoin.sessions._given import open_data, stream_of_split

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
    known = [label for label in given if label in learnt.labels]
    if known and not update:
        hint = "--update replaces it by these nodes"
        raise InputError(f"label {known[0]!r}", got=f"a known class of {model}", expected="a new one", hint=hint)
    with warnings.catch_warnings(record=True, action="always") as caught:
        learnt.add_classes(graph, given, update=update)
    for warning in caught:
        typer.echo(f"warning: {warning.message}", err=True)
    learnt.save(out, force=opts.force)
    return {"added": ", ".join(map(str, given)), "classes": len(learnt.labels), "model": out}


@verb(app, uses=("threads", "force", "out"), out="file", ours=starts_with(_ANSWERS))
def predict(
    model: Model,
    data: Data,
    *,
    node: Annotated[list[str] | None, Option("--node", help="Name of a node to classify; repeatable.")] = None,
    split: SplitFile = None,
    session: Number = 0,
    opts: Shared,
) -> Table:
    """Predict the classes of named nodes of DATA, or of all nodes; a split gives the accuracy on its test nodes.

    Example: `mecoin predict grown.safetensors mine -o answers.csv`
    """
    from mecoin.evaluation._answers import accuracy_table, answer_table, model_of, write_answers
    from mecoin.sessions._given import open_data, stream_of_split

    if split is not None and (node or opts.out is not None):
        raise InputError("--split", got="--node or --out as well", expected="--split alone: it prints accuracies")
    learnt = model_of(model)
    graph, places = open_data(data, learnt.settings["seed"])  # as when it was fitted
    if split is not None:
        return accuracy_table(learnt, *stream_of_split(graph, split, session))
    table = answer_table(learnt, graph, places, node or [], data)
    if opts.out is not None:
        return write_answers(table, opts.out, force=opts.force)
    if len(table.rows) > 20 and not opts.json:
        table.notes.append(f"the first 20 of {len(table.rows):,} nodes; all with -o FILE or --json")
        table.rows = table.rows[:20]
    return table
