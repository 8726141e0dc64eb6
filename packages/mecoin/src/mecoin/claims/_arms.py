"""What the experiments share: streams and learners' runs, kept while a process lives, for claims share runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from ninefold.proof import Budget

from mecoin import datasets
from mecoin.baselines import BASELINES
from mecoin.evaluation._bench import make_learner
from mecoin.evaluation._protocol import StreamResult, run_stream
from mecoin.evaluation._tune import tuned
from mecoin.graphs._simulator import DEMO, Simulated
from mecoin.sessions._stream import SessionStream

SETS = {"CS": (5, 1), "Computers": (5, 1), "Clothing20": (10, 2)}
FREE = ("SGC-NCM", "SGC-LDA")
CONTINUAL = ("Fine-tune", "LwF", "EWC", "MAS", "GEM", "TWP", "ER-GNN")
EPOCHS = 60  # of the GCN, at most, for all arms alike; what more would bring: results/ATTEMPTS.md
_streams: dict[tuple[Any, ...], SessionStream] = {}
_runs: dict[tuple[Any, ...], StreamResult] = {}


def stream_of(budget: Budget, data: str, seed: int, shot: int = 5) -> SessionStream:
    """Sessions of a real data set, or of the simulator ("simulated"); quick forms use a small simulated graph."""
    key = (budget.form, data, seed, shot)
    if key not in _streams:
        if len(_streams) > 3:  # graphs are large, and seeds come one after another
            _streams.clear()
        base, way = (50, 2) if data == "simulated" else SETS[data]
        if budget.form == "quick":
            graph, base, way = DEMO.draw(100 * seed + len(data)), 10, 2
        else:
            graph = Simulated().draw(seed) if data == "simulated" else datasets.load(data)
        _streams[key] = SessionStream(graph, base, way, shot, seed=seed)
    return _streams[key]


def run_of(
    budget: Budget, data: str, seed: int, learner: str, *, shot: int = 5, label: str = "", **options: Any
) -> StreamResult:
    """A learner's run; `label` tells apart runs of one learner with other options.

    In full forms each rival's setting is chosen once a data set, on base classes of seed 0 (see `_tune`), where ours
    were chosen too.
    """
    key = (budget.form, data, seed, learner, shot, label)
    if key not in _runs:
        stream = stream_of(budget, data, seed, shot)
        if learner in BASELINES and budget.form == "full":
            options = {**_tuned(budget, data, learner, shot), **options}
        _runs[key] = run_stream(stream, make_learner(learner, stream[0], seed, epochs=epochs_of(budget), **options))
    return _runs[key]


@cache
def _tuned(budget: Budget, data: str, learner: str, shot: int) -> dict[str, Any]:
    stream = stream_of(budget, data, 0, shot)
    return dict(tuned(learner, stream[0], stream.split.way, shot, 0, epochs=epochs_of(budget)))


def epochs_of(budget: Budget) -> int | None:
    """Most epochs of the shared GCN: in full forms few enough for two cores, the same for all that use it."""
    return EPOCHS if budget.form == "full" else None


def accuracies(result: StreamResult) -> np.ndarray:
    """(sessions,) accuracy in per cent; their mean is the mean accuracy."""
    return np.array([one.accuracy for one in result.sessions])


def single(value: float) -> np.ndarray:
    return np.array([value])
