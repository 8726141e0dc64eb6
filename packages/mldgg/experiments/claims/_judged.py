"""One run over all families that several claims read: each graph unseen in turn, the default and what it is held to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np
import scipy.sparse as sp
from mldgg.datasets import Graph
from mldgg.domains import LeakWarning, Method, split_support
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG, Adapted, Seen, Trust, judged
from ninefold_lab import Budget, Scores

from ._families import FAMILIES, Arms, accuracy, acting, leave_outs

SHOTS = (5, 20)
FLIPS = (-0.8, -0.3, 0.0)
SAME_NODES = ("walked-ridge", "correct-and-smooth", "self-trained-ridge", "lda-em")  # and walk over the same edges
RIVALS = (*SAME_NODES, "graphany", "centred-ridge")


@lru_cache(maxsize=64)
def model_of(form: str, name: str, place: int) -> MLDGG:
    """The default, fitted to all graphs of a family but one."""
    return MLDGG().fit(leave_outs(form, name)[place].sources)


def hidden(graph: Graph) -> Graph:
    """Without any label."""
    return graph.hidden(np.zeros(len(graph), bool))


@cache
def seen_of(form: str, name: str, place: int, flip: float | None = None) -> Seen:
    """How a model sees its unseen graph, which no label changes; with a flip, of the sources that it misleads."""
    model, target = _pair(form, name, place, flip)
    shown = hidden(target)
    return model.fitted.see(shown)


@cache
def adapted_to(form: str, name: str, place: int) -> Adapted:
    """The default, adapted to its unseen graph without labels."""
    model, target = _pair(form, name, place, None)
    seen, none = seen_of(form, name, place), np.zeros(len(target), bool)
    return Adapted(model, hidden(target), seen, judged(seen.rows[none], target.y[none], seen.ridge))


def answers(form: str, name: str, place: int, support: np.ndarray, flip: float | None = None) -> dict[str, np.ndarray]:
    """(N, C) probabilities after `adapt` to the labels of a support, and without the sign test over them."""
    model, target = _pair(form, name, place, flip)
    seen, shown = seen_of(form, name, place, flip), target.hidden(support)
    trust = judged(seen.rows[support], shown.y[support], seen.ridge)
    believing = Trust(seen.ridge.update(seen.rows[support], shown.y[support]), True)
    found = {"guarded": trust} if trust.believed else {"guarded": trust, "unguarded": believing}
    chances = {arm: Adapted(model, shown, seen, one).predict_proba() for arm, one in found.items()}
    return {"unguarded": chances["guarded"], **chances}


@cache
def fitted(form: str, family: str, place: int, name: str, trials: int) -> Method:
    """A rival with the options that the sources choose for an unseen graph without labels; nothing of it is random."""
    task, entry = leave_outs(form, family)[place], METHODS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        space = {key: values for key, values in entry.space.items() if key != "change"}
        chosen = tune(entry, task.sources, space=space, shots=(0,), trials=trials if form == "full" else 2)
    return entry(**chosen.options).fit(task.sources)


def citation(budget: Budget, seed: int) -> Scores:  # noqa: ARG001  (nothing is drawn)
    """The default, itself without joint words or walk, and tuned rivals, without labels, by unseen citation graph.

    Also which parts act on each.
    """
    arms = Arms()
    for place, task in enumerate(leave_outs(budget.form, "citation")):
        adapted, known = adapted_to(budget.form, "citation", place), task.target.y >= 0
        shown, own_words = hidden(task.target), MLDGG(joint=False, gate=adapted.model.fitted.power > 0)
        chances = {"mldgg": adapted.predict_proba(), "mldgg without a walk": adapted.scores()}
        chances["mldgg on the sources' words"] = own_words.fit(task.sources).predict_proba(shown)
        for rival in RIVALS:
            chances[rival] = fitted(budget.form, "citation", place, rival, 6).predict_proba(shown)
        for arm, one in chances.items():
            arms.add(arm, accuracy(one, task.target.y, known))
        for part, acts in acting(adapted).items():
            arms.add(f"{part} acts", acts)
    return arms.scores()


def labels(budget: Budget, seed: int) -> Scores:
    """What the sign test over the target's labels costs where nothing is wrong, at 5 and 20 labels a class."""
    return _with_labels(budget, seed, {f"at {shots}": (shots, None) for shots in SHOTS})


def flips(budget: Budget, seed: int) -> Scores:
    """Five labels a class where columns that follow the label in the sources mean the opposite on the target."""
    return _with_labels(budget, seed, {f"at a flip of {flip:g}": (5, flip) for flip in FLIPS})


def _with_labels(budget: Budget, seed: int, cases: Mapping[str, tuple[int, float | None]]) -> Scores:
    arms = Arms()
    for name in FAMILIES:
        for place, task in enumerate(leave_outs(budget.form, name)):
            for case, (shots, flip) in cases.items():
                split = split_support(task.target.y, shots=shots, seed=seed)
                for arm, chances in answers(budget.form, name, place, split.support, flip).items():
                    arms.add(f"{arm} {case} on {name}", accuracy(chances, task.target.y, split.query))
    return arms.scores()


@cache
def _pair(form: str, name: str, place: int, flip: float | None) -> tuple[MLDGG, Graph]:
    """A model and its unseen graph."""
    target = leave_outs(form, name)[place].target
    if flip is None:
        return model_of(form, name, place), target
    return _misled(form, name, place), with_block(target, flip, seed=1000)


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
