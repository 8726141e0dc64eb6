"""The unseen citation graph with another class mix: four classes thinned to a tenth and a twentieth, no label shown."""

from __future__ import annotations

import numpy as np
from mldgg.datasets import Graph
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores

from ._citation import Collected, tasks_of

SHARES = {"a tenth": 0.1, "a twentieth": 0.05}


def thinned(graph: Graph, whole: int, share: float, seed: int) -> Graph:
    """The graph with class `whole` as it is and `share` of the nodes of each other class."""
    draws = np.random.default_rng([seed, whole])
    return graph.induced((graph.y == whole) | (draws.random(len(graph)) < share))


def other_mixes(budget: Budget, seed: int) -> Scores:
    """Accuracy and balanced accuracy of the default and of features as they are, by target and whole class."""
    collected = Collected()
    for task in tasks_of(budget.form):
        model = MLDGG(seed=seed, network=False, gate=False).fit(task.sources)
        for name, share in SHARES.items():
            for whole in range(len(task.target.classes)):
                target = thinned(task.target, whole, share, seed)
                known = target.y >= 0
                if np.unique(target.y[known]).size < 2:
                    continue
                hidden = target.hidden(np.zeros(len(target), bool))
                answers = {"mldgg": model.adapt(hidden), "uncentred": model.adapt(hidden, transductive=False)}
                y, place = target.y[known], f"{task.name}, {task.target.classes[whole]} whole"
                for arm, adapted in answers.items():
                    right = (adapted.predict() == target.y)[known]
                    collected.add(f"{arm} at {name}", place, 100 * float(right.mean()))
                    classes = [right[y == one].mean() for one in np.unique(y)]
                    collected.add(f"{arm} at {name}, balanced", place, 100 * float(np.mean(classes)))
    return collected.scores
