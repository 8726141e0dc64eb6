"""DBLP with another class mix: most of its classes thinned."""

from __future__ import annotations

import warnings

import numpy as np
from mldgg.datasets import Graph
from mldgg.meta import ReadingWarning
from ninefold_lab import Budget, Scores

from ._families import Arms, tasks_of
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
