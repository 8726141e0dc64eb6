"""Readers of graphs as others keep them: raw files only, read whole, nothing unpickled or executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
import scipy.sparse as sp
from ninefold.errors import ArtifactError, InputError

from ninefold_graphs._csv import PathLike, read_pairs
from ninefold_graphs._graph import Graph
from ninefold_graphs._mat import load_mat

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
    return _graph(path, x, np.stack([source, target]), labels)


def read_reddit(folder: PathLike) -> Graph:
    """The layout of PyG's `Reddit`: `reddit_data.npz` (feature, label) and `reddit_graph.npz` (row, col).

    Examples:
        >>> import numpy as np
        >>> import scipy.sparse as sp
        >>> from ninefold_graphs import read_reddit
        >>> np.savez("reddit_data.npz", feature=np.eye(2), label=np.array([0, 1]))
        >>> sp.save_npz("reddit_graph.npz", sp.coo_matrix(np.array([[0, 1], [1, 0]])))
        >>> len(read_reddit("."))
        2
    """
    data, edges = Path(folder) / "reddit_data.npz", Path(folder) / "reddit_graph.npz"
    x, labels = _arrays(data, ["feature", "label"])
    return _graph(folder, x, np.stack(_arrays(edges, ["row", "col"])), labels)


def read_ogb(folder: PathLike) -> Graph:
    """The raw layout of ogbn-arxiv and ogbn-products: `edge`, `node-feat` and `node-label` as .csv.gz, no headers.

    Examples:
        >>> import gzip
        >>> from pathlib import Path
        >>> from ninefold_graphs import read_ogb
        >>> for name, text in {"edge": "0,1\\n", "node-feat": "0.5\\n1.5\\n", "node-label": "0\\n1\\n"}.items():
        ...     _ = Path(f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        >>> read_ogb(".").edge_index.tolist()
        [[0, 1], [1, 0]]
    """
    edges, x, labels = (_numbers(Path(folder) / f"{name}.csv.gz") for name in ("edge", "node-feat", "node-label"))
    if labels.shape[1] != 1:
        raise ArtifactError(folder, f"node-label.csv.gz has {labels.shape[1]} columns, expected one label a node")
    named = np.array([-1 if value != value else int(value) for value in labels[:, 0]])
    return _graph(folder, x.astype(np.float32), edges.astype(np.int64), named)


def _numbers(path: Path) -> np.ndarray:
    """(rows, columns) float64 of a gzipped CSV file of numbers."""
    from pyarrow import ArrowInvalid
    from pyarrow.csv import ReadOptions, read_csv

    try:
        table = read_csv(path, read_options=ReadOptions(autogenerate_column_names=True))
        return np.stack([column.to_numpy().astype(np.float64) for column in table.columns], axis=1)
    except (OSError, ArrowInvalid, ValueError) as error:
        raise ArtifactError(path, f"is no readable gzipped CSV file of numbers: {error}") from None


def read_mat(mats: Sequence[PathLike], network: PathLike) -> Graph:
    """The layout of Amazon-Clothing: .mat files with Index, Label and Attributes, and a text file of edges.

    Args:
        mats: the files of train and test classes; together they name the nodes (`Index`), which become the graph's ids.
        network: two node numbers a line; edges to a node of no .mat file are left out.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from ninefold_graphs import read_mat
        >>> from scipy.io import savemat
        >>> savemat("part.mat", {"Index": np.array([[0], [1]]), "Label": np.array([[3], [4]]), "Attributes": np.eye(2)})
        >>> _ = Path("network").write_text("0\\t1\\n")
        >>> read_mat(["part.mat"], "network").classes
        (3, 4)
    """
    ids, labels, x = [], [], []
    for path in mats:
        try:
            held = load_mat(Path(path), {"Index", "Label", "Attributes"})
            nodes, classes = (np.asarray(held[name]).ravel().astype(np.int64) for name in ("Index", "Label"))
            if not len(nodes) == len(classes) == held["Attributes"].shape[0]:
                raise ValueError(f"{len(nodes)} of Index, {len(classes)} of Label, {held['Attributes'].shape[0]} rows")
            if x and held["Attributes"].shape[1] != x[0].shape[1]:
                raise ValueError(f"{held['Attributes'].shape[1]} columns of Attributes, {x[0].shape[1]} in {mats[0]}")
        except (OSError, TypeError, ValueError) as error:
            raise ArtifactError(path, f"is no .mat file of this layout: {error}") from None
        ids.append(nodes)
        labels.append(classes)
        x.append(sp.csr_array(held["Attributes"], dtype=np.float32))
    names = np.concatenate(ids)
    order = np.argsort(names, kind="stable")
    pairs = read_pairs(network)
    for line, ends in pairs:
        if not all(end.isdecimal() and len(end) < 19 for end in ends):
            where = f"{network}, line {line}"
            raise InputError("edge", got=" ".join(ends), expected="two node numbers", where=where)
    numbers = np.array([ends for _, ends in pairs], np.int64).reshape(-1, 2)
    place = np.searchsorted(names, numbers, sorter=order).clip(max=len(names) - 1)
    found = order[place]
    known = (names[found] == numbers).all(axis=1)
    return _graph(mats[0], sp.csr_array(sp.vstack(x)), found[known].T, np.concatenate(labels), ids=names)


def _graph(path: PathLike, x: object, edges: np.ndarray, labels: np.ndarray, ids: object = None) -> Graph:
    """`Graph.of`, whose errors then tell the file."""
    try:
        return Graph.of(x, edges.astype(np.int64), labels, ids=ids)
    except InputError as error:
        error.add_note(f"while reading {path}")
        raise
