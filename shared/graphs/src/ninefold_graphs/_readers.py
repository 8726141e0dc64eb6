"""The npz files of PyG's classes: raw files only, read whole, nothing unpickled or executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from tokenize import TokenError

import numpy as np
import scipy.sparse as sp
from ninefold.errors import ArtifactError, InputError

from ninefold_graphs._csv import PathLike
from ninefold_graphs._graph import Graph

_UNREADABLE = (  # what a damaged zip file, or numpy's header in it, ends in
    OSError, ValueError, EOFError, KeyError, AttributeError, OverflowError, RuntimeError, SyntaxError, TypeError,
    TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _arrays(path: PathLike, names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of an npz file; ArtifactError if it is no such file, damaged, or lacks one."""
    try:
        with np.load(path, allow_pickle=False) as held:
            absent = [name for name in names if name not in held.files]
            if absent:
                raise ArtifactError(path, f"has no array {absent[0]!r}; it holds {', '.join(held.files) or 'nothing'}")
            return [held[name] for name in names]
    except FileNotFoundError:
        raise ArtifactError(path, "is not there") from None
    except _UNREADABLE as error:
        raise ArtifactError(path, f"is no readable npz file of plain arrays: {error}") from None


def _csr(path: PathLike, prefix: str, parts: Sequence[np.ndarray]) -> sp.csr_array:
    data, indices, indptr, shape = parts
    try:
        matrix = sp.csr_array((data.astype(np.float32), indices, indptr), shape=tuple(int(side) for side in shape))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArtifactError(path, f"{prefix}_* is no CSR matrix: {error}") from None
    return matrix


def read_npz(path: PathLike) -> Graph:
    """The layout of PyG's `Coauthor`, `Amazon` and `CitationFull`: CSR `adj_*` and `attr_*`, `labels`.

    As PyG does: features x > 0 become 1, self-loops go, edges are made symmetric. Class names are the label numbers.

    Raises: ArtifactError if the file is damaged or of another layout.

    Examples:
        >>> import numpy as np
        >>> import scipy.sparse as sp
        >>> from ninefold_graphs import read_npz
        >>> parts = {"labels": np.array([0, 1])}
        >>> for name in ("adj", "attr"):
        ...     matrix = sp.csr_array(np.array([[0, 1], [1, 0]]))
        ...     parts |= {f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr", "shape")}
        >>> np.savez("graph.npz", **parts)
        >>> read_npz("graph.npz").edge_index.tolist()
        [[0, 1], [1, 0]]
    """
    keys = [f"{matrix}_{part}" for matrix in ("adj", "attr") for part in ("data", "indices", "indptr", "shape")]
    *parts, labels = _arrays(path, [*keys, "labels"])
    adjacency, x = _csr(path, "adj", parts[:4]), _csr(path, "attr", parts[4:])
    x.data[:] = x.data > 0
    x.eliminate_zeros()
    source, target = adjacency.nonzero()
    try:
        return Graph.of(x, np.stack([source, target]).astype(np.int64), labels)
    except InputError as error:
        error.add_note(f"while reading {path}")
        raise
