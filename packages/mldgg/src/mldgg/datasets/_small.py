"""WebKB (text files of Geom-GCN) and airports (edge lists of struc2vec)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.datasets._doors import graph_of

UNIVERSITIES = ("cornell", "texas", "wisconsin")
AIRPORTS = ("brazil", "europe", "usa")
DEGREES = 64  # columns of the one-hot degree; larger degrees share the last


def load_webkb(folder: Path) -> dict[str, Graph]:
    """Read the three graphs. Cornell and Texas have the same features and labels; Wisconsin's class ids are permuted.

    `GraphDomains` refuses the first and warns of the second.
    """
    return {name: _webkb(folder / name / "raw", name) for name in UNIVERSITIES}


def _webkb(folder: Path, name: str) -> Graph:
    try:
        pairs = np.loadtxt(folder / "out1_graph_edges.txt", np.int64, skiprows=1, ndmin=2).T
        lines = (folder / "out1_node_feature_label.txt").read_text(encoding="utf-8").splitlines()[1:]
        rows = sorted((int(node), words, int(label)) for node, words, label in (line.split("\t") for line in lines))
        x = np.array([words.split(",") for _, words, _ in rows], np.float32)
    except (OSError, ValueError) as error:
        raise InputError("WebKB files", got=str(error), expected="Geom-GCN's layout", where=folder) from None
    return graph_of(name, x, pairs, np.array([label for *_, label in rows]))


def load_airports(folder: Path) -> dict[str, Graph]:
    """Read the three graphs; the label is the quartile of activity, the features are the degree as one-hot."""
    return {name: _airports(folder, name) for name in AIRPORTS}


def _airports(folder: Path, name: str) -> Graph:
    try:
        pairs = np.loadtxt(folder / f"{name}-airports.edgelist", np.int64, ndmin=2).T
        labels = np.loadtxt(folder / f"labels-{name}-airports.txt", np.int64, skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError("airport files", got=str(error), expected="struc2vec's layout", where=folder) from None
    places = {int(node): place for place, node in enumerate(labels[:, 0])}
    if labels.shape[1] != 2 or len(pairs) != 2:
        raise InputError(
            "airport files", got="rows of other than 2 numbers", expected="struc2vec's layout", where=folder
        )
    strangers = np.setdiff1d(pairs, labels[:, 0])
    if strangers.size or not ((labels[:, 1] >= 0) & (labels[:, 1] < 4)).all():
        got = f"node {strangers[0]} in an edge" if strangers.size else "a label that is not 0 to 3"
        raise InputError("airport files", got=got, expected="struc2vec's layout", where=folder)
    pairs = np.array([[places[int(node)] for node in side] for side in pairs], np.int64)
    degree = np.bincount(pairs[:, pairs[0] != pairs[1]].ravel(), minlength=len(places))
    x = np.eye(DEGREES, dtype=np.float32)[np.minimum(degree, DEGREES - 1)]
    return graph_of(name, x, pairs, labels[:, 1], ("lowest quarter", "second", "third", "highest quarter"))
