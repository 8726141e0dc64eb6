"""The unseen citation graph with another class mix: four classes thinned to a tenth and a twentieth, no label shown."""

from __future__ import annotations

import numpy as np
from mldgg.datasets import Graph
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores

from ._citation import tasks_of

SHARES = {"a tenth": 0.1, "a twentieth": 0.05}


def thinned(graph: Graph, whole: int, share: float, seed: int) -> Graph:
    """The graph with class `whole` as it is and `share` of the nodes of each other class."""
    draws = np.random.default_rng([seed, whole])
    return graph.induced((graph.y == whole) | (draws.random(len(graph)) < share))


def other_mixes(budget: Budget, seed: int) -> Scores:
    """Accuracy and balanced accuracy of the default, of features as they are and of the largest class.

    An item for each target and class that is whole; as it is, one for each target.
    """
    arms: dict[str, list[float]] = {}
    for task in tasks_of(budget.form):
        model = MLDGG(gate=False).fit(task.sources)
        forms = [("", task.target)]
        forms += [
            (f" at {name}", thinned(task.target, whole, share, seed))
            for name, share in SHARES.items()
            for whole in range(len(task.target.classes))
        ]
        for name, target in forms:
            known, shown = target.y >= 0, target.hidden(np.zeros(len(target), bool))
            y = target.y[known]
            answers = {
                "mldgg": model.adapt(shown).predict(),
                "uncentred": model.adapt(shown, transductive=False).predict(),
                "largest class": np.full(len(target), np.bincount(y).argmax()),
            }
            for arm, found in answers.items():
                right = (found == target.y)[known]
                arms.setdefault(f"{arm}{name}", []).append(100 * float(right.mean()))
                balanced = np.mean([right[y == one].mean() for one in np.unique(y)])
                arms.setdefault(f"{arm}{name}, balanced", []).append(100 * float(balanced))
    return {arm: np.array(items) for arm, items in arms.items()}
