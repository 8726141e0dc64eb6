"""Twitch: train on DE, test on six other languages, without labels (AUC)."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from ninefold.proof import Budget, Scores

from mldgg.claims._citation import Collected
from mldgg.datasets import Graph, Simulated, load
from mldgg.domains import LeakWarning, Method
from mldgg.evaluation import METHODS
from mldgg.evaluation._tune import measure
from mldgg.meta import MLDGG


@cache
def languages(form: str) -> dict[str, Graph]:
    """The seven graphs, or in the quick form three small simulated ones with two classes."""
    if form == "full":
        return load("twitch")
    return Simulated(graphs=3, nodes=200, classes=2, words=150).draw(0)


def to_the_rest(budget: Budget, seed: int) -> Scores:
    """The default, ERM and ridge with one source."""
    graphs = languages(budget.form)
    (_, source), *targets = graphs.items()
    collected = Collected()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        models: dict[str, Method] = {"mldgg": MLDGG(seed=seed).fit([source])}
        for name in ("erm", "centred-ridge"):
            models[name] = METHODS[name].make(seed=seed).fit([source])
        for name, graph in targets:
            hidden, known = graph.hidden(np.zeros(len(graph), bool)), graph.y >= 0
            for arm, model in models.items():
                chances = model.predict_proba(hidden)
                collected.add(arm, name, measure(chances[known], graph.y[known], "auc"))
    return collected.scores
