"""How well a memory tells classes that are to come from those it knows, and how far its probabilities are true."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ninefold_graphs import UNKNOWN, Graph

from mecoin.protocol._learner import MemoryLearner
from mecoin.sessions._stream import Session


@dataclass(frozen=True)
class NoveltyResult:
    """One session of a memory; in session 0 nothing is unknown, and the first three are NaN.

    Attributes:
        area: under the ROC curve of `novelty`, before the session's classes are learnt: their test nodes against those
            of the classes known by then.
        refused_known, refused_unknown: per cent of either whose novelty is above 1.
        calibration_error: of the probabilities after they are learnt, on test nodes of all classes seen.
    """

    session: int
    area: float
    refused_known: float
    refused_unknown: float
    calibration_error: float


def known_and_unknown(stream: Iterable[Session], learner: MemoryLearner) -> list[NoveltyResult]:
    """Take a fresh learner through the sessions, and measure novelty before, and calibration after each."""
    from sklearn.metrics import roc_auc_score

    made: list[NoveltyResult] = []
    for session in stream:
        area = known = unknown = float("nan")
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            blind: Graph = session.graph.with_labels(np.full(len(session.graph), UNKNOWN))
            far = learner.novelty(blind, blind.positions(session.test))
            new = np.isin(session.truth, session.new)
            known, unknown = (100 * float((far[some] > 1).mean()) for some in (~new, new))
            area = float(roc_auc_score(new, far))
            learner.add_classes(session.graph, session.support)
        places = session.graph.positions(session.test)
        shares_of = learner.probabilities(learner.encoder.embed(session.graph)[places])
        right = learner.classes[shares_of.argmax(axis=1)] == session.truth
        error = calibration_error(shares_of.max(axis=1), right)
        made.append(NoveltyResult(session.index, area, known, unknown, error))
    return made


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean over bins of |share right - mean confidence|, weighted by their nodes.

    confidence: (n,) largest probability of each node; right: (n,) bool.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    gaps = np.bincount(place, right, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gaps).sum() / max(counts.sum(), 1))
