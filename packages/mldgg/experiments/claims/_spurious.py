"""Environments whose added features follow label and environment (EERM): learn on two, test on eight."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import scipy.sparse as sp
from mldgg.datasets import Graph, Simulated, load, spurious_environments
from mldgg.domains import LeakWarning, Method
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores

from ._citation import Collected, accuracy

RIVALS = ("erm", "eerm", "centred-ridge")
CENTRED = ", added columns around each graph's mean"
TRIALS = 2  # of each rival, on the two environments with labels


@cache
def bases(form: str) -> tuple[Graph, ...]:
    """Cora, or in the quick form a small simulated graph."""
    if form != "full":
        return (Simulated(graphs=1, nodes=250).draw(0)["north"],)
    return (load("planetoid")["cora"],)


def environments(budget: Budget, seed: int) -> Scores:
    """Accuracy on eight unseen environments without labels.

    An environment adds the same to each of its nodes, so that the mean of a graph tells it: the rivals are also shown
    the added columns around each graph's own mean, as `mldgg` sees them.
    """
    collected = Collected()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)  # the same words in all environments
        for place, base in enumerate(bases(budget.form)):
            made = list(spurious_environments(base, seed=seed).values())
            sources, tests = made[:2], made[2:]
            models: dict[str, Method] = {"mldgg": MLDGG(seed=seed).fit(sources)}
            for name in RIVALS:
                options = _chosen(budget.form, name, place)
                models[name] = METHODS[name].make(seed=seed, **options).fit(sources)
                centred = [_around_its_mean(graph, base.width) for graph in sources]
                models[f"{name}{CENTRED}"] = METHODS[name].make(seed=seed, **options).fit(centred)
            for graph in tests:
                hidden, known = graph.hidden(np.zeros(len(graph), bool)), graph.y >= 0
                centre = _around_its_mean(hidden, base.width)
                for name, model in models.items():
                    group, seen = f"{base.name} {graph.name}", centre if name.endswith(CENTRED) else hidden
                    collected.add(name, group, accuracy(model.predict_proba(seen), graph.y, known))
    return collected.scores


def _around_its_mean(graph: Graph, words: int) -> Graph:
    """The graph with every column from `words` on less its mean over the graph."""
    x = sp.csr_array(graph.x)
    added = x[:, words:].toarray()
    return replace(graph, x=sp.csr_matrix(sp.hstack([x[:, :words], sp.csr_array(added - added.mean(axis=0))])))


@cache
def _chosen(form: str, name: str, place: int) -> dict[str, object]:
    """Options of a rival: tuned once, with seed 0, on the two environments with labels."""
    sources = list(spurious_environments(bases(form)[place], seed=0).values())[:2]
    return tune(METHODS[name], sources, shots=(0,), trials=TRIALS if form == "full" else 1).options
