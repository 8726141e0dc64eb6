"""Twitch without labels of the target: from DE to six other languages (AUC)."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from mldgg.datasets import Graph, Simulated, load
from mldgg.domains import LeakWarning, Method, measure
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG
from mldgg_experiments.datasets._families import Arms
from ninefold_lab import Budget, Scores

TRIALS = {"erm": 2, "centred-ridge": 9}  # `centred-ridge` without labels has nine combinations, ERM the default's two


@cache
def languages(form: str) -> dict[str, Graph]:
    """The seven graphs, or in the quick form three small simulated ones with two classes."""
    if form == "full":
        return load("twitch")
    return Simulated(graphs=3, nodes=200, classes=2, words=150).draw(0)


def to_the_rest(budget: Budget, seed: int) -> Scores:
    """The default, ERM and ridge with one source."""
    source, *targets = languages(budget.form).values()
    arms = Arms()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        models: dict[str, Method] = {"mldgg": MLDGG(seed=seed).fit([source])}
        for name in TRIALS:
            models[name] = METHODS[name](seed=seed, **_chosen(budget.form, name)).fit([source])
        for graph in targets:
            hidden, known = graph.hidden(np.zeros(len(graph), bool)), graph.y >= 0
            for arm, model in models.items():
                arms.add(arm, measure(model.predict_proba(hidden)[known], graph.y[known], "auc"))
    return arms.scores()


@cache
def _chosen(form: str, name: str) -> dict[str, object]:
    """Options of a rival, tuned once on the source with seed 0."""
    source = next(iter(languages(form).values()))
    return tune(METHODS[name], [source], shots=(0,), trials=TRIALS[name] if form == "full" else 2, metric="auc").options
