"""Verbs that judge: methods, speed, data."""

from __future__ import annotations

from typing import Annotated

import typer
from ninefold.cli import Shared, progress
from ninefold.errors import InputError
from ninefold.report import Table

from mldgg.cli._opening import Data, spoken_warnings


def compare(
    data: Data,
    *,
    methods: Annotated[str, typer.Option("--methods", help="Names, with commas between.")] = (
        "mldgg,centred-ridge,walked-ridge,target-only"
    ),
    shots: Annotated[str, typer.Option("--shots", help="Labels a class, with commas between.")] = "0,1,5,20",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds, from 0.")] = 3,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Options that each method may try.")] = 1,
    selection: Annotated[
        str, typer.Option("--selection", help="leave-one-domain-out, source-val, or oracle (an upper bound).")
    ] = "leave-one-domain-out",
    opts: Shared,
) -> Table:
    """Compare methods with each graph of DATA as target in turn; into the run folder -o if given."""
    from contextlib import nullcontext

    from ninefold.run import Run

    from mldgg import evaluation
    from mldgg.domains import GraphDomains, leave_one_graph_out
    from mldgg.paper import Published

    paper = {Published.name: Published}
    chosen, numbers = evaluation.entries(_words(methods), paper), _numbers(shots)
    if selection not in evaluation.RULES:
        raise InputError("--selection", got=repr(selection), expected=f"one of {', '.join(evaluation.RULES)}")
    with spoken_warnings():
        tasks = leave_one_graph_out(GraphDomains.named(data))
    config = {
        "data": data, "methods": _words(methods), "shots": numbers, "seeds": seeds, "trials": trials,
        "selection": selection, "nodes": {task.name: len(task.target) for task in tasks},
    }  # fmt: skip
    place = nullcontext() if opts.out is None else Run(opts.out, config)
    with place as run, progress(len(tasks) * len(chosen) * seeds, "fits") as bar:
        options = {"shots": numbers, "seeds": seeds, "trials": trials, "selection": selection}
        return evaluation.evaluate(chosen, tasks, **options, run=run, advance=bar.advance).table()


def _words(text: str) -> list[str]:
    words = [one.strip() for one in text.split(",")]
    if not all(words) or len(set(words)) < len(words):
        raise InputError("--methods", got=repr(text), expected="different names with commas between")
    return words


def _numbers(text: str) -> list[int]:
    words = [one.strip() for one in text.split(",")]
    if not all(one.isdecimal() for one in words):
        raise InputError("--shots", got=repr(text), expected="whole numbers with commas between, e.g. 0,5")
    return sorted({int(one) for one in words})


def bench(
    *,
    nodes: Annotated[int, typer.Option("--nodes", min=100, help="Nodes of the simulated graph.")] = 4000,
    opts: Shared,  # noqa: ARG001  (the core sets the threads)
) -> Table:
    """Time an adaptation to a simulated graph without labels, and predicting all of its nodes."""
    from dataclasses import replace

    from ninefold.measure import compare

    from mldgg.datasets import Simulated
    from mldgg.meta import MLDGG

    target = Simulated(graphs=1, nodes=nodes).draw(0)["north"]
    model = MLDGG().fit(list(Simulated(graphs=2, nodes=500).draw(1).values()))
    # a copy each time: what was read off a graph is kept
    calls = {"adapt and predict": lambda: model.predict_proba(replace(target, x=target.x.copy(), y=target.y * 0 - 1))}
    (one,) = compare(calls, repeats=3).values()
    return Table(["what", "nodes", "seconds"], [[one.name, nodes, one.seconds]], title="Simulated graph")


def data_check(
    data: Data,
    *,
    symmetrise: Annotated[bool, typer.Option("--symmetrise", help="Add missing reverse edges.")] = False,
) -> list[Table]:
    """Check the graphs of DATA: sizes, homophily, the same nodes twice, shared rows, permuted class ids."""
    import warnings

    from mldgg.domains import GraphDomains

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        domains = GraphDomains.named(data, allow_duplicates=True, symmetrise=symmetrise)
    sizes = Table(["graph", "nodes", "edges", "features", "labelled", "same-class edges, %"], title=data)
    for graph in domains.values():
        ends = graph.y[graph.edge_index]
        known = (ends >= 0).all(axis=0)
        alike = round(100 * float((ends[0] == ends[1])[known].mean()), 1) if known.any() else None
        edges, labelled = graph.edge_index.shape[1] // 2, int((graph.y >= 0).sum())
        sizes.rows.append([graph.name, len(graph), edges, graph.width, labelled, alike])
    found = Table(["finding", "graph", "other graph", "what"], title="Leaks and label ids")
    found.rows += [list(one) for one in domains.findings]
    found.notes.append("nothing found" if not found.rows else "fit refuses duplicates; the others are warnings")
    same = "the same in all graphs" if domains.shared else "not the same in all graphs: no zero-shot"
    sizes.notes.append(f"features and classes: {same}")
    return [sizes, found]
