"""One run over all families that several claims read: each graph unseen in turn, the default and what it is held to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np
import scipy.sparse as sp
from mldgg.datasets import Graph
from mldgg.domains import split_support
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG, Adapted, ReadingWarning
from ninefold_lab import Budget, Scores

from ._citation import accuracy
from ._families import FAMILIES, leave_outs

SHOTS = (5, 20)
FLIPS = (-0.8, -0.3, 0.0)
RISK = 0.1
TUNED = 4  # trials of the walked ridge


@lru_cache(maxsize=64)
def model_of(form: str, name: str, place: int, gate: bool = True) -> MLDGG:
    """The default, fitted to all graphs of a family but one."""
    return MLDGG(gate=gate).fit(leave_outs(form, name)[place].sources)


def hidden(graph: Graph) -> Graph:
    """Without any label."""
    return graph.hidden(np.zeros(len(graph), bool))


def without_labels(budget: Budget, seed: int) -> Scores:  # noqa: ARG001  (nothing is drawn)
    """Accuracy on each unseen graph of the default, of it without a gate, and of the tuned walked ridge."""
    arms: dict[str, list[float]] = {}
    for name in FAMILIES[1:]:
        for place, task in enumerate(leave_outs(budget.form, name)):
            shown, known = hidden(task.target), task.target.y >= 0
            options = tune(METHODS["walked-ridge"], task.sources, shots=(0,), trials=TUNED).options
            methods = {
                "mldgg": model_of(budget.form, name, place),
                "mldgg without a gate": model_of(budget.form, name, place, False),
                "walked-ridge": METHODS["walked-ridge"].make(**options).fit(task.sources),
            }
            for arm, method in methods.items():
                score = accuracy(method.predict_proba(shown), task.target.y, known)
                arms.setdefault(f"{arm} on {name}", []).append(score)
    return _arrays(arms)


def expectations(budget: Budget, seed: int) -> Scores:  # noqa: ARG001
    """How far expected accuracy is from the true one without labels, and the errors among nodes marked sure."""
    arms: dict[str, list[float]] = {}
    for name in FAMILIES:
        for place, task in enumerate(leave_outs(budget.form, name)):
            adapted, known = _adapted(model_of(budget.form, name, place), hidden(task.target)), task.target.y >= 0
            right = (adapted.predict() == task.target.y)[known]
            sure = adapted.sure(RISK)[known]
            found = {
                "error of expected accuracy": abs(adapted.report()["expected accuracy"][0] - right.mean()),
                "wrong among the sure": 1 - right[sure].mean() if sure.any() else 0.0,
                "nodes marked sure": sure.mean(),
                "wrong among all": 1 - right.mean(),
            }
            for arm, value in found.items():
                arms.setdefault(arm, []).append(100 * float(value))
    return _arrays(arms)


def labels(budget: Budget, seed: int) -> Scores:
    """What the sign test over the target's labels costs where nothing is wrong, at 5 and 20 labels a class."""
    arms: dict[str, list[float]] = {}
    for name in FAMILIES:
        for place, task in enumerate(leave_outs(budget.form, name)):
            model = model_of(budget.form, name, place)
            for shots in SHOTS:
                split = split_support(task.target.y, shots=shots, seed=seed)
                shown = task.target.hidden(split.support)
                adapted, seen = _adapted(model, shown), model.fitted.see(shown, model.view(shown))
                for arm in ("guarded", "unguarded"):
                    score = accuracy(adapted.predict_proba(), task.target.y, split.query)
                    arms.setdefault(f"{arm} at {shots} on {name}", []).append(score)
                    weights = seen.ridge.update(seen.rows[split.support], task.target.y[split.support])
                    adapted.trust = replace(adapted.trust, weights=weights)
    return _arrays(arms)


def flips(budget: Budget, seed: int) -> Scores:
    """Five and twenty labels where columns that follow the label in the sources mean the opposite on the target."""
    arms: dict[str, list[float]] = {}
    for name in FAMILIES:
        for place, task in enumerate(leave_outs(budget.form, name)):
            model = _misled(budget.form, name, place)
            for flip in FLIPS:
                target = with_block(task.target, flip, seed=1000 + seed)
                for shots in SHOTS:
                    split = split_support(target.y, shots=shots, seed=seed)
                    adapted = _adapted(model, target.hidden(split.support))
                    score = accuracy(adapted.predict_proba(), target.y, split.query)
                    arms.setdefault(f"flip {flip:g} at {shots} on {name}", []).append(score)
    return _arrays(arms)


def with_block(graph: Graph, sign: float, seed: int) -> Graph:
    """The graph with a column for each class: 3 x sign in the node's own, normal noise of .3 in all."""
    draws, block = np.random.default_rng(seed), np.zeros((len(graph), len(graph.classes)), np.float32)
    known = np.flatnonzero(graph.y >= 0)
    block[known, graph.y[known]] = 3 * sign
    block += 0.3 * draws.normal(size=block.shape).astype(np.float32)
    return replace(graph, x=sp.csr_matrix(sp.hstack([sp.csr_matrix(graph.x), sp.csr_matrix(block)])))


@cache
def _misled(form: str, name: str, place: int) -> MLDGG:
    """The default on sources whose added columns follow the label (neither gate nor joint words look at them)."""
    sources = [with_block(graph, 1.0, seed=k) for k, graph in enumerate(leave_outs(form, name)[place].sources)]
    return MLDGG(gate=False, joint=False).fit(sources)


def _adapted(model: MLDGG, graph: Graph) -> Adapted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReadingWarning)
        return model.adapt(graph)


def _arrays(arms: Mapping[str, Sequence[float]]) -> Scores:
    """An item for each graph, so that intervals are over graphs."""
    return {arm: np.array(items) for arm, items in arms.items()}
