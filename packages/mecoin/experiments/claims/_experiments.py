"""One function for each experiment: per cent by data set and session, for every arm that a bar names.

Runs are kept while a process lives, for claims share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np
from mecoin import datasets
from mecoin.evaluation._audit import known_and_unknown
from mecoin.evaluation._compare import LEARNERS, make_learner
from mecoin.paper import Interaction, PaperMecoin, Published
from mecoin.protocol._learner import Learner, MemoryLearner
from mecoin.protocol._run import StreamResult, run_stream, tuned
from mecoin.sessions._stream import SessionStream
from mecoin_experiments.baselines import CONTINUAL
from ninefold_graphs import DEMO, Simulated
from ninefold_lab import Budget, Scores

SETS = {"CS": (5, 1), "Computers": (5, 1), "Clothing20": (10, 2), "simulated": (50, 2)}
FREE = ("SGC-NCM", "SGC-LDA", "SGC-LDA + EM")
CONTROLS = (*FREE, "LDA", "LDA + EM")
PAPER = PaperMecoin.name
REAL = ("CS", "Computers", "Clothing20")
EPOCHS = 60  # of the GCN, at most, for all arms alike; what more would bring: experiments/ATTEMPTS.md
OWN: dict[str, type[Learner]] = {PAPER: PaperMecoin, **CONTINUAL}  # learners that are not in the package's table
_runs: dict[tuple[Any, ...], StreamResult] = {}


@lru_cache(maxsize=4)  # graphs are large, and seeds come one after another
def stream_of(budget: Budget, data: str, seed: int) -> SessionStream:
    """Sessions of a real data set, or of the simulator ("simulated"); quick forms use a small simulated graph."""
    base, way = SETS[data]
    if budget.form == "quick":
        return SessionStream(DEMO.draw(100 * seed + len(data)), 10, 2, 5, seed=seed)
    graph = Simulated().draw(seed) if data == "simulated" else datasets.load(data)
    return SessionStream(graph, base, way, 5, seed=seed)


def run_of(budget: Budget, data: str, seed: int, learner: str, *, label: str = "", **options: Any) -> StreamResult:
    """A learner's run; `label` tells apart runs of one learner with other options."""
    key = (budget.form, data, seed, learner, label)
    if key not in _runs:
        _runs[key] = run_stream(stream_of(budget, data, seed), _made(budget, data, seed, learner, **options))
    return _runs[key]


def _made(budget: Budget, data: str, seed: int, learner: str, **options: Any) -> Learner:
    """A learner; in full forms its setting is chosen once a data set, on base classes of seed 0 (see `tuned`)."""
    epochs = EPOCHS if budget.form == "full" else None
    if budget.form == "full":
        options = {**settings_of(budget, data, learner), **options}
    return make_learner(OWN.get(learner, learner), stream_of(budget, data, seed)[0], seed, epochs=epochs, **options)


@cache
def settings_of(budget: Budget, data: str, learner: str) -> dict[str, Any]:
    """The setting of a learner that is best on the base classes of seed 0: four are tried, those of mecoin+ too.

    LDA and LDA + EM are controls on the encoder that is chosen for `mecoin+`.
    """
    stream = stream_of(budget, data, 0)
    kind = OWN[learner] if learner in OWN else LEARNERS[learner]
    grid = kind.grid
    if learner in ("LDA", "LDA + EM"):
        encoder = settings_of(budget, data, "mecoin+")["encoder"]
        grid = [{"encoder": encoder, **setting} for setting in grid]
    return tuned(kind, stream[0], stream.split.way, 5, 0, epochs=EPOCHS, grid=grid)


def figures_of(name: str, results: Mapping[str, StreamResult]) -> dict[str, dict[str, np.ndarray]]:
    """Arms of a learner, by data set: accuracies of the sessions, and beside them what a mean alone would hide."""
    arms: dict[str, dict[str, np.ndarray]] = {name: {data: accuracies(one) for data, one in results.items()}}
    for data, one in results.items():
        last = one.sessions[-1]
        shown = {"base": last.base, "novel": last.novel, "harmonic": one.harmonic, "drop": one.drop}
        shown |= {"forgetting": one.forgetting, "runs collapsed": float(one.collapsed)}
        for what, value in shown.items():
            arms.setdefault(f"{name}: {what}", {})[data] = np.array([value])
    return arms


def accuracies(result: StreamResult) -> np.ndarray:
    """(sessions,) accuracy in per cent; their mean is the mean accuracy."""
    return np.array([one.accuracy for one in result.sessions])


def plus(budget: Budget, seed: int) -> Scores:
    scores: dict[str, Any] = {}
    for name in ("mecoin+", *CONTROLS):
        results = {data: run_of(budget, data, seed, name) for data in SETS}
        scores |= figures_of(name, results)
        scores |= {f"{name} on {data}": {"": accuracies(one)} for data, one in results.items()}
    return scores


def continual(budget: Budget, seed: int) -> Scores:
    """The published method beside learners that train the encoder on: real data together, simulated classes apart."""
    scores: dict[str, Any] = {}
    for name in (PAPER, *CONTINUAL):
        results = {data: run_of(budget, data, seed, name) for data in REAL}
        scores |= figures_of(name, results)
        simulated = run_of(budget, "simulated", seed, name)
        scores |= {f"{name} on {data}": accuracies(one) for data, one in (results | {"simulated": simulated}).items()}
        scores |= {f"{name} on simulated: drop": simulated.drop}
    return scores


ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "full": {}, "no MeCs": {"published": Published(mecs=False)}, "no GraphInfo": {"published": Published(info=False)},
    "no GKIM": {"interaction": Interaction(distil=False), "answer": "memory"},
    "no edge loss": {"published": Published(edge=0.0)}, "no replay": {"replay": 0},
}  # fmt: skip


def paper(budget: Budget, seed: int) -> Scores:
    """The published method, whole and without each of its parts."""
    scores: dict[str, Any] = {}
    for label, options in ABLATIONS.items():
        results = {data: run_of(budget, data, seed, PAPER, label=label, **options) for data in ("CS", "Computers")}
        scores |= figures_of(label, results)
        if label == "full":
            scores |= {f"mean on {data}": accuracies(one) for data, one in results.items()}
            scores |= {f"drop on {data}": one.drop for data, one in results.items()}
    return scores


def novelty(budget: Budget, seed: int) -> Scores:
    """Before each session's classes are learnt: area under the ROC curve of `novelty`, theirs against known classes.
    After: how far probabilities are from what is right (expected calibration error, 15 bins)."""
    scores: dict[str, Any] = {}
    for data in REAL:
        learner = _made(budget, data, seed, "mecoin+")
        assert isinstance(learner, MemoryLearner)
        found = known_and_unknown(stream_of(budget, data, seed), learner)
        scores |= {f"{what} on {data}": values for what, values in found.items()}
    return scores
