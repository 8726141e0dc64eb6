"""Readers of graphs as others keep them: raw files only, read whole, nothing unpickled or executed."""

from __future__ import annotations

import csv
import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from tokenize import TokenError

import numpy as np
import scipy.sparse as sp
from ninefold.errors import ArtifactError, InputError

from ninefold_graphs._graph import Graph
from ninefold_graphs._mat import load_mat

PathLike = str | Path
COLUMNS = {
    *("node", "nodes", "nodeid", "id", "name", "source", "target", "src", "dst", "dest", "destination", "from", "to"),
    *("head", "tail", "u", "v", "start", "end", "left", "right", "item", "user", "account", "paper", "product"),
}  # usual names of columns of nodes


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
    """
    keys = [f"{matrix}_{part}" for matrix in ("adj", "attr") for part in ("data", "indices", "indptr", "shape")]
    *parts, labels = _arrays(path, [*keys, "labels"])
    adjacency, x = _csr(path, "adj", parts[:4]), _csr(path, "attr", parts[4:])
    x.data[:] = x.data > 0
    x.eliminate_zeros()
    source, target = adjacency.nonzero()
    return _graph(path, x, np.stack([source, target]), labels)


def read_reddit(folder: PathLike) -> Graph:
    """The layout of PyG's `Reddit`: `reddit_data.npz` (feature, label) and `reddit_graph.npz` (row, col)."""
    data, edges = Path(folder) / "reddit_data.npz", Path(folder) / "reddit_graph.npz"
    x, labels = _arrays(data, ["feature", "label"])
    return _graph(folder, x, np.stack(_arrays(edges, ["row", "col"])), labels)


def read_ogb(folder: PathLike) -> Graph:
    """The raw layout of ogbn-arxiv and ogbn-products: `edge`, `node-feat` and `node-label` as .csv.gz, no headers."""
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


def read_edge_list(
    edges: PathLike, labels: PathLike, features: PathLike | None = None, *, signature: int = 128, seed: int = 0
) -> tuple[Graph, dict[str, int]]:
    """Your own data in one call: text files with columns divided by comma, tab or blank.

    Args:
        edges: a line an edge: two node names. No header: a first line of column names is refused.
        labels: a line a node: name, class. Nodes that only have edges or features, or whose class is left empty, are
            nodes without a class.
        features: a line a node: name, numbers. Without it each node gets a random signature of `signature` numbers,
            the same for the same name and seed, of which the encoder's hops make a random projection of its
            neighbourhood.
        seed: random seed of the signatures.
    Returns: the graph, and the id of each node by name; names that are all whole numbers are the ids.
    Raises: InputError that names file and line.
    """
    links, named, rows = read_pairs(edges), read_pairs(labels), {} if features is None else _rows(features)
    _refuse_header(edges, links, "two node names", [*(node for _, (node, _) in named), *rows])
    _refuse_header(
        labels,
        [(line, [node]) for line, (node, _) in named],
        "a node's name and its class",
        [*chain.from_iterable(ends for _, ends in links), *rows],
    )
    for line, ends in links:
        for node in ends:
            _refuse_empty(node, f"{edges}, line {line}")
    pairs, classes = [ends for _, ends in links], dict[str, str | None]()
    for line, (node, label) in named:
        _refuse_empty(node, f"{labels}, line {line}")
        if node in classes:
            raise InputError(f"node {node}", got="a second label", expected="one", where=f"{labels}, line {line}")
        classes[node] = label or None
    nodes = dict.fromkeys(chain(classes, rows, *pairs))
    if features is not None:
        for node in nodes:
            if node not in rows:
                raise InputError(f"node {node}", got="no features", expected="a line for each node", where=features)
        x = np.array([rows[node] for node in nodes], np.float32)
    else:
        x = np.array([_signature(node, signature, seed) for node in nodes], np.float32).reshape(-1, signature)
    place = {node: index for index, node in enumerate(nodes)}
    numbers = [int(node) for node in nodes if node.isdecimal()]
    distinct = len(set(numbers)) == len(nodes)
    ids = np.array(numbers, np.int64) if distinct else np.arange(len(nodes))
    index = np.array([(place[a], place[b]) for a, b in pairs], np.int64).reshape(-1, 2)
    graph = _graph(edges, x, index.T, [classes.get(node) for node in nodes], ids=ids)
    places = {node: int(one) for node, one in zip(nodes, ids, strict=True)}
    return replace(graph, titles={one: node for node, one in places.items()}), places


