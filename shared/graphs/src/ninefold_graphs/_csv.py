"""Your own graphs from text files with columns separated by comma, semicolon, tab or blank; wrong lines are named."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from ninefold_graphs._foreign import read_foreign_all
from ninefold_graphs._graph import Graph

PathLike = str | Path
Lines = list[tuple[int, list[str]]]  # number of the line in its file, fields
COLUMNS = {
    *("node", "nodes", "nodeid", "id", "name", "source", "target", "src", "dst", "dest", "destination", "from", "to"),
    *("head", "tail", "u", "v", "start", "end", "left", "right", "item", "user", "account", "paper", "product"),
}  # usual names of columns of nodes
_CATEGORY = "write a category as one column of 0 and 1 for each of its values"


def read_edge_list(
    edges: PathLike, labels: PathLike, features: PathLike | None = None, *, signature: int = 128, seed: int = 0
) -> tuple[Graph, dict[str, int]]:
    """Your own data in one call: text files with columns separated by comma, semicolon, tab or blank.

    Numbers may have a decimal comma; a byte-order mark is skipped.

    Args:
        edges: a line an edge: two node names and optionally the weight of the edge, a number of at least 0. A first
            line of column names is refused.
        labels: a line a node: name, class. Nodes that only have edges or features, or whose class is left empty, are
            nodes without a class.
        features: a line a node: name, numbers. Without it each node gets a random signature of `signature` numbers,
            the same for the same name and seed, of which the encoder's hops make a random projection of its
            neighbourhood.
    Returns: the graph, and each node's id by its name: the name itself where all names are distinct whole numbers.
    Raises: InputError with file and line.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold_graphs import read_edge_list
        >>> _ = Path("edges.csv").write_text("ann,bob\\nbob,cid\\n")
        >>> _ = Path("labels.csv").write_text("ann,red\\nbob,blue\\n")
        >>> graph, ids = read_edge_list("edges.csv", "labels.csv")
        >>> graph.classes, sorted(ids)
        (('blue', 'red'), ['ann', 'bob', 'cid'])
    """
    rows = {} if features is None else _rows(features)
    named = _pairs(labels)
    links, weights = _links(edges, labels, named, rows)
    classes = _labels(labels, named)
    nodes = list(dict.fromkeys(chain(classes, rows, *(pair for _, pair in links))))
    if features is None:
        x = np.array([_signature(node, signature, seed) for node in nodes], np.float32).reshape(-1, signature)
    else:
        for node in nodes:
            if node not in rows:
                raise InputError(f"node {node}", got="no features", expected="a line for each node", where=features)
        x = np.array([rows[node] for node in nodes], np.float32)
    graph = _made(edges, nodes, x, links, [classes.get(node) for node in nodes], weights)
    return graph, {node: int(one) for node, one in zip(nodes, graph.ids, strict=True)}


def read_folder(folder: PathLike, classes: Sequence[str] | None = None) -> dict[str, Graph]:
    """Read own graphs: each subfolder (or the folder itself) has edges.csv, features.csv and optionally labels.csv.

    Files as in `read_edge_list`; folders of OGB (`raw/edge.csv.gz`) and DGL (`meta.yaml`) are read too. Class names are
    shared by all graphs of the folder; features that are mostly zero are sparse in the graph.

    Args:
        folder: as above.
        classes: names in the order of their codes; by default all that labels.csv of any graph has, sorted.
    Returns: graphs by name of their folder, nodes in the order of features.csv, `titles` with their names.
    Raises: InputError with file and line.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold_graphs import read_folder
        >>> _ = Path("edges.csv").write_text("0,1\\n")
        >>> _ = Path("features.csv").write_text("0,1.5\\n1,2.5\\n")
        >>> _ = Path("labels.csv").write_text("0,red\\n1,blue\\n")
        >>> [(len(graph), graph.classes) for graph in read_folder(".").values()]
        [(2, ('blue', 'red'))]
    """
    folder = Path(folder)
    foreign = read_foreign_all(folder, classes)
    if foreign:
        return foreign
    homes = [folder] if (folder / "edges.csv").is_file() else sorted(file.parent for file in folder.glob("*/edges.csv"))
    if not homes:
        expected = "edges.csv and features.csv, or subfolders"
        raise InputError("folder", got="no edges.csv", expected=expected, where=folder)
    named = {home: _pairs(home / "labels.csv") if (home / "labels.csv").is_file() else [] for home in homes}
    if classes is None:
        found = {label for lines in named.values() for _, (_, label) in lines if label}
        classes = sorted(found, key=lambda one: (not one.isdecimal(), int(one) if one.isdecimal() else 0, one))
    made = {}
    for home, lines in named.items():
        path, rows = home / "labels.csv", _rows(home / "features.csv")
        if not rows:
            raise InputError("features.csv", got="an empty file", expected="a line for each node", where=home)
        (links, weights), nodes = _links(home / "edges.csv", path, lines, rows), list(rows)
        labels = _labels(path, lines, classes)
        for file, ends in ((home / "edges.csv", links), (path, [(line, [node]) for line, (node, _) in lines])):
            for line, node in ((line, node) for line, some in ends for node in some if node not in rows):
                where = f"{file}, line {line}"
                raise InputError("line", got=f"node {node!r}", expected="a node of features.csv", where=where)
        x = np.array(list(rows.values()), np.float32)
        sparse = x.shape[1] > 128 and (x == 0).mean() > 0.8
        y = [classes.index(label) if (label := labels.get(node)) else -1 for node in nodes]
        graph = _made(home / "edges.csv", nodes, sp.csr_array(x) if sparse else x, links, y, weights, classes)
        made[home.name] = replace(graph, name=home.name)
    return made


def read_support(
    path: PathLike, graph: Graph, known: Iterable[Hashable], *, new: bool = True
) -> dict[Hashable, list[int]]:
    """Node ids by label of a file with lines of node, class.

    A label that reads like a known one is that one, so that 7 is the class 7 and not a text.

    Args:
        path: lines of node, class.
        graph: whose nodes they are.
        known: class names.
        new: whether a label may be another than those.
    Raises: InputError with file and line of a node that is not in the graph, has no label, or one that is not known.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, read_support
        >>> _ = Path("new.csv").write_text("0,fraud\\n2,fraud\\n")
        >>> read_support("new.csv", Graph.of(np.eye(3), []), known=[])
        {'fraud': [0, 2]}
    """
    ids = {graph.title(one): int(one) for one in graph.ids}
    by_text, given = {str(one): one for one in known}, dict[Hashable, list[int]]()
    for number, (node, label) in _pairs(path):
        if node not in ids or not label:
            got, where = f"node {node!r}" if label else "no label", f"{path}, line {number}"
            raise InputError("line", got=got, expected="a node of the graph, and its label", where=where)
        if not new and label not in by_text:
            expected = f"one of {', '.join(by_text)}"
            raise InputError("line", got=f"class {label!r}", expected=expected, where=f"{path}, line {number}")
        given.setdefault(by_text.get(label, label), []).append(ids[node])
    return given


def _pairs(path: PathLike) -> Lines:
    """Lines of two fields."""
    lines = _lines(path)
    for number, fields in lines:
        if len(fields) != 2:
            raise InputError("line", got=f"{len(fields)} columns", expected="2", where=f"{path}, line {number}")
    return lines


def _made(
    path: PathLike, nodes: list[str], x: Any, links: Lines, labels: list[Any], weights: list[float] | None,
    classes: Sequence[str] | None = None,
) -> Graph:  # fmt: skip
    """The graph of named nodes; ids are the names where all are distinct whole numbers."""
    place = {node: index for index, node in enumerate(nodes)}
    numbers = [int(node) for node in nodes if node.isdecimal()]
    ids = np.array(numbers, np.int64) if len(set(numbers)) == len(nodes) else np.arange(len(nodes))
    pairs = np.array([(place[a], place[b]) for _, (a, b) in links], np.int64).reshape(-1, 2).T
    graph = Graph.of(x, pairs, labels, ids=ids, classes=classes, name=str(path), weight=weights)
    return replace(graph, name="graph", titles={int(one): node for node, one in zip(nodes, ids, strict=True)})


def _links(
    edges: PathLike, labels: PathLike, named: Lines, rows: dict[str, list[float]]
) -> tuple[Lines, list[float] | None]:
    """Line and two nodes of each edge, once no file has a header, and the edges' weights if there is a third column."""
    lines = _lines(edges)
    widths = {len(fields) for _, fields in lines}
    for number, fields in lines:
        few = len(fields) in (2, 3)
        if not few or len(fields) != len(lines[0][1]):
            expected = f"{len(lines[0][1])} as in the first line" if few else "2, or 3 with a weight"
            got, hint = f"{len(fields)} columns", "columns: node, node, and perhaps the weight of the edge"
            raise InputError("line", got=got, expected=expected, where=f"{edges}, line {number}", hint=hint)
    links = [(number, fields[:2]) for number, fields in lines]
    _refuse_header(edges, links, "two node names", [*(node for _, (node, _) in named), *rows])
    ends = chain.from_iterable(ends for _, ends in links)
    _refuse_header(labels, [(line, [node]) for line, (node, _) in named], "a node's name and its class", [*ends, *rows])
    for line, pair in links:
        for node in pair:
            _refuse_empty(node, f"{edges}, line {line}")
    return links, [_weight(fields, f"{edges}, line {line}") for line, fields in lines] if widths == {3} else None


