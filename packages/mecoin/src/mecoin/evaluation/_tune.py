"""Settings of rivals, chosen where no test node and no new class is: on base classes of which some act as new.

Every rival has the same budget: its `grid`, equally long for all, each setting run through the same tuning stream.
"""

from __future__ import annotations

import json

import numpy as np
from ninefold.datasets import cache_dir
from ninefold.errors import ArtifactError, InputError
from ninefold.files import digest, write_text

from mecoin.baselines import BASELINES, Tunable
from mecoin.baselines._options import Options
from mecoin.encoders._encoder import ENCODERS, shared_encoder
from mecoin.evaluation._protocol import run_stream
from mecoin.sessions._stream import Session, SessionStream


def tuning_stream(session: Session, way: int, shot: int, seed: int = 0) -> SessionStream:
    """Sessions within a base session: two fifths of its classes act as new, its labelled nodes alone take part.

    Args:
        session: the base session; its graph's y has no label of a test node.
        way, shot: of the stream to be tuned for.
        seed: random seed of the split.
    Raises: InputError if the base classes are too few to let `way` of them act as new.
    """
    if session.index != 0:
        raise InputError("session", got=session.index, expected="the base session, 0")
    count = len(session.new)
    novel = way * max(1, (2 * count // 5) // way)
    if count - novel < 2:
        raise InputError("base classes", got=count, expected=f"at least {way + 2}, so that {way} can act as new")
    return SessionStream(session.graph, count - novel, way, shot, seed=seed)


def tuned(name: str, session: Session, way: int, shot: int, seed: int = 0, *, epochs: int | None = None) -> Options:
    """The setting of a rival's grid with the best mean accuracy over the tuning stream; the first of equals.

    The encoder is trained on the tuning stream's own base classes, for `epochs` at most. What is found is kept in the
    cache by rival, grid, encoder, labelled nodes and seed.

    Raises: InputError if the name is none of `BASELINES`.
    """
    if name not in BASELINES:
        raise InputError("rival", got=repr(name), expected=f"one of {', '.join(BASELINES)}")
    kind = BASELINES[name]
    if not issubclass(kind, Tunable) or len(kind.grid) == 1:
        return {}
    grid = [dict(setting) for setting in kind.grid]
    fitted = [kind.encoder_kind, ENCODERS[kind.encoder_kind].version, epochs]
    identity = [name, kind.options(), grid, fitted, way, shot, seed]
    identity += [session.graph.digest, digest(session.graph.y.tobytes())]
    path = cache_dir("mecoin") / "tuned" / f"{digest(json.dumps(identity).encode())[7:31]}.json"
    if not path.exists():
        stream = tuning_stream(session, way, shot, seed)
        encoder = shared_encoder(stream[0], kind.encoder_kind, epochs=epochs, seed=seed)
        means = [run_stream(stream, kind(encoder, seed=seed, **setting)).mean for setting in grid]
        write_text(path, json.dumps({"rival": name, "grid": grid, "mean accuracy": means}, indent=1) + "\n")
    try:
        return grid[int(np.argmax(json.loads(path.read_text())["mean accuracy"]))]
    except (ValueError, KeyError, IndexError) as error:
        raise ArtifactError(path, f"is damaged ({error!r}); remove it") from None
