"""Whether the arrays of a file fit each other: their checksums say that they are those that were written, no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ninefold_graphs import Graph

from mecoin.encoders._encoder import Encoder
from mecoin.protocol._learner import MemoryLearner


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """ValueError that names an array with NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has a value that is not finite")


def check_shapes(found: Mapping[str, tuple[np.ndarray, tuple[int, ...]]]) -> None:
    """ValueError that names an array of another shape than it needs."""
    for name, (array, shape) in found.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, where {shape} is needed")


def check_model(
    learner: MemoryLearner, encoder: Encoder, labels: tuple[Any, ...], support: np.ndarray, owners: np.ndarray
) -> None:
    """ValueError unless labels, prototypes and support belong together, and two made-up nodes get probabilities."""
    classes, smu = learner.classes, learner.content.smu
    many = len(labels)
    check_shapes(
        {"classes": (classes, (many,)), "owners": (owners, (len(support),)), "support": (support, owners.shape)}
    )
    check_shapes({"smu.owner": (smu.owner, (len(smu.prototypes),)), "radius": (learner.content.radius, (1,))})
    if np.unique(classes).size != many or set(smu.owner.tolist()) != set(classes.tolist()):
        raise ValueError("prototypes belong to other classes than the model has")
    if owners.size and not -3 < owners.min() <= owners.max() < many:
        raise ValueError(f"owners are outside of {many} labels")
    if encoder.kind != "own":  # a module of the user's own is not called unasked
        x = np.ones((2, encoder.width), np.float32)
        z = encoder.embed(Graph(x, np.zeros((2, 0), np.int64), np.full(2, -1), ()))
        check_shapes({"probabilities": (learner.probabilities(z), (2, many))})