def _signature(node: str, size: int, seed: int) -> np.ndarray:
    """(size,) random numbers of a node's name alone: a model meets the same ones in files that have grown since."""
    name = int.from_bytes(hashlib.sha256(node.encode()).digest())
    return np.random.default_rng([seed, name]).normal(size=size)


Lines = list[tuple[int, list[str]]]  # number of the line in its file, fields


def _lines(path: PathLike) -> Lines:
    """Fields of each line that is neither empty nor a comment (#)."""
    try:
        open_text = gzip.open if str(path).endswith(".gz") else open
        with open_text(path, "rt", encoding="utf-8", newline="") as file:
            every = [line.rstrip("\r\n") for line in file]
    except FileNotFoundError:
        raise InputError("file", got="none", expected="a text file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file", got=str(error), expected="UTF-8 text", where=path) from None
    numbers = [number for number, line in enumerate(every, 1) if line.strip() and not line.startswith("#")]
    kept = [every[number - 1] for number in numbers]
    sample = "\n".join(islice(kept, 20))
    mark = "," if "," in sample else "\t" if "\t" in sample else None
    if mark is None:
        return [(number, line.split()) for number, line in zip(numbers, kept, strict=True)]
    fields = (next(csv.reader([line], delimiter=mark)) for line in kept)
    return [(number, [one.strip() for one in row]) for number, row in zip(numbers, fields, strict=True)]


def _refuse_empty(node: str, where: str) -> None:
    if not node:
        raise InputError("node", got="an empty name", expected="a name", where=where)


def _refuse_header(path: PathLike, lines: Lines, expected: str, elsewhere: Iterable[str]) -> None:
    """InputError if the first line holds column names in place of nodes.

    It does if none of its nodes is named in any other line or file, and either they are usual names of columns, or
    they alone are no whole numbers.
    """
    if not lines:
        return
    (line, first), others = lines[0], set(chain(elsewhere, *(fields for _, fields in lines[1:])))
    plain = [one.lower().replace(" ", "").replace("_", "").rstrip("0123456789") for one in first]
    usual = all(one in COLUMNS or one.removesuffix("id") in COLUMNS for one in plain)
    numbers = bool(others) and all(one.isdecimal() for one in others) and not any(one.isdecimal() for one in first)
    if others.isdisjoint(first) and (usual or numbers):
        raise InputError(
            "line", got=f"column names ({', '.join(first)})", expected=f"{expected}; no header",
            where=f"{path}, line {line}", hint="remove that line",
        )  # fmt: skip


def read_pairs(path: PathLike) -> Lines:
    """Lines of two fields."""
    lines = _lines(path)
    for number, fields in lines:
        if len(fields) != 2:
            raise InputError("line", got=f"{len(fields)} columns", expected="2", where=f"{path}, line {number}")
    return lines


def _rows(path: PathLike) -> dict[str, list[float]]:
    """Features by node name."""
    rows: dict[str, list[float]] = {}
    width = None
    for number, (node, *fields) in _lines(path):
        where = f"{path}, line {number}"
        _refuse_empty(node, where)
        try:
            values = [float(field) for field in fields]
        except ValueError:
            raise InputError(f"features of node {node}", got="text", expected="numbers", where=where) from None
        if not np.isfinite(values).all():
            raise InputError(f"features of node {node}", got="NaN or infinity", expected="finite numbers", where=where)
        width = len(values) if width is None else width
        if len(values) != width:
            raise InputError(f"features of node {node}", got=len(values), expected=f"{width} as above", where=where)
        if node in rows:
            raise InputError(f"node {node}", got="a second line", expected="one", where=where)
        rows[node] = values
    return rows


def _graph(path: PathLike, x: object, edges: np.ndarray, labels: object, ids: object = None) -> Graph:
    """`Graph.of`, whose errors then tell the file."""
    try:
        return Graph.of(x, edges.astype(np.int64), labels, ids=ids)  # pyright: ignore[reportArgumentType]
    except InputError as error:
        error.add_note(f"while reading {path}")
        raise
