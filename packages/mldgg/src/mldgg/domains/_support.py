"""Which nodes a method may learn from (support) and is judged on (query), and sources that play the target in turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True)
class Split:
    """Two disjoint (N,) bool masks over labelled nodes."""

    support: np.ndarray
    query: np.ndarray


def split_support(y: Any, *, shots: int | None = None, ratio: float | None = None, seed: int = 0) -> Split:
    """Draw support nodes class by class; all other labelled nodes are query nodes.

    Args:
        y: (N,) class ids, -1 where unknown.
        shots: support nodes of each class (0: none); a class with too few keeps one of two or more for the query.
        ratio: instead of `shots`, the share of each class, rounded up.
        seed: random seed.
    Raises: InputError if neither or both are given, or there is no labelled node.

    Examples:
        >>> from mldgg import split_support
        >>> split = split_support([0, 0, 1, 1, -1], shots=1, seed=0)
        >>> int(split.support.sum()), int(split.query.sum())
        (2, 2)
    """
    y = np.asarray(y)
    if (shots is None) == (ratio is None):
        raise InputError("shots and ratio", got="neither or both", expected="one of the two")
    if shots is not None and shots < 0:
        raise InputError("shots", got=shots, expected="0 or more")
    if ratio is not None and not 0 < ratio < 1:
        raise InputError("ratio", got=ratio, expected="a share in (0, 1)")
    if not (y >= 0).any():
        raise InputError("y", got="no labelled node", expected="class ids from 0")
    draws, support = np.random.default_rng(seed), np.zeros(y.size, bool)
    for label in range(int(y.max()) + 1):
        nodes = draws.permutation(np.flatnonzero(y == label))
        wanted = shots if shots is not None else int(np.ceil((ratio or 0) * nodes.size))
        support[nodes[: min(wanted, max(nodes.size - 1, 1))]] = True
    return Split(support, (y >= 0) & ~support)


def check_support(graph: Graph, support: Any, *, every_class: bool) -> np.ndarray:
    """The (N,) bool mask of support nodes, once it is certain that no other label is there to be seen.

    Args:
        graph: the target; labels outside the support are refused.
        support: (N,) bool mask, or None for the nodes that have a label.
        every_class: refuse a class that has no support node.
    Raises: InputError that names the node or the class.
    """
    where = f"graph {graph.name!r}"
    if support is None:
        support = graph.y >= 0
    support = np.asarray(support.detach().cpu() if hasattr(support, "detach") else support)
    if support.dtype != bool or support.shape != (len(graph),):
        got = f"dtype {support.dtype}, shape {support.shape}"
        raise InputError("support_mask", got=got, expected=f"({len(graph)},) bool", where=where)
    unknown = np.flatnonzero(support & (graph.y < 0))
    if unknown.size:
        raise InputError(f"support node {unknown[0]}", got="no label", expected="a class id in y", where=where)
    shown = np.flatnonzero(~support & (graph.y >= 0))
    if shown.size:
        got, hint = (
            f"labels of {shown.size} query nodes (the first is node {shown[0]})",
            "graph.hidden(support) hides them",
        )
        raise InputError("y", got=got, expected="-1 outside the support", where=where, hint=hint)
    if every_class:
        for label, name in enumerate(graph.classes):
            if not (graph.y == label).any():
                got = f"no node of class {name!r}"
                raise InputError("support", got=got, expected="at least one of each class", where=where)
    return support


@dataclass(frozen=True)
class Rehearsal:
    """One source as the target of the others.

    Attributes:
        learners: (position among the sources, graph with the labels that may be learnt from).
        place: position of the graph that is judged.
        target: that graph with the labels it is judged by; with one source in all, half of its labels.
    """

    learners: tuple[tuple[int, Graph], ...]
    place: int
    target: Graph

    def split(self, shots: int, seed: int) -> Split:
        """Support and query of the judged graph."""
        return split_support(self.target.y, shots=shots, seed=seed)


def rehearsals(sources: Sequence[Graph], *, most: int | None = None, seed: int = 0) -> list[Rehearsal]:
    """Each source in turn as target, or `most` of them spread evenly; a single one is judged on half of its labels.

    A source without two labelled nodes of one class cannot be judged and is left out.
    """
    if len(sources) == 1:
        half = split_support(sources[0].y, ratio=0.5, seed=seed)
        learner, target = sources[0].hidden(half.support), sources[0].hidden(half.query)
        return [Rehearsal(((0, learner),), 0, target)] if _counts(target).max(initial=0) > 1 else []
    able = [place for place, graph in enumerate(sources) if _counts(graph).max(initial=0) > 1]
    count = len(able) if most is None else min(most, len(able))
    places = sorted({able[round(one)] for one in np.linspace(0, len(able) - 1, count)})
    return [
        Rehearsal(tuple((k, graph) for k, graph in enumerate(sources) if k != place), place, sources[place])
        for place in places
    ]


def thinned(graph: Graph, share: float, seed: int = 0) -> Graph:
    """The graph with one class whole, drawn among those it has, and `share` of the nodes of each other class.

    Sources often have alike class mixes; this is how a rehearsal has another one.
    """
    counts, draws = _counts(graph), np.random.default_rng([seed, len(graph)])
    whole = draws.choice(np.flatnonzero(counts > 1))
    keep = (graph.y == whole) | (draws.random(len(graph)) < share)
    for label in np.flatnonzero(counts > 1):  # two of each class stay, so that it can be judged
        keep[np.flatnonzero(graph.y == label)[:2]] = True
    return graph.induced(keep)


def metric_of_choice(made: Iterable[Rehearsal]) -> str:
    """As `metric_of`, but accuracy where a query would lack one of two classes."""
    targets = [one.target for one in made]
    whole = all((_counts(target) > 1).all() for target in targets)
    return metric_of(targets) if targets and whole else "accuracy"


def _counts(graph: Graph) -> np.ndarray:
    """Labelled nodes of each class."""
    return np.bincount(graph.y[graph.y >= 0], minlength=len(graph.classes))


def metric_of(graphs: Iterable[Graph]) -> str:
    """`auc` for two classes, else `accuracy`."""
    return "auc" if all(len(graph.classes) == 2 for graph in graphs) else "accuracy"


def measure(chances: np.ndarray, y: np.ndarray, metric: str) -> float:
    """Accuracy or area under the ROC curve, in per cent; InputError for an area with one class alone."""
    if metric == "auc" and np.unique(y).size < 2:
        raise InputError("query", got="nodes of one class", expected="both classes, for an area under the ROC curve")
    if metric == "auc":
        return 100 * float(roc_auc_score(y, chances[:, 1]))
    return 100 * float((chances.argmax(axis=1) == y).mean())
