"""Running a learner through a stream, and the figures that come out: never the average alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mecoin.protocol._learner import Learner
from mecoin.sessions._stream import Session

COLLAPSED = 1.0  # per cent; see `StreamResult.collapsed`


@dataclass(frozen=True)
class SessionResult:
    """One learner after one session; accuracies in per cent.

    Attributes:
        accuracy: over the test nodes of all classes seen.
        base, novel: over those of base and of later classes; novel is NaN in session 0.
        harmonic: harmonic mean of base and novel; NaN in session 0.
        memory: bytes that the learner keeps beside the encoder.
        seconds: of learning, embedding included.
        truth, predicted: (m,) class codes.
    """

    session: int
    classes: int
    accuracy: float
    base: float
    novel: float
    harmonic: float
    memory: int
    seconds: float
    truth: np.ndarray
    predicted: np.ndarray

    def figures(self) -> dict[str, float]:
        """All but predictions and time, for a log that is the same whenever it is made."""
        return {key: value for key, value in vars(self).items() if key not in ("truth", "predicted", "seconds")}


@dataclass(frozen=True)
class StreamResult:
    """One learner through all sessions."""

    learner: str
    sessions: list[SessionResult]

    @property
    def mean(self) -> float:
        """Mean over sessions of the accuracy."""
        return float(np.mean([one.accuracy for one in self.sessions]))

    @property
    def last(self) -> float:
        """Accuracy after the last session."""
        return self.sessions[-1].accuracy

    @property
    def drop(self) -> float:
        """PD: accuracy of session 0 minus accuracy of the last. Small, too, for a model that never was good."""
        return self.sessions[0].accuracy - self.last

    @property
    def harmonic(self) -> float:
        """Mean over the sessions with new classes of the harmonic mean of base and novel accuracy."""
        return float(np.mean([one.harmonic for one in self.sessions[1:]])) if len(self.sessions) > 1 else float("nan")

    @property
    def forgetting(self) -> float:
        """Average forgetting (CGLB, NeurIPS 2022): accuracy on each earlier session's classes at the end minus when
        they were learnt, mean over those sessions. Below 0: something was lost. NaN with one session."""
        table = accuracy_by_group(self)
        return float(np.nanmean(table[-1, :-1] - np.diag(table)[:-1])) if len(table) > 1 else float("nan")

    @property
    def collapsed(self) -> bool:
        """After the last session hardly any node of new classes, or of base classes, is right: a mean accuracy is then
        that of a learner which ignores half of the task."""
        last = self.sessions[-1]
        return len(self.sessions) > 1 and min(last.base, last.novel) < COLLAPSED


def score_session(
    session: Session, base: np.ndarray, predicted: np.ndarray, *, memory: int, seconds: float
) -> SessionResult:
    """Figures of a session; base: codes of the base classes."""
    right = predicted == session.truth
    old = np.isin(session.truth, base)
    of_base, of_novel = (100 * float(right[some].mean()) if some.any() else float("nan") for some in (old, ~old))
    both = of_base + of_novel
    harmonic = 0.0 if both == 0 else 2 * of_base * of_novel / both
    figures = (session.index, len(session.seen), 100 * float(right.mean()), of_base, of_novel, harmonic)
    return SessionResult(*figures, memory, seconds, session.truth, predicted)


def run_stream(
    stream: Iterable[Session], learner: Learner, on_session: Callable[[SessionResult], object] = lambda _: None
) -> StreamResult:
    """Take a learner through the sessions: it learns, then predicts the test nodes of all classes seen.

    Examples:
        >>> from mecoin import SessionStream, Simulated, run_stream, shared_encoder
        >>> from mecoin.baselines import SgcNcm
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> result = run_stream(stream, SgcNcm(shared_encoder(stream[0], "sgc", keep=False)))
        >>> len(result.sessions), result.collapsed
        (3, False)
    """
    results: list[SessionResult] = []
    base = np.zeros(0, np.int64)
    for session in stream:
        start = time.perf_counter()
        if session.index == 0:
            base = session.new
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            learner.add_classes(session.graph, session.support)
        seconds = time.perf_counter() - start
        predicted = learner.predict(session.graph, session.test)
        used = {"memory": learner.memory_bytes(), "seconds": round(seconds, 4)}
        results.append(score_session(session, base, predicted, **used))
        on_session(results[-1])
    return StreamResult(learner.name, results)


def accuracy_by_group(result: StreamResult) -> np.ndarray:
    """(sessions, sessions) accuracy in per cent after each session (rows) on the classes that each brought; NaN before.

    The classes that a session brought are those whose test nodes appear in it first.
    """
    seen = [np.unique(one.truth) for one in result.sessions]
    groups = [np.setdiff1d(now, before) for before, now in zip([seen[0][:0], *seen], seen, strict=False)]
    table = np.full((len(groups), len(groups)), np.nan)
    for row, one in enumerate(result.sessions):
        for column, codes in enumerate(groups[: row + 1]):
            of = np.isin(one.truth, codes)
            table[row, column] = 100 * float((one.predicted[of] == one.truth[of]).mean()) if of.any() else np.nan
    return table


def confusion(result: SessionResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(true code, predicted code, count) of the pairs that occur, sorted."""
    pairs, counts = np.unique(np.stack([result.truth, result.predicted]), axis=1, return_counts=True)
    return pairs[0], pairs[1], counts
