"""Settings of rivals, chosen where no test node and no new class is: on base classes of which some act as new.

Every rival has the same budget: its `grid`, equally long for all, each setting run through the same tuning streams. The
best is that with the best harmonic mean of base and novel accuracy: a setting that never predicts a new class has 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from ninefold.errors import InputError

from mecoin.encoders._shared import shared_encoder
from mecoin.protocol._learner import Learner, Options
from mecoin.protocol._run import run_stream
from mecoin.sessions._split import Split
from mecoin.sessions._stream import Session, SessionStream


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
