"""As many injected cross-class edges as the graph has, of matched degrees: what the gate sees, and what it brings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from mldgg.datasets import Graph, inject_edges
from mldgg.domains import split_support
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores
from sklearn.metrics import roc_auc_score

from ._citation import Arms, accuracy, tasks_of

SHOTS = (0, 5)


@cache
def noisy(form: str, seed: int) -> dict[str, tuple[Graph, np.ndarray]]:
    """The three graphs with injected edges, and which edges those are."""
    graphs = {task.name: task.target for task in tasks_of(form)}
    return {name: inject_edges(graph, 1.0, seed=1000 * seed + k) for k, (name, graph) in enumerate(graphs.items())}


def injected_edges(budget: Budget, seed: int) -> Scores:
    """The default on the graph as it is, gated by features alone, and gated; AUC of the weights on the unseen graph."""
    graphs, arms = noisy(budget.form, seed), Arms()
    for task in tasks_of(budget.form):
        target, injected = graphs[task.name]
        sources = [graphs[one.name][0] for one in task.sources]
        for arm, gate in (("gated", True), ("features only", "features"), ("ungated", False)):
            model = MLDGG(seed=seed, gate=gate).fit(sources)
            hidden = replace(target, y=np.full(len(target), -1))
            if arm != "ungated":
                weights = model.adapt(hidden).edge_weight()
                arms.add(f"AUC, {arm}", float(roc_auc_score(~injected, weights)))
            for shots in SHOTS:
                split = split_support(target.y, shots=shots, seed=seed)
                chances = model.adapt(target.hidden(split.support)).predict_proba()
                arms.add(f"{arm} at {shots}", accuracy(chances, target.y, split.query))
    noisy.cache_clear()
    return arms.scores()