def _weight(fields: list[str], where: str) -> float:
    """Weight of the edge of a line of three fields."""
    source, target, field = fields
    what = f"weight of edge {source} - {target}"
    hint = "the third column weights edges; types of edges or dates belong in files of their own"
    value = _number(field, what, where, hint)
    if value < 0:
        hint = "weights say how close two nodes are: turn distances or signs into closeness, or drop these edges"
        raise InputError(what, got=field, expected="a number of at least 0", where=where, hint=hint)
    return value


def _labels(path: PathLike, named: Lines, known: Sequence[str] | None = None) -> dict[str, str | None]:
    """Class by node, None where it is left empty; InputError for a second label, or one that is not `known`."""
    classes = dict[str, str | None]()
    for line, (node, label) in named:
        where = f"{path}, line {line}"
        _refuse_empty(node, where)
        if node in classes:
            raise InputError(f"node {node}", got="a second label", expected="one", where=where)
        if known is not None and label and label not in known:
            raise InputError("line", got=f"class {label!r}", expected=f"one of {', '.join(known)}", where=where)
        classes[node] = label or None
    return classes


def _signature(node: str, size: int, seed: int) -> np.ndarray:
    """(size,) random numbers of a node's name alone: a model meets the same ones in files that have grown since."""
    name = int.from_bytes(hashlib.sha256(node.encode()).digest())
    return np.random.default_rng([seed, name]).normal(size=size)


