"""The published network compared with what is left when its parts are taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
from mldgg.datasets import Graph
from mldgg.domains import split_support
from mldgg.paper import Published
from mldgg_experiments.datasets._families import Arms, accuracy, regions, tasks_of
from ninefold_lab import Budget, Scores

CUT = 8  # regions of a graph; one of each is used: whole graphs and the published sizes take three hours a fit
_TIME = {"num_pivots": 50, "rounds": 1, "epochs": 20, "episodes": 1}
PARTS: dict[str, dict[str, Any]] = {  # and what leaves each out
    "structure learner": {"structure": False}, "causal learner": {"semantics": False}, "meta-epochs": {"epochs": 0},
    "structure and causal learner": {"structure": False, "semantics": False},
}  # fmt: skip
# whole graphs: one GNN for all, or five labels of each class are all that its 6,775 x 64 weights see
_WHOLE = {"num_pivots": 100, "rounds": 1, "epochs": 60, "episodes": 1, "inner_steps": 1, "share_gnn": True}


def _cut(graph: Graph) -> Graph:
    """One region of the graph."""
    return next(iter(regions(graph, CUT).values()))


def parts(budget: Budget, seed: int) -> Scores:
    """Accuracy at five labels a class on a region of DBLP of the network and of what is left of it."""
    arms = Arms()
    task = next(one for one in tasks_of(budget.form) if one.name == "dblp")
    sources, target = task.sources, task.target
    if budget.form == "full":
        sources, target = [_cut(graph) for graph in sources], _cut(target)
    _add_largest(arms, target)
    split = split_support(target.y, shots=5, seed=seed)
    for arm, options in {"paper": {}, **{f"paper without {one}": left for one, left in PARTS.items()}}.items():
        chances = Published(seed=seed, **{**_TIME, **options}).fit(sources).predict_proba(target.hidden(split.support))
        arms.add(arm, accuracy(chances, target.y, split.query))
    return arms.scores()


def whole(budget: Budget, seed: int) -> Scores:
    """Accuracy at five labels a class on whole DBLP: both outputs of the network, and its GNN without its parts."""
    arms = Arms()
    task = next(one for one in tasks_of(budget.form) if one.name == "dblp")
    target = task.target
    _add_largest(arms, target)
    split = split_support(target.y, shots=5, seed=seed)
    plain = {"structure": False, "semantics": False}
    for arm, left in {"own output": {}, "without structure learner": {"structure": False}, "plain GNN": plain}.items():
        model = Published(seed=seed, **{**_WHOLE, **left}).fit(task.sources)
        found = model.outputs(target.hidden(split.support))
        arms.add(arm, accuracy(found["gnn"], target.y, split.query))
        if not left:
            arms.add("causal head", accuracy(found["causal"], target.y, split.query))
    return arms.scores()


def _add_largest(arms: Arms, target: Graph) -> None:
    known = target.y[target.y >= 0]
    arms.add("largest class", 100 * float(np.bincount(known).max() / known.size))
