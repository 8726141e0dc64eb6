"""What the experiments share: streams and learners' runs, kept while a process lives, for claims share runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from mecoin import datasets
from mecoin.evaluation._compare import LEARNERS, Entry, make_learner
from mecoin.paper import PaperMecoin
from mecoin.protocol._learner import Learner
from mecoin.protocol._run import StreamResult, run_stream
from mecoin.protocol._tune import tuned
from mecoin.sessions._stream import SessionStream
from ninefold_graphs import DEMO, Simulated
from ninefold_lab import Budget

SETS = {"CS": (5, 1), "Computers": (5, 1), "Clothing20": (10, 2), "simulated": (50, 2)}
FREE = ("SGC-NCM", "SGC-LDA", "SGC-LDA + EM")
CONTROLS = (*FREE, "LDA", "LDA + EM")
CONTINUAL = ("Fine-tune", "LwF", "EWC", "MAS", "ER-GNN")
PAPER = PaperMecoin.name
EPOCHS = 60  # of the GCN, at most, for all arms alike; what more would bring: experiments/ATTEMPTS.md
_streams: dict[tuple[Any, ...], SessionStream] = {}
_runs: dict[tuple[Any, ...], StreamResult] = {}


def stream_of(budget: Budget, data: str, seed: int, shot: int = 5) -> SessionStream:
    """Sessions of a real data set, or of the simulator ("simulated"); quick forms use a small simulated graph."""
    key = (budget.form, data, seed, shot)
    if key not in _streams:
        if len(_streams) > 3:  # graphs are large, and seeds come one after another
            _streams.clear()
        base, way = SETS[data]
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

    In full forms each learner's setting is chosen once a data set, on base classes of seed 0 (see `tuned`).
    """
    key = (budget.form, data, seed, learner, shot, label)
    if key not in _runs:
        stream = stream_of(budget, data, seed, shot)
        if budget.form == "full":
            options = {**settings_of(budget, data, learner), **options}
        entry: Entry = PaperMecoin if learner == PAPER else learner
        _runs[key] = run_stream(stream, make_learner(entry, stream[0], seed, epochs=epochs_of(budget), **options))
    return _runs[key]


@cache
def settings_of(budget: Budget, data: str, learner: str) -> dict[str, Any]:
    """The setting of a learner that is best on the base classes of seed 0: four are tried, ours included.

    LDA and LDA + EM are controls on the encoder that is chosen for `mecoin+`.
    """
    stream = stream_of(budget, data, 0)
    way, epochs = stream.split.way, epochs_of(budget)
    kind: type[Learner] = PaperMecoin if learner == PAPER else LEARNERS[learner]
    if learner in ("LDA", "LDA + EM"):
        encoder = settings_of(budget, data, "mecoin+")["encoder"]
        grid = [{"encoder": encoder, **setting} for setting in kind.grid]
        return tuned(kind, stream[0], way, 5, 0, epochs=epochs, grid=grid)
    return tuned(kind, stream[0], way, 5, 0, epochs=epochs)


def epochs_of(budget: Budget) -> int | None:
    """Most epochs of the shared GCN: in full forms few enough for two cores, the same for all that use it."""
    return EPOCHS if budget.form == "full" else None


def figures_of(name: str, results: dict[str, StreamResult]) -> dict[str, dict[str, np.ndarray]]:
    """Arms of a learner, by data set: accuracies of the sessions, and beside them what a mean alone would hide."""
    return {
        name: {data: accuracies(one) for data, one in results.items()},
        f"{name}: base": {data: single(one.sessions[-1].base) for data, one in results.items()},
        f"{name}: novel": {data: single(one.sessions[-1].novel) for data, one in results.items()},
        f"{name}: harmonic": {data: single(one.harmonic) for data, one in results.items()},
        f"{name}: drop": {data: single(one.drop) for data, one in results.items()},
        f"{name}: forgetting": {data: single(one.forgetting) for data, one in results.items()},
        f"{name}: runs collapsed": {data: single(float(one.collapsed)) for data, one in results.items()},
    }


def accuracies(result: StreamResult) -> np.ndarray:
    """(sessions,) accuracy in per cent; their mean is the mean accuracy."""
    return np.array([one.accuracy for one in result.sessions])


def single(value: float) -> np.ndarray:
    """A number as the scores of one item."""
    return np.array([value])
