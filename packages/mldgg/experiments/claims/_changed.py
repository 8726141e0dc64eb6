"""Graphs that are changed: DBLP with another class mix, citation graphs with as many injected edges as they have."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
from mldgg.datasets import Graph, inject_edges
from mldgg.domains import split_support
from mldgg.meta import MLDGG, ReadingWarning
from mldgg_experiments.datasets._families import Arms, accuracy, tasks_of
from ninefold_lab import Budget, Scores
from sklearn.metrics import roc_auc_score

from ._judged import adapted_to

THINNED, WHOLE = "dblp", (0, 2, 4)  # target, and classes that are whole in turn
SHARES = {"a tenth": 0.1, "a twentieth": 0.05}


def thinned(graph: Graph, whole: int, share: float, seed: int) -> Graph:
    """The graph with class `whole` as it is and `share` of the nodes of each other class."""
    draws = np.random.default_rng([seed, whole])
    return graph.induced((graph.y == whole) | (draws.random(len(graph)) < share))


def other_mixes(budget: Budget, seed: int) -> Scores:
    """Accuracy and balanced accuracy of the default, of features as they are and of the largest class.

    An item for each class of DBLP that is whole in turn; as it is, one for each target.
    """
    arms = Arms()
    for place, task in enumerate(tasks_of(budget.form)):
        adapted = adapted_to(budget.form, "citation", place)
        model, forms = adapted.model, [("", task.target)]
        if task.name == THINNED:
            forms += [
                (f" at {name}", thinned(task.target, whole, share, seed))
                for name, share in SHARES.items()
                for whole in WHOLE[: len(task.target.classes)]
            ]
        for name, target in forms:
            known, shown = target.y >= 0, target.hidden(np.zeros(len(target), bool))
            y = target.y[known]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ReadingWarning)
                answers = {
                    "mldgg": (model.adapt(shown) if name else adapted).predict(),
                    "uncentred": model.adapt(shown, transductive=False).predict(),
                    "largest class": np.full(len(target), np.bincount(y).argmax()),
                }
            for arm, found in answers.items():
                right = (found == target.y)[known]
                arms.add(f"{arm}{name}", 100 * float(right.mean()))
                balanced = np.mean([right[y == one].mean() for one in np.unique(y)])
                arms.add(f"{arm}{name}, balanced", 100 * float(balanced))
    return arms.scores()


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
