"""One run over all families that several claims read: each graph unseen in turn, the default and what it is held to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
from mldgg.datasets import Graph
from mldgg.domains import LeakWarning, Method, Task, split_support
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG, Adapted, Seen, Trust, judged
from mldgg_experiments.datasets._families import FAMILIES, Arms, accuracy, acting, leave_outs
from ninefold_lab import Budget, Scores

SHOTS = (5, 20)
FLIPS = (-0.8, -0.3, 0.0)
RISK = 0.1
SAME_NODES = ("walked-ridge", "correct-and-smooth", "self-trained-ridge", "lda-em")  # and walk over the same edges
RIVALS = (*SAME_NODES, "graphany", "centred-ridge")


@lru_cache(maxsize=64)
def model_of(form: str, name: str, place: int, gate: bool = True) -> MLDGG:
    """The default, fitted to all graphs of a family but one."""
    return MLDGG(gate=gate).fit(leave_outs(form, name)[place].sources)


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
def fitted(form: str, family: str, place: int, name: str, trials: int, shots: tuple[int, ...] = (0,)) -> Method:
    """A rival with the options that the sources choose for an unseen graph, nothing of which is random."""
    task, entry = leave_outs(form, family)[place], METHODS[name]
    space = {key: values for key, values in entry.space.items() if key != "change" or shots != (0,)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        chosen = tune(entry, task.sources, space=space, shots=shots, trials=trials if form == "full" else 2)
    return entry(**chosen.options).fit(task.sources)


def citation(budget: Budget, seed: int) -> Scores:  # noqa: ARG001  (nothing is drawn)
    """The default, itself without joint words or walk, and tuned rivals, without labels, by unseen citation graph."""

    def more(_: int, task: Task, adapted: Adapted) -> dict[str, np.ndarray]:
        own_words = MLDGG(joint=False, gate=adapted.model.fitted.power > 0).fit(task.sources)
        without = {"mldgg without a walk": adapted.scores()}
        return without | {"mldgg on the sources' words": own_words.predict_proba(hidden(task.target))}

    return _without_labels(budget.form, "citation", RIVALS, 6, more, "").scores()


def regions_and_code(budget: Budget, seed: int) -> Scores:  # noqa: ARG001
    """The default and the tuned walked ridge without labels on the other families, on Photo also our ridge alone."""

    def ridges(place: int, task: Task, _: Adapted) -> dict[str, np.ndarray]:
        models = {f"{one} ridge": model_of(budget.form, "Photo", place, one == "gated") for one in ("gated", "ungated")}
        shown = hidden(task.target)
        return {arm: one.adapt(shown, transductive=False).predict_proba() for arm, one in models.items()}

    arms = Arms()
    for name in FAMILIES[1:]:
        more = ridges if name == "Photo" else lambda *_: {}
        arms |= _without_labels(budget.form, name, ("walked-ridge",), 4, more, f" on {name}")
    return arms.scores()


def _without_labels(
    form: str, name: str, rivals: Sequence[str], trials: int, more: Callable[[int, Task, Adapted], Any], where: str
) -> Arms:
    """Accuracy of the default, of tuned rivals and of `more`, and which parts act, on each unseen graph."""
    arms = Arms()
    for place, task in enumerate(leave_outs(form, name)):
        adapted, known = adapted_to(form, name, place), task.target.y >= 0
        chances = {"mldgg": adapted.predict_proba(), **more(place, task, adapted)}
        for rival in rivals:
            chances[rival] = fitted(form, name, place, rival, trials).predict_proba(hidden(task.target))
        for arm, one in chances.items():
            arms.add(f"{arm}{where}", accuracy(one, task.target.y, known))
        for part, acts in acting(adapted).items():
            arms.add(f"{part} acts{where}", acts)
    return arms


def few_labels(budget: Budget, seed: int) -> Scores:
    """The default, the walked ridge and a ridge on the target's labels alone, at five labels a class, on citation."""
    arms = Arms()
    for place, task in enumerate(leave_outs(budget.form, "citation")):
        split = split_support(task.target.y, shots=5, seed=seed)
        chances = {"mldgg": answers(budget.form, "citation", place, split.support)["guarded"]}
        for name in ("walked-ridge", "target-only"):
            rival = fitted(budget.form, "citation", place, name, 6, (5,))
            chances[name] = rival.predict_proba(task.target.hidden(split.support))
        for arm, one in chances.items():
            arms.add(arm, accuracy(one, task.target.y, split.query))
    return arms.scores()


def expectations(budget: Budget, seed: int) -> Scores:  # noqa: ARG001
    """How far expected accuracy of the judged nodes is from the true one, and the errors among nodes marked sure."""
    arms = Arms()
    for name in FAMILIES:
        for place, task in enumerate(leave_outs(budget.form, name)):
            adapted, known = adapted_to(budget.form, name, place), task.target.y >= 0
            right = (adapted.predict() == task.target.y)[known]
            sure = adapted.sure(RISK)[known]
            report = adapted.report(among=known)
            expected, largest = report["expected accuracy"][0], report["mean largest probability"]
            found = {
                "error of expected accuracy": abs(expected - right.mean()), "expected accuracy": expected,
                "error of the mean largest probability": abs(largest - right.mean()), "true accuracy": right.mean(),
                "wrong among the sure": 1 - right[sure].mean() if sure.any() else 0.0, "nodes marked sure": sure.mean(),
            }  # fmt: skip
            for arm, value in found.items():
                arms.add(arm, 100 * float(value))
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
