"""Sources that play the target in turn, so that a choice is made without the target, and what a choice is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph
from sklearn.metrics import roc_auc_score

from mldgg.domains._support import Split, split_support


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
