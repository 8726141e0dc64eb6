"""How well a memory tells classes that are to come from those it knows, and how far its probabilities are true."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ninefold_graphs import UNKNOWN, Graph

from mecoin.protocol._learner import MemoryLearner
from mecoin.sessions._stream import Session


def known_and_unknown(stream: Iterable[Session], learner: MemoryLearner) -> dict[str, np.ndarray]:
    """Take a fresh learner through the sessions, and measure novelty before, and calibration after each.

    Returns: for each later session, before its classes are learnt, "area" under the ROC curve of `novelty`, their test
        nodes against those of the classes known by then, and per cent of "known nodes called unknown" and of "unknown
        nodes called unknown", whose novelty is above 1; for each session, once its classes are learnt, "calibration
        error" of the probabilities on test nodes of all classes seen.
    """
    from sklearn.metrics import roc_auc_score

    told: list[tuple[float, float, float]] = []
    errors: list[float] = []
    for session in stream:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            blind: Graph = session.graph.with_labels(np.full(len(session.graph), UNKNOWN))
            far = learner.novelty(blind, blind.positions(session.test))
            new = np.isin(session.truth, session.new)
            known, unknown = (100 * float((far[some] > 1).mean()) for some in (~new, new))
            told.append((float(roc_auc_score(new, far)), known, unknown))
            learner.add_classes(session.graph, session.support)
        places = session.graph.positions(session.test)
        shares_of = learner.probabilities(learner.encoder.embed(session.graph)[places])
        right = learner.classes[shares_of.argmax(axis=1)] == session.truth
        errors.append(calibration_error(shares_of.max(axis=1), right))
    names = ("area", "known nodes called unknown", "unknown nodes called unknown")
    return {**dict(zip(names, np.array(told).T, strict=True)), "calibration error": np.array(errors)}


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean over bins of |share right - mean confidence|, weighted by their nodes.

    confidence: (n,) largest probability of each node; right: (n,) bool.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    gaps = np.bincount(place, right, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gaps).sum() / max(counts.sum(), 1))
