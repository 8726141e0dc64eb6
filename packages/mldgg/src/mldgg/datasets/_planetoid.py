"""Planetoid's Cora and Citeseer: pickles that are read by an unpickler which knows arrays, matrices and dicts alone."""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.datasets._doors import graph_of

_ALLOWED: dict[tuple[str, str], Any] = {
    ("scipy.sparse.csr", "csr_matrix"): sp.csr_matrix,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no graph needs")
        return _ALLOWED[module, name]


def load_planetoid(folder: Path) -> dict[str, Graph]:
    """Read Cora and Citeseer; test nodes that Citeseer lacks have no features, no edges and label -1."""
    return {name: _read(folder / name / "raw", name) for name in ("cora", "citeseer")}


def _read(folder: Path, name: str) -> Graph:
    tx, allx, ty, ally, links = (_part(folder / f"ind.{name}.{part}") for part in ("tx", "allx", "ty", "ally", "graph"))
    try:
        test = np.loadtxt(folder / f"ind.{name}.test.index", np.int64)
    except (OSError, ValueError) as error:
        raise InputError("Planetoid file", got=str(error), expected="node indices", where=folder) from None
    nodes = int(test.max()) + 1
    x = sp.lil_matrix((nodes, allx.shape[1]), dtype=np.float32)
    x[: allx.shape[0]], x[test] = allx, tx
    onehot = np.zeros((nodes, ally.shape[1]))
    onehot[: len(ally)], onehot[test] = ally, ty
    y = np.where(onehot.sum(axis=1) == 1, onehot.argmax(axis=1), -1)
    pairs = np.array([(node, other) for node, others in links.items() for other in others], np.int64).T
    return graph_of(name, x.tocsr(), pairs, y)


def _part(path: Path) -> Any:
    try:
        return _Restricted(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ValueError) as error:
        raise InputError("Planetoid file", got=str(error), expected="arrays and matrices", where=path) from None
