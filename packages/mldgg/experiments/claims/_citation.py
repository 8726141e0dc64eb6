"""Citation graphs (quick form: simulated ones), each the unseen one in turn, without labels and with five a class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from mldgg.datasets import Simulated
from mldgg.domains import GraphDomains, LeakWarning, Method, Task, leave_one_graph_out, split_support
from mldgg.evaluation import METHODS, tune
from mldgg.meta import MLDGG, Adapted
from ninefold_lab import Budget, Scores

SAME_NODES = (
    "walked-ridge",
    "correct-and-smooth",
    "self-trained-ridge",
    "lda-em",
)  # read the target's, and have a walk
RIVALS = (*SAME_NODES, "graphany", "centred-ridge", "target-only")
TRIALS = 8  # of each rival, on the sources
SMALL = Simulated(graphs=3, nodes=250, classes=3, words=200, signal=0.2)
MEASURED = {  # centred ridge at five labels, measured by hand before the package was: our rivals must not be weaker
    "hop-tuned": {"acm": 76.9, "citation": 83.2, "dblp": 77.2},
    "two-hop": {"acm": 72.9, "citation": 78.6, "dblp": 74.2},
}
PARTS: dict[str, dict[str, bool]] = {  # without a gate, whose power is 0 on these graphs (arm "edge gate acts")
    "mldgg": {},
    "mldgg on the sources' words": {"joint": False, "gate": False},
    "mldgg without centring": {"centre": False, "gate": False},
}


@cache
def tasks_of(form: str) -> tuple[Task, ...]:
    """The three tasks; in the quick form on small simulated graphs under the same names."""
    if form == "full":
        return tuple(leave_one_graph_out(GraphDomains.named("citation")))
    graphs = dict(zip(("acm", "citation", "dblp"), SMALL.draw(0).values(), strict=True))
    return tuple(leave_one_graph_out(GraphDomains({name: replace(one, name=name) for name, one in graphs.items()})))


@cache
def fitted(form: str, name: str, target: str, trials: int = TRIALS, shots: tuple[int, ...] = (0,)) -> Method:
    """A rival with the options that the sources choose for a target, nothing of which is random."""
    task = next(one for one in tasks_of(form) if one.name == target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)
        options = tune(METHODS[name], task.sources, shots=shots, trials=trials if form == "full" else 2).options
    return METHODS[name].make(**options).fit(task.sources)


@cache
def ours(form: str, part: str, target: str) -> MLDGG:
    """The default, or what is left of it."""
    task = next(one for one in tasks_of(form) if one.name == target)
    return MLDGG(**PARTS[part]).fit(task.sources)


def accuracy(chances: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    """Per cent of query nodes."""
    return 100 * float((chances.argmax(axis=1) == y)[query].mean())


class Collected:
    """Scores by arm and target."""

    def __init__(self) -> None:
        self.scores: dict[str, dict[str, np.ndarray]] = {}

    def add(self, arm: str, target: str, value: float) -> None:
        """Keep one number."""
        self.scores.setdefault(arm, {})[target] = np.array([value])


def _over_graphs(arms: Mapping[str, Sequence[float]]) -> Scores:
    """An item for each graph, so that intervals are over graphs."""
    return {arm: np.array(items) for arm, items in arms.items()}


def without_labels(budget: Budget, seed: int) -> Scores:  # noqa: ARG001  (nothing is drawn)
    """The default, what is left of it without a part, and tuned rivals, by unseen graph."""
    arms: dict[str, list[float]] = {}
    for task in tasks_of(budget.form):
        known, shown = task.target.y >= 0, task.target.hidden(np.zeros(len(task.target), bool))
        for part in PARTS:
            adapted = ours(budget.form, part, task.name).adapt(shown)
            arms.setdefault(part, []).append(accuracy(adapted.predict_proba(), task.target.y, known))
            if part == "mldgg":
                arms.setdefault("mldgg without a walk", []).append(accuracy(adapted.scores(), task.target.y, known))
                for name, acts in acting(adapted).items():
                    arms.setdefault(f"{name} acts", []).append(acts)
        for name in RIVALS:
            chances = fitted(budget.form, name, task.name).predict_proba(shown)
            arms.setdefault(name, []).append(accuracy(chances, task.target.y, known))
    return _over_graphs(arms)


def acting(adapted: Adapted) -> dict[str, float]:
    """Which parts take part in an adaptation, as 100 or 0, so that a mean is a share of graphs."""
    reading = adapted.reading
    assert reading is not None
    parts = {
        "edge gate": adapted.model.fitted.power > 0,
        "joint words": reading.words == "joint",
        "walk": reading.walk > 0,
        "second fit": reading.again,
        "own mean": reading.around == "own mean",
        "mixture": reading.around == "mixture",
    }
    return {name: 100.0 * acts for name, acts in parts.items()}


def few_labels(budget: Budget, seed: int) -> Scores:
    """The default, the walked ridge and a ridge on the target's labels alone, at five labels a class."""
    arms: dict[str, list[float]] = {}
    for task in tasks_of(budget.form):
        split = split_support(task.target.y, shots=5, seed=seed)
        shown = task.target.hidden(split.support)
        methods = {name: fitted(budget.form, name, task.name, 12, (5,)) for name in ("walked-ridge", "target-only")}
        for name, method in {"mldgg": ours(budget.form, "mldgg", task.name), **methods}.items():
            arms.setdefault(name, []).append(accuracy(method.predict_proba(shown), task.target.y, split.query))
    return _over_graphs(arms)


def free(budget: Budget, seed: int) -> Scores:
    """Training-free rivals at five labels, hops and strength tuned on sources."""
    scores: dict[str, float] = {}
    for task in tasks_of(budget.form):
        split = split_support(task.target.y, shots=5, seed=seed)
        for arm, name, trials in (("hop-tuned", "centred-ridge", 27), ("two-hop", "two-hop-ridge", 9)):
            method = fitted(budget.form, name, task.name, trials, (0, 5))
            chances = method.predict_proba(task.target.hidden(split.support))
            scores[f"{arm} on {task.name}"] = accuracy(chances, task.target.y, split.query)
    return scores
