"""Running a learner through a stream, the figures that come out, never the average alone; and settings of rivals.

Settings are chosen where no test node and no new class is: on base classes of which some act as new. Every rival has
the same budget: its `grid`, equally long for all, each setting run through the same tuning streams. The best is that
with the best harmonic mean of base and novel accuracy: a setting that never predicts a new class has 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ninefold.errors import InputError

from mecoin.encoders._shared import shared_encoder
from mecoin.protocol._learner import Learner, Options
from mecoin.sessions._split import Split
from mecoin.sessions._stream import Session, SessionStream

COLLAPSED = 1.0  # per cent; see `StreamResult.collapsed`


@dataclass(frozen=True)
class SessionResult:
    """One learner after one session; accuracies in per cent.

    Attributes:
        accuracy: over the test nodes of all classes seen.
        base, novel: over those of base and of later classes; novel is NaN in session 0.
        harmonic: harmonic mean of base and novel; NaN in session 0.
        memory: bytes that the learner keeps in addition to the encoder.
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


def tuning_stream(session: Session, way: int, shot: int, seed: int = 0) -> SessionStream:
    """Sessions within a base session: two fifths of its classes act as new, its labelled nodes alone take part.

    Args:
        session: the base session; its graph's y has no label of a test node.
        way, shot: of the stream to be tuned for.
        seed: random seed of the split, and of which classes act as new.
    Raises: InputError if the base classes are too few to let `way` of them act as new.

    Examples:
        >>> from mecoin import SessionStream, Simulated, tuning_stream
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> [len(session.seen) for session in tuning_stream(stream[0], way=1, shot=3)]
        [3, 4]
    """
    if session.index != 0:
        raise InputError("session", got=session.index, expected="the base session, 0")
    count = len(session.new)
    novel = way * max(1, (2 * count // 5) // way)
    if count - novel < 2:
        raise InputError("base classes", got=count, expected=f"at least {way + 2}, so that {way} can act as new")
    last = np.random.default_rng([seed, count]).permutation(session.new)[:novel]
    how = {"way": way, "shot": shot, "mode": "inductive", "seed": seed, "last": last.tolist()}
    split = Split.draw(session.graph, base=count - novel, **how)
    return SessionStream.from_split(session.graph, split)


def tuned(
    learner: type[Learner], session: Session, way: int, shot: int, seed: int = 0, *, epochs: int | None = None,
    grid: Sequence[Options] | None = None, folds: int = 1, keep: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The setting of a learner's grid with the best harmonic mean over the tuning streams; the first of equals.

    The encoder is trained on each tuning stream's own base classes, for `epochs` at most.

    Args:
        learner: its `grid` is tried unless another is given; "encoder" in a setting names the shared encoder.
        session, way, shot, seed: of the stream to be tuned for; see `tuning_stream`.
        folds: tuning streams, with different classes that act as new.
        keep: keep fitted encoders in the cache.

    Examples:
        >>> from mecoin import SessionStream, Simulated, tuned
        >>> from mecoin.baselines import SgcLda
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> sorted(tuned(SgcLda, stream[0], way=1, shot=3, keep=False))
        ['shrinkage']
    """
    settings = [dict(setting) for setting in (learner.grid if grid is None else grid)]
    if len(settings) == 1:
        return settings[0]
    kinds = [str(setting.get("encoder", learner.encoder_kind)) for setting in settings]
    scores = np.zeros(len(settings))
    for fold in range(folds):
        stream = tuning_stream(session, way, shot, seed + fold)
        fit = partial(shared_encoder, stream[0], epochs=epochs, seed=seed, keep=keep)
        encoders = {kind: fit(kind) for kind in sorted(set(kinds))}
        for place, (kind, setting) in enumerate(zip(kinds, settings, strict=True)):
            options: dict[str, Any] = {key: value for key, value in setting.items() if key != "encoder"}
            scores[place] += np.nan_to_num(run_stream(stream, learner(encoders[kind], seed=seed, **options)).harmonic)
    return settings[int(np.argmax(scores))]
