"""Files of others, read whole, nothing unpickled or executed: the npz files of PyG's classes, and MATLAB files.

Of MATLAB files (version 5 to 7) each size is checked before it is used: scipy's reader hands out sparse matrices whose
parts it has not looked at; converting a damaged one ends the process.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

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
    Entries of the adjacency other than ones are weights of the edges.

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
    adjacency.eliminate_zeros()
    listed = adjacency.tocoo()
    weight = None if np.all(listed.data == 1) else listed.data
    try:
        return Graph.of(x, np.stack([listed.row, listed.col]).astype(np.int64), labels, weight=weight)
    except InputError as error:
        error.add_note(f"while reading {path}")
        raise


_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED, _SPARSE = 14, 15, 5
_LARGEST = 1 << 32  # bytes that a compressed variable may open to


def load_mat(path: Path, names: set[str]) -> dict[str, Any]:
    """Read the wanted variables.

    Args:
        path: the file; both orders of bytes, compressed variables too.
        names: variables to read; others are passed over.
    Returns: by name an array (rows, columns), or a sparse one of float64 (logical and integer entries too).
    Raises: ValueError that says what does not fit, or which variable is absent; OSError.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from ninefold_graphs import load_mat
        >>> from scipy.io import savemat
        >>> savemat("small.mat", {"A": np.array([[1.0, 2.0]]), "other": 0})
        >>> load_mat(Path("small.mat"), {"A"})["A"].tolist()
        [[1.0, 2.0]]
    """
    whole = memoryview(path.read_bytes())
    if len(whole) < 128 or bytes(whole[126:128]) not in (b"IM", b"MI"):
        raise ValueError("no header of a MATLAB file of version 5 to 7")
    order = "<" if bytes(whole[126:128]) == b"IM" else ">"
    found, at = {}, 128
    while at < len(whole):
        kind, body, at = _element(whole, at, order, padded=False)
        if kind == _COMPRESSED:
            kind, body, _ = _element(_opened(body, order), 0, order)
        if kind == _MATRIX:
            name, value = _variable(body, order, names)
            if name in names:
                found[name] = value
    if absent := sorted(names - found.keys()):
        raise ValueError(f"no variable {absent[0]}")
    return found


def _element(whole: memoryview, at: int, order: str, padded: bool = True) -> tuple[int, memoryview, int]:
    """(type, bytes, where the next one begins) of the element at a place."""
    if len(whole) - at < 8:
        raise ValueError("it ends within a tag")
    kind, size = (int(one) for one in np.frombuffer(whole[at : at + 8], order + "u4"))
    if kind >> 16:  # small: type, size and bytes in eight
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
        return kind, whole[at + 4 : at + 4 + size], at + 8
    end = at + 8 + size
    if end > len(whole):
        raise ValueError(f"an element of {size} bytes where {len(whole) - at - 8} are left")
    return kind, whole[at + 8 : end], end + (-size % 8 if padded else 0)


def _opened(body: memoryview, order: str) -> memoryview:
    """A compressed element, as long as its own tag says."""
    opener = zlib.decompressobj()
    try:
        head = opener.decompress(body, 8)
        size = int(np.frombuffer(head[4:8], order + "u4")[0]) if len(head) == 8 else 0
        if not 0 < size <= _LARGEST:
            raise ValueError(f"a compressed variable of {size} bytes")
        return memoryview(head + opener.decompress(opener.unconsumed_tail, size))
    except zlib.error as error:
        raise ValueError(f"a compressed variable: {error}") from None


def _numbers(whole: memoryview, at: int, order: str) -> tuple[np.ndarray, int]:
    kind, body, at = _element(whole, at, order)
    if kind not in _TYPES or len(body) % int(_TYPES[kind][1]):
        raise ValueError(f"numbers of type {kind} in {len(body)} bytes")
    return np.frombuffer(body, order + _TYPES[kind]), at


def _variable(body: memoryview, order: str, names: set[str]) -> tuple[str, Any]:
    flags, at = _numbers(body, 0, order)
    shape, at = _numbers(body, at, order)
    _, letters, at = _element(body, at, order)
    name = bytes(letters).decode("ascii", "replace")
    if name not in names:
        return name, None
    if len(flags) != 2 or len(shape) != 2 or shape.dtype.kind not in "iu" or (shape < 0).any():
        raise ValueError(f"{name}: no matrix")
    rows, columns = (int(one) for one in shape)
    form, is_complex = int(flags[0]) & 0xFF, bool(int(flags[0]) & 0x0800)
    if is_complex or not 5 <= form <= 15:
        raise ValueError(f"{name}: a variable of class {form}, no real numbers")
    if form != _SPARSE:
        values, _ = _numbers(body, at, order)
        if len(values) != rows * columns:
            raise ValueError(f"{name}: {len(values)} numbers for {rows} x {columns}")
        return name, values.reshape((rows, columns), order="F")
    places, at = _numbers(body, at, order)
    starts, at = _numbers(body, at, order)
    values, _ = _numbers(body, at, order)
    if places.dtype.kind not in "iu" or starts.dtype.kind not in "iu" or len(starts) != columns + 1:
        raise ValueError(f"{name}: {len(starts)} starts of columns for {columns} columns")
    starts, places = starts.astype(np.int64), places.astype(np.int64)
    count = int(starts[-1])
    if starts[0] != 0 or (np.diff(starts) < 0).any() or count > min(len(places), len(values)):
        raise ValueError(f"{name}: starts of columns that do not fit {min(len(places), len(values))} entries")
    if count and (places[:count].min() < 0 or places[:count].max() >= rows):
        raise ValueError(f"{name}: an entry in a row that is not there")
    return name, sp.csc_array((values[:count].astype(np.float64), places[:count], starts), shape=(rows, columns))
