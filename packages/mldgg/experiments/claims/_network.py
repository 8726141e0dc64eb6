"""The network as published and made to train, beside what is left when its parts are taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
from mldgg.domains import split_support
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores

from ._citation import Collected, accuracy, tasks_of

TARGETS = ("dblp",)  # all three take hours on two cores
# the published sizes (1000 pivots, five rounds, 100 epochs) take three hours a fit
_TIME = {"num_pivots": 50, "rounds": 1}
_REPAIRED = {**_TIME, "warm_epochs": 60, "epochs": 3}
_PLAIN = {"structure": False, "semantics": False, "warm_epochs": 60}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("paper", {**_TIME, "epochs": 5, "episodes": 1}),
    "repaired": ("repaired", _REPAIRED),
    "repaired without structure learner": ("repaired", {**_REPAIRED, "structure": False}),
    "repaired without causal learner": ("repaired", {**_REPAIRED, "semantics": False}),
    "repaired without meta-epochs": ("repaired", {**_REPAIRED, "epochs": 0}),
    "plain network": ("repaired", {**_PLAIN, "epochs": 3}),
    "plain network without meta-epochs": ("repaired", {**_PLAIN, "epochs": 0}),
}


def parts(budget: Budget, seed: int) -> Scores:
    """Accuracy at five labels a class of the network and of what is left of it."""
    collected = Collected()
    for task in tasks_of(budget.form):
        if task.name not in TARGETS:
            continue
        largest = 100 * float(np.bincount(task.target.y[task.target.y >= 0]).max() / (task.target.y >= 0).sum())
        collected.add("largest class", task.name, largest)
        for arm, (variant, options) in ARMS.items():
            small = {**options, "epochs": min(options["epochs"], 1)} if budget.form == "quick" else options
            model = MLDGG(variant, seed=seed, **small).fit(task.sources)
            split = split_support(task.target.y, shots=5, seed=seed)
            chances = model.adapt(task.target.hidden(split.support)).predict_proba()
            collected.add(arm, task.name, accuracy(chances, task.target.y, split.query))
    return collected.scores
