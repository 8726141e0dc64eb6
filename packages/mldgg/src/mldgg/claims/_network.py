"""The network as published and made to train, beside what is left when its parts are taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.proof import Budget, Scores

from mldgg.claims._citation import Collected, accuracy, tasks_of
from mldgg.domains import split_support
from mldgg.meta import MLDGG

TARGETS = ("dblp",)  # all three take hours on two cores
_TIME = {"num_pivots": 100, "rounds": 1}  # the published sizes (1000 pivots, five rounds) take three hours a fit
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("paper", {**_TIME, "epochs": 8, "episodes": 1}),
    "repaired": ("repaired", {**_TIME, "epochs": 5}),
    "repaired without structure learner": ("repaired", {**_TIME, "epochs": 5, "structure": False}),
    "repaired without causal learner": ("repaired", {**_TIME, "epochs": 5, "semantics": False}),
    "repaired without meta-epochs": ("repaired", {**_TIME, "epochs": 0}),
    "plain network": ("repaired", {"epochs": 5, "structure": False, "semantics": False}),
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
