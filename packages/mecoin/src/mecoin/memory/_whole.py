"""Whether a file fits: its checksums say that its arrays are those that were written, no more."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError
from ninefold_graphs import Graph, check_shapes

from mecoin.encoders._encoder import Encoder
from mecoin.protocol._learner import MemoryLearner

READERS = {"mecoin+": "mecoin.Mecoin.load", "paper": "mecoin.paper.PaperModel.load"}  # by the variant in a file


def settings_in_file(kind: Any, meta: Mapping[str, Any], version: int, path: Path) -> dict[str, Any]:
    """Arguments of a model of this kind, from a file's metadata.

    Raises: ArtifactError for a model of another kind or of version 0.1.0, and for settings that are gone.
    """
    variant = meta["variant"]
    if variant != kind.variant:
        reader = READERS.get(variant)
        how = f"read it with {reader}" if reader else "this version has no such variant; version 0.1.0 reads it"
        raise ArtifactError(path, f"holds a model of variant {variant!r}: {how}")
    known = inspect.signature(kind).parameters
    gone = {"metric": (None, kind.metric), "proto_per_class": (1,)}  # settings until 0.2, and what they are now
    odd = any(name not in known and meta.get(name, now[0]) not in now for name, now in gone.items())
    if version == 1 or meta["encoder"] == "both" or odd:
        raise ArtifactError(path, "was made by an older version, with settings that this one has not; fit it anew")
    return {name: value for name, value in meta.items() if name in known}


def check_model(
    learner: MemoryLearner, encoder: Encoder, labels: tuple[Any, ...], support: np.ndarray, owners: np.ndarray
) -> None:
    """ValueError unless labels, prototypes and support belong together, and two made-up nodes get probabilities."""
    classes, smu, many = learner.classes, learner.content.smu, len(labels)
    found = {"classes": (classes, (many,)), "owners": (owners, (len(support),)), "support": (support, owners.shape)}
    found["smu.owner"] = smu.owner, (len(smu.prototypes),)
    check_shapes({**found, "radius": (learner.content.radius, (1,))})
    if np.unique(classes).size != many or not np.array_equal(classes, list(dict.fromkeys(smu.owner.tolist()))):
        raise ValueError("prototypes belong to other classes than the model has")
    if owners.size and not -3 < owners.min() <= owners.max() < many:
        raise ValueError(f"owners are outside of {many} labels")
    if encoder.kind != "own":  # a module of the user's own is not called unasked
        x = np.ones((2, encoder.width), np.float32)
        z = encoder.embed(Graph(x, np.zeros((2, 0), np.int64), np.full(2, -1), ()))
        check_shapes({"probabilities": (learner.probabilities(z), (2, many))})
