"""Who is source and who is target: each graph is the target in turn."""

from __future__ import annotations

from dataclasses import dataclass

from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.domains._domains import GraphDomains


@dataclass(frozen=True)
class Task:
    """Labelled sources and a target that is not among them.

    Attributes:
        name: name of the target.
        setting: how the sources were chosen.
        sources: graphs with all their labels.
        target: a graph whose labels an evaluation hides but for the support.
    """

    name: str
    setting: str
    sources: tuple[Graph, ...]
    target: Graph


def leave_one_graph_out(domains: GraphDomains) -> list[Task]:
    """A task for each graph: it is the target, all others are sources.

    Examples:
        >>> from mldgg import GraphDomains, Simulated, leave_one_graph_out
        >>> tasks = leave_one_graph_out(GraphDomains(Simulated(graphs=3, nodes=60).draw(seed=0)))
        >>> [(task.name, len(task.sources)) for task in tasks]
        [('north', 2), ('east', 2), ('south', 2)]
    """
    if len(domains) < 2:
        raise InputError("graphs", got=len(domains), expected="at least two: one to hold out")
    name = "leave-one-graph-out"
    return [Task(target, name, tuple(domains.without(target)), domains[target]) for target in domains]
