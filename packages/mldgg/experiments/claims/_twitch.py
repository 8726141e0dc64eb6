"""Twitch without labels of the target: from DE to six other languages (AUC)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
from mldgg.datasets import Graph, Simulated, load
from mldgg.domains import LeakWarning, Method, measure
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores

from ._citation import Collected

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
    collected = Collected()
    _judge(budget, seed, [source], targets, collected)
    return collected.scores


def _judge(budget: Budget, seed: int, sources: Sequence[Graph], targets: Sequence[Graph], into: Collected) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        models: dict[str, Method] = {"mldgg": MLDGG(seed=seed).fit(sources)}
        for name in ("erm", "centred-ridge"):
            options = _chosen(budget.form, name, tuple(graph.name for graph in sources))
            models[name] = METHODS[name].make(seed=seed, **options).fit(sources)
        for graph in targets:
            hidden, known = graph.hidden(np.zeros(len(graph), bool)), graph.y >= 0
            for arm, model in models.items():
                chances = model.predict_proba(hidden)
                into.add(arm, graph.name, measure(chances[known], graph.y[known], "auc"))


@cache
def _chosen(form: str, name: str, sources: tuple[str, ...]) -> dict[str, object]:
    """Options of a rival, tuned once on the sources with seed 0."""
    graphs = [languages(form)[one] for one in sources]
    trials = TRIALS[name] if form == "full" else 2
    return tune(METHODS[name], graphs, shots=(0,), trials=trials, metric="auc").options
