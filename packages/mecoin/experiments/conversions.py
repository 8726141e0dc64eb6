"""How the data files of mecoin are made of what their sources hold (`ninefold data get mecoin`).

The sources hold matrices as pickles, of which only what makes a sparse matrix is let in.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_LET_IN = {"csr_matrix", "csr_array", "_reconstruct", "ndarray", "dtype"}


class _Matrices(pickle.Unpickler):
    """Reads sparse matrices and arrays, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _LET_IN or module.split(".")[0] not in ("numpy", "scipy"):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a matrix")
        return super().find_class(module.replace("scipy.sparse.csr", "scipy.sparse"), name)


def matrices(sources: Sequence[Path], *words: str) -> bytes:
    """A graph's matrices as plain CSR arrays, its metadata left out; with "sorted" the indices of each row in order."""
    with zipfile.ZipFile(sources[0]) as file:
        found = {key: _object(file.read(f"{key}.npy")) for key in ("adj_matrix", "node_attr")}
        labels = np.lib.format.read_array(io.BytesIO(file.read("node_label.npy")))
    for matrix in found.values() if "sorted" in words else ():
        matrix.sort_indices()
    return _written(*found.values(), labels)


def clothing(sources: Sequence[Path]) -> bytes:
    """The graph between the nodes of the test classes, edges in both directions, classes numbered anew."""
    import scipy.io
    import scipy.sparse as sp

    held = scipy.io.loadmat(sources[0])
    place = {int(node): row for row, node in enumerate(held["Index"].ravel())}
    lines = (line.split("\t") for line in sources[1].read_text(encoding="ascii").splitlines())
    pairs = [(place[a], place[b]) for a, b in (map(int, line) for line in lines) if a in place and b in place]
    edges = np.array(pairs + [(b, a) for a, b in pairs], np.int32).T
    adjacency = sp.csr_matrix((np.ones(edges.shape[1]), edges), shape=(len(place), len(place)))
    adjacency.data[:] = 1
    labels = np.unique(held["Label"].ravel(), return_inverse=True)[1]
    return _written(adjacency, sp.csr_matrix(held["Attributes"]), labels)


def _written(adjacency: Any, attributes: Any, labels: np.ndarray) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    for key, matrix, kind in (("adj", adjacency, np.int8), ("attr", attributes, np.uint8)):
        arrays[f"{key}_data"] = _small(matrix.data, kind)
        arrays |= {f"{key}_indices": matrix.indices.astype(np.int32), f"{key}_indptr": matrix.indptr.astype(np.int32)}
        arrays[f"{key}_shape"] = np.array(matrix.shape)
    made = io.BytesIO()
    np.savez_compressed(made, **arrays, labels=labels.astype(np.int64))
    return made.getvalue()


def _object(data: bytes) -> Any:
    """The one matrix in an array of objects."""
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return _Matrices(file).load().item()


def _small(values: np.ndarray, kind: type[np.integer]) -> np.ndarray:
    """The same numbers as small integers where these hold them, else as float32."""
    return values.astype(kind if np.array_equal(values.astype(kind), values) else np.float32)
