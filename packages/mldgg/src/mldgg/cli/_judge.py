"""Verbs that judge: methods, speed, data."""

from __future__ import annotations

from typing import Annotated

from ninefold.cli import Shared, progress
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Option

from mldgg.cli._opening import Data, spoken_warnings

_METHODS = "mldgg,centred-ridge,walked-ridge,target-only"
_SELECTION = "Rule that selects options: leave-one-domain-out, source-val, or oracle (an upper bound)."


def compare(
    data: Data,
    *,
    methods: Annotated[str, Option(help="Names of methods, separated by commas.")] = _METHODS,
    shots: Annotated[str, Option(help="Numbers of labels per class, separated by commas.")] = "0,1,5,20",
    seeds: Annotated[int, Option(min=1, help="Number of random seeds, starting at 0.")] = 3,
    trials: Annotated[int, Option(min=1, help="Number of option settings that each method may try.")] = 1,
    selection: Annotated[str, Option(help=_SELECTION)] = "leave-one-domain-out",
    opts: Shared,
) -> Table:
    """Compare methods with each graph of DATA as the unseen one in turn; -o is a run folder.

    Example: `mldgg compare simulated --methods centred-ridge,target-only,label-propagation --shots 0,5 --seeds 1
    -o comparison`
    """
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
    nodes: Annotated[int, Option(min=100, help="Number of nodes of the simulated graph.")] = 4000,
    opts: Shared,  # noqa: ARG001  (the core sets the threads)
) -> Table:
    """Measure the time of adapting to a simulated graph without labels and predicting all of its nodes."""
    from mldgg.evaluation._edges import time_adaptation

    return Table(
        ["what", "nodes", "seconds"], [["adapt and predict", nodes, time_adaptation(nodes)]], "Simulated graph"
    )


def data_check(
    data: Data,
    *,
    symmetrise: Annotated[
        bool, Option("--symmetrise", help="Add missing reverse edges instead of refusing a directed graph.")
    ] = False,
) -> list[Table]:
    """Check the graphs of DATA: sizes, homophily, duplicate nodes, shared rows, permuted class ids.

    Example: `mldgg data-check mine`
    """
    import warnings

    from mldgg.domains import GraphDomains
    from mldgg.domains._tables import check_tables

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        domains = GraphDomains.named(data, allow_duplicates=True, symmetrise=symmetrise)
    return check_tables(domains, data)
