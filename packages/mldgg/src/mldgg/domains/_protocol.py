"""Who is source and who is target: leave-one-graph-out, and the publication's settings S1 to S3."""

from __future__ import annotations

from collections.abc import Mapping
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


def setting_tasks(collections: Mapping[str, GraphDomains], target: str, setting: str) -> list[Task]:
    """Tasks of the publication's settings.

    Args:
        collections: graphs by collection, e.g. twitch, facebook, webkb.
        target: the collection whose graphs are targets in turn.
        setting: S1: sources are the other graphs of the target's collection. S2: sources are one other collection, a
            task for each. S3: sources are all other collections together.

    Examples:
        >>> from mldgg import GraphDomains, Simulated, setting_tasks
        >>> draws = {name: GraphDomains(Simulated(graphs=2, nodes=60).draw(k)) for k, name in enumerate(["one", "two"])}
        >>> [(task.setting, task.name) for task in setting_tasks(draws, "one", "S2")]
        [('S2 two -> one', 'north'), ('S2 two -> one', 'east')]
    """
    if target not in collections:
        raise InputError("target", got=repr(target), expected=f"one of {', '.join(collections)}")
    if setting == "S1":
        return [
            Task(task.name, f"S1 {target}", task.sources, task.target)
            for task in leave_one_graph_out(collections[target])
        ]
    others = {name: domains for name, domains in collections.items() if name != target}
    if setting not in ("S2", "S3"):
        raise InputError("setting", got=repr(setting), expected="S1, S2 or S3")
    if not others:
        raise InputError("collections", got=f"only {target}", expected=f"another one: {setting} needs it")
    groups = {name: [name] for name in others} if setting == "S2" else {"+".join(others): list(others)}
    return [
        Task(
            graph.name, f"{setting} {label} -> {target}",
            tuple(source for name in members for source in others[name].values()), graph,
        )
        for label, members in groups.items()
        for graph in collections[target].values()
    ]  # fmt: skip
