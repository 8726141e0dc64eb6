"""Airports of three parts of the world, linked by flights (edge lists of struc2vec)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.datasets._doors import graph_of

AIRPORTS = ("brazil", "europe", "usa")
DEGREES = 64  # columns of the one-hot degree; larger degrees share the last
_QUARTERS = ("lowest quarter", "second", "third", "highest quarter")


def load_airports(folder: Path) -> dict[str, Graph]:
    """Read the three graphs; the label is the quartile of activity, the features are the degree as one-hot."""
    return {name: _airports(folder, name) for name in AIRPORTS}


def _airports(folder: Path, name: str) -> Graph:
    try:
        pairs = np.loadtxt(folder / f"{name}-airports.edgelist", np.int64, ndmin=2).T
        labels = np.loadtxt(folder / f"labels-{name}-airports.txt", np.int64, skiprows=1, ndmin=2)
        if labels.shape[1] != 2 or len(pairs) != 2:
            raise ValueError("rows of other than 2 numbers")
        strangers = np.setdiff1d(pairs, labels[:, 0])
        if strangers.size or not ((labels[:, 1] >= 0) & (labels[:, 1] < 4)).all():
            raise ValueError(f"node {strangers[0]} in an edge" if strangers.size else "a label that is not 0 to 3")
    except (OSError, ValueError) as error:
        raise InputError("airport files", got=str(error), expected="struc2vec's layout", where=folder) from None
    order = np.argsort(labels[:, 0])
    pairs = order[np.searchsorted(labels[order, 0], pairs)]
    degree = np.bincount(pairs[:, pairs[0] != pairs[1]].ravel(), minlength=len(labels))
    x = np.eye(DEGREES, dtype=np.float32)[np.minimum(degree, DEGREES - 1)]
    return graph_of(name, x, pairs, labels[:, 1], _QUARTERS)
