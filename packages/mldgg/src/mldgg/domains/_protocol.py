"""What a method is, one interface for ours and all rivals; and who is source and who is target, each graph in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.domains._domains import GraphDomains


class Method(ABC):
    """Learns from labelled graphs once, then predicts on a graph of which it sees few labels or none.

    Attributes:
        name: as it is called in tables.
        source: publication, with its number.
        space: values of each option that tuning may choose from; printed with each result.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    space: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        unknown = [key for key in options if key not in self.space]
        if unknown:
            known = ", ".join(self.space) or "none"
            raise InputError(f"option {unknown[0]!r}", expected=f"an option of {self.name}: {known}")
        self.seed = seed
        self.options: dict[str, Any] = {key: options.get(key, values[0]) for key, values in self.space.items()}

    @classmethod
    def printed_space(cls) -> str:
        """The search space on one line."""
        return "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in cls.space.items()) or "nothing"

    @abstractmethod
    def fit(self, sources: Sequence[Graph]) -> Self:
        """Learn from source graphs, all of whose labels may be used."""

    @abstractmethod
    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) class probabilities of a target, whose `y` holds the support's labels and -1 everywhere else."""


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