def _lines(path: PathLike) -> Lines:
    """Fields of each line that is neither empty nor a comment (#)."""
    try:
        open_text = gzip.open if str(path).endswith(".gz") else open
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:  # skips a byte-order mark
            every = [line.rstrip("\r\n") for line in file]
    except FileNotFoundError:
        raise InputError("file", got="none", expected="a text file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file", got=str(error), expected="UTF-8 text", where=path) from None
    kept = [(number, line) for number, line in enumerate(every, 1) if line.strip() and not line.startswith("#")]
    sample = "\n".join(line for _, line in kept[:20])
    mark = next((one for one in (";", "\t", ",") if one in sample), None)  # a decimal comma stands beside the first two
    made: Lines = []
    for number, line in kept:
        try:
            fields = line.split() if mark is None else next(csv.reader([line], delimiter=mark))
        except csv.Error as error:
            raise InputError("line", got=str(error), expected="fields", where=f"{path}, line {number}") from None
        made.append((number, [one.strip() for one in fields]))
    return made


def _refuse_empty(node: str, where: str) -> None:
    if not node:
        raise InputError("node", got="an empty name", expected="a name", where=where)


def _plain(name: str) -> str:
    """A column name without case, blanks, underscores and numbers at its end."""
    return name.lower().replace(" ", "").replace("_", "").rstrip("0123456789")


def _refuse_header(path: PathLike, lines: Lines, expected: str, elsewhere: Iterable[str]) -> None:
    """InputError if the first line holds column names instead of nodes.

    It does if none of its nodes is named in any other line or file, and either they are usual names of columns, or
    they alone are no whole numbers.
    """
    if not lines:
        return
    (line, first), others = lines[0], set(chain(elsewhere, *(fields for _, fields in lines[1:])))
    plain = [_plain(one) for one in first]
    usual = all(one in COLUMNS or one.removesuffix("id") in COLUMNS for one in plain)
    numbers = bool(others) and all(one.isdecimal() for one in others) and not any(one.isdecimal() for one in first)
    if others.isdisjoint(first) and (usual or numbers):
        got, where = f"column names ({', '.join(first)})", f"{path}, line {line}"
        raise InputError("line", got=got, expected=f"{expected}; no header", where=where, hint="remove that line")


def _rows(path: PathLike) -> dict[str, list[float]]:
    """Features by node name."""
    rows: dict[str, list[float]] = {}
    width, lines = None, _lines(path)
    if len(lines) > 1 and _plain(lines[0][1][0]) in COLUMNS and not any(map(_is_number, lines[0][1][1:])):
        got, where = f"column names ({', '.join(lines[0][1])})", f"{path}, line {lines[0][0]}"
        expected = "a node's name and its numbers; no header"
        raise InputError("line", got=got, expected=expected, where=where, hint="remove that line")
    for number, (node, *fields) in lines:
        where = f"{path}, line {number}"
        _refuse_empty(node, where)
        values = [
            _number(field, f"feature {column} of node {node}", where, _CATEGORY)
            for column, field in enumerate(fields, 1)
        ]
        width = len(values) if width is None else width
        if len(values) != width:
            raise InputError(f"features of node {node}", got=len(values), expected=f"{width} as above", where=where)
        if node in rows:
            raise InputError(f"node {node}", got="a second line", expected="one", where=where)
        rows[node] = values
    return rows


def _is_number(field: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", field, re.I) is not None


def _number(field: str, what: str, where: str, hint: str | None = None) -> float:
    """A finite number with a decimal point or comma."""
    if not _is_number(field):
        got = repr(field) if field else "an empty cell"
        raise InputError(what, got=got, expected="a number", where=where, hint=hint)
    value = float(field.replace(",", "."))
    if not np.isfinite(value):
        raise InputError(what, got=field, expected="a finite number", where=where)
    return value
