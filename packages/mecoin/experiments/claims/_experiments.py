"""One function for each experiment: per cent by data set and session, for every arm that a bar names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mecoin.evaluation._compare import make_learner
from mecoin.evaluation._novelty import known_and_unknown
from mecoin.paper import Interaction, Published
from mecoin.protocol._learner import MemoryLearner
from mecoin.protocol._run import run_stream
from ninefold_lab import Budget, Scores

from ._arms import (
    CONTINUAL,
    CONTROLS,
    FREE,
    PAPER,
    SETS,
    accuracies,
    epochs_of,
    figures_of,
    run_of,
    settings_of,
    stream_of,
)


def plus(budget: Budget, seed: int, sets: Sequence[str] = tuple(SETS)) -> Scores:
    scores: dict[str, Any] = {}
    for name in ("mecoin+", *CONTROLS):
        results = {data: run_of(budget, data, seed, name) for data in sets}
        scores |= figures_of(name, results)
        if name in ("mecoin+", "SGC-LDA + EM", "LDA"):
            scores |= {f"{name} on {data}": {"": accuracies(one)} for data, one in results.items()}
    return scores


def seventy(budget: Budget, seed: int) -> Scores:
    scores: dict[str, Any] = {}
    results = {name: run_of(budget, "simulated", seed, name) for name in ("mecoin+", *CONTROLS)}
    for name, one in results.items():
        scores |= figures_of(name, {"simulated": one})
        scores[f"{name}: macro"] = one.macro
    best = max(FREE, key=lambda name: results[name].mean)
    return scores | {"best on SGC": {"simulated": accuracies(results[best])}}


# Means over sessions, measured by hand with three seeds before the package was: our rivals must not be weaker.
MEASURED = {
    "SGC-NCM": {"CS": 90.6, "Computers": 83.3, "Clothing20": 82.8},
    "SGC-LDA": {"CS": 91.1, "Computers": 88.5, "Clothing20": 83.4},
}


def free(budget: Budget, seed: int) -> Scores:
    """Untuned, as they were measured."""
    scores = {}
    for name, figures in MEASURED.items():
        for data in figures:
            stream = stream_of(budget, data, seed)
            scores[f"{name} on {data}"] = run_stream(stream, make_learner(name, stream[0], seed)).mean
    return scores


def continual(budget: Budget, seed: int, sets: Sequence[str] = ("Computers",)) -> Scores:
    scores: dict[str, Any] = {}
    for name in (PAPER, *CONTINUAL):
        scores |= figures_of(name, {data: run_of(budget, data, seed, name) for data in sets})
    return scores


ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "no MeCs": {"published": Published(mecs=False)},
    "no GraphInfo": {"published": Published(info=False)},
    "no GKIM": {"interaction": Interaction(distil=False), "answer": "memory"},
    "no edge loss": {"published": Published(edge=0.0)},
    "no replay": {"replay": 0},
}


def paper(budget: Budget, seed: int) -> Scores:
    """The published method, whole and without each of its parts."""
    scores: dict[str, Any] = {}
    for label, options in ABLATIONS.items():
        results = {data: run_of(budget, data, seed, PAPER, label=label, **options) for data in ("CS", "Computers")}
        scores[label] = {data: accuracies(one) for data, one in results.items()}
        if label == "full":
            scores |= figures_of("full", results)
            for data, one in results.items():
                scores[f"mean on {data}"], scores[f"drop on {data}"] = accuracies(one), one.drop
    return scores


def novelty(budget: Budget, seed: int) -> Scores:
    """Before each session's classes are learnt: area under the ROC curve of `novelty`, theirs against known classes.
    After: how far probabilities are from what is right (expected calibration error, 15 bins)."""
    scores: dict[str, Any] = {}
    for data in ("CS", "Computers", "Clothing20"):
        stream = stream_of(budget, data, seed)
        options = settings_of(budget, data, "mecoin+") if budget.form == "full" else {}
        learner = make_learner("mecoin+", stream[0], seed, epochs=epochs_of(budget), **options)
        assert isinstance(learner, MemoryLearner)
        found = known_and_unknown(stream, learner)
        scores[f"area on {data}"] = np.array([one.area for one in found[1:]])
        scores[f"calibration error on {data}"] = np.array([one.calibration_error for one in found])
        scores[f"known nodes called unknown on {data}, %"] = np.array([one.refused_known for one in found[1:]])
        scores[f"unknown nodes called unknown on {data}, %"] = np.array([one.refused_unknown for one in found[1:]])
    return scores
