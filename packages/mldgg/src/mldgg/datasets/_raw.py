"""Citation graphs of ACM, Citation and DBLP with one vocabulary and aligned classes (ACDNE's MATLAB files)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold_graphs import Graph, load_mat

from mldgg.datasets._doors import graph_of

FILES = {"acm": "acmv9.mat", "citation": "citationv1.mat", "dblp": "dblpv7.mat"}
CLASSES = ("databases", "artificial intelligence", "computer vision", "information security", "networking")


def load_citation(folder: Path) -> dict[str, Graph]:
    """Read the three graphs; nodes with more than one label have label -1, so that no loss or metric counts them."""
    return {name: _read(folder / file, name) for name, file in FILES.items()}


def _read(path: Path, name: str) -> Graph:
    try:
        held = load_mat(path, {"network", "attrb", "group"})
        groups, shapes = np.asarray(held["group"], np.float64), (held["attrb"].shape[0], *held["network"].shape)
        if shapes != (len(groups),) * 3:
            raise ValueError(f"{shapes[0]} rows of attrb, network of {shapes[1:]}, {len(groups)} rows of group")
        x, network = sp.csr_matrix(held["attrb"]), sp.coo_matrix(held["network"])
    except (OSError, TypeError, ValueError) as error:
        raise InputError("MATLAB file", got=str(error), expected="keys network, attrb, group", where=path) from None
    y = np.where(groups.sum(axis=1) == 1, groups.argmax(axis=1), -1)
    return graph_of(name, x, np.stack([network.row, network.col]), y, CLASSES)
