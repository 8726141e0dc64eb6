"""The encoders by name, and those of a comparison: fitted once, kept in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.datasets import cache_dir
from ninefold.errors import ArtifactError, InputError
from ninefold.files import digest

from mecoin.encoders._encoder import Encoder
from mecoin.encoders._gcn import GatEncoder, GcnEncoder
from mecoin.encoders._sgc import SgcEncoder
from mecoin.sessions._stream import Session

_recent: dict[Path, Encoder] = {}  # the last few of `shared_encoder`, with what they embedded

ENCODERS: dict[str, type[Encoder]] = {"gat": GatEncoder, "gcn": GcnEncoder, "sgc": SgcEncoder}


def shared_encoder(
    session: Session, kind: str = "gcn", *, epochs: int | None = None, seed: int = 0, keep: bool = True, **options: Any
) -> Encoder:
    """The encoder of a base session, trained once: kept in the cache by data, split, kind, options and seed.

    All learners of a comparison take the same one, and with it what it embedded; a learner that trains it on works on a
    copy (`copy.deepcopy`). With `keep` off nothing is read from the cache or written to it.

    Examples:
        >>> from mecoin import SessionStream, Simulated, shared_encoder
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> encoder = shared_encoder(stream[0], "sgc", keep=False)
        >>> encoder.kind, encoder.embed(stream[1].graph).shape[0] == len(stream[1].graph)
        ('sgc', True)
    """
    if session.index != 0:
        raise InputError("session", got=session.index, expected="the base session, 0")
    if epochs is not None and kind == "gcn":  # the other is not trained
        options["epochs"] = epochs
    graph = session.graph
    train, validation = graph.positions(session.train), graph.positions(session.validation)
    key = repr((ENCODERS[kind].version, graph.digest, kind, sorted(options.items()), seed)).encode()
    key += train.tobytes() + validation.tobytes() + graph.y.tobytes()
    path = cache_dir("mecoin") / "encoders" / f"{kind}-{digest(key)[7:31]}.safetensors"
    if path in _recent:
        return _recent[path]
    encoder = ENCODERS[kind](**options)
    try:
        if not keep:
            raise ArtifactError(path, "is not wanted")
        held = artifacts.Artifact(path, kind="mecoin.encoder", format_version=1)
        encoder.load({name: held.numpy(name) for name in held.names})
    except ArtifactError:  # not there, or of no use
        encoder.fit(graph, train, validation, seed)
        if keep:
            artifacts.save(
                path, encoder.arrays(), kind="mecoin.encoder", format_version=1, package="mecoin", force=True
            )
    while len(_recent) > 3:
        _recent.pop(next(iter(_recent)))
    _recent[path] = encoder
    return encoder
