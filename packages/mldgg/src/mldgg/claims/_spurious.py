"""Environments whose added features follow label and environment (EERM's Cora): train on the first, test on eight."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from ninefold.proof import Budget, Scores

from mldgg.claims._citation import Collected, accuracy
from mldgg.datasets import Graph, Simulated, load, spurious_environments
from mldgg.domains import LeakWarning, Method
from mldgg.evaluation import METHODS, probe
from mldgg.meta import MLDGG

RIVALS = ("erm", "eerm", "sgc-ridge", "centred-ridge")


@cache
def base(form: str) -> Graph:
    """Cora, or in the quick form a small simulated graph."""
    return load("planetoid")["cora"] if form == "full" else Simulated(graphs=1, nodes=250).draw(0)["north"]


def environments(budget: Budget, seed: int) -> Scores:
    """Accuracy on eight unseen environments without labels; what can be read off s and v of the repaired network."""
    made = list(spurious_environments(base(budget.form), seed=seed).values())
    train, tests = made[0], made[2:]
    collected = Collected()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)  # one source only, and the same words in all environments
        models: dict[str, Method] = {"mldgg": MLDGG(seed=seed).fit([train])}
        for name in RIVALS:
            models[name] = METHODS[name].make(seed=seed).fit([train])
        for graph in tests:
            hidden, known = graph.hidden(np.zeros(len(graph), bool)), graph.y >= 0
            for name, model in models.items():
                collected.add(name, graph.name, accuracy(model.predict_proba(hidden), graph.y, known))
        _probes(MLDGG("repaired", seed=seed, warm_epochs=30, epochs=3).fit([train, made[1]]), tests[:2], collected)
    return collected.scores


def _probes(model: MLDGG, graphs: list[Graph], into: Collected) -> None:
    """Linear probes of label and environment on representations of two unseen environments."""
    found = [model.adapt(graph.hidden(np.zeros(len(graph), bool))).embed() for graph in graphs]
    y = np.concatenate([graph.y for graph in graphs])
    environment = np.repeat(range(len(graphs)), [len(graph) for graph in graphs])
    for name in ("s", "v"):
        rows = np.concatenate([getattr(one, name) for one in found])
        into.add(f"label from {name}", "probe", probe(rows, y))
        into.add(f"environment from {name}", "probe", probe(rows, environment))
