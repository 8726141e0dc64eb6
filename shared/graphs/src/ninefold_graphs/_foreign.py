"""Graphs of other libraries: networkx, AnnData, and folders in the layouts of OGB and DGL.

Nothing is imported for it: objects are recognised by what they have.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError

from ninefold_graphs._graph import Graph

FEATURES = ("x", "feat", "feature", "features")  # node attributes that hold features, of networkx and DGL
LABELS = ("y", "label", "labels", "class", "cell_type")  # and labels


def from_library(data: Any, name: str = "graph") -> Graph | None:
    """The graph of a networkx or AnnData object; None for an object of another kind.

    Raises: InputError naming what is missing or ambiguous, and what to do.
    """
    if type(data).__module__.split(".")[0] == "networkx" or (hasattr(data, "adj") and hasattr(data, "is_multigraph")):
        return _from_networkx(data, name)
    if hasattr(data, "obsp") and hasattr(data, "obs"):
        return _from_anndata(data, name)
    return None


def _from_networkx(data: Any, name: str) -> Graph:
    """Node attributes `x` and `y` (or usual names) and the edge attribute `weight`."""
    where, nodes = f"graph {name!r}", list(data.nodes)
    if not nodes:
        raise InputError("nodes", got="none", expected="a graph with nodes", where=where)
    held = dict(data.nodes(data=True))
    key = next((one for one in FEATURES if one in held[nodes[0]]), None)
    if key is None:
        got = ", ".join(map(str, held[nodes[0]])) or "no attributes"
        expected, hint = f"a node attribute {' or '.join(FEATURES[:2])}", "set it to a list of numbers for each node"
        raise InputError(f"node {nodes[0]}", got=got, expected=expected, where=where, hint=hint)
    rows = []
    for node in nodes:
        value = np.atleast_1d(np.asarray(held[node].get(key), dtype=object))
        if key not in held[node] or (rows and len(value) != len(rows[0])):
            got = "no features" if key not in held[node] else f"{len(value)} features"
            expected = f"{len(rows[0])} numbers as its attribute {key!r}" if rows else f"an attribute {key!r}"
            raise InputError(f"node {node}", got=got, expected=expected, where=where)
        rows.append(value)
    if data.is_multigraph():
        kinds = sorted({str(kind) for _, _, kind in data.edges(keys=True)})
        if len(kinds) > 1 and not all(one.isdecimal() for one in kinds):
            got, hint = f"edges of types {', '.join(kinds[:5])}", "give the edges of one type as a graph"
            raise InputError("data", got=got, expected="edges of one type", where=where, hint=hint)
    index = {node: place for place, node in enumerate(nodes)}
    listed = list(data.edges(data="weight"))
    weights = [weight for _, _, weight in listed]
    if any(one is None for one in weights) and any(one is not None for one in weights):
        edge = next((a, b) for a, b, weight in listed if weight is None)
        raise InputError(f"edge {edge}", got="no weight", expected="one, as other edges have it", where=where)
    label = next((one for one in LABELS if any(one in held[node] for node in nodes)), None)
    y = None if label is None else [held[node].get(label) for node in nodes]
    pairs = np.array([(index[a], index[b]) for a, b, _ in listed], np.int64).reshape(-1, 2).T
    made = Graph.of(
        np.array(rows), pairs, y, undirected=not data.is_directed(), name=name,
        weight=None if not weights or weights[0] is None else weights,
    )  # fmt: skip
    return _titled(made, nodes)


def _from_anndata(data: Any, name: str) -> Graph:
    """`X`, the only neighbour graph in `obsp` (or `connectivities`), and a column of `obs` with a usual name."""
    where, found = f"graph {name!r}", list(data.obsp)
    key = "connectivities" if "connectivities" in found else found[0] if len(found) == 1 else None
    if key is None:
        got = ", ".join(found) or "none"
        hint = "scanpy.pp.neighbors(data) makes them" if not found else "name the one to use `connectivities`"
        raise InputError("data.obsp", got=got, expected="one graph of neighbours", where=where, hint=hint)
    linked = data.obsp[key].tocoo()
    label = next((one for one in LABELS if one in data.obs), None)
    y = None if label is None else [None if one != one else one for one in list(data.obs[label])]
    ones = np.all(linked.data == 1)
    pairs = np.stack([linked.row, linked.col]).astype(np.int64)
    made = Graph.of(data.X, pairs, y, name=name, weight=None if ones else linked.data)
    return _titled(made, list(data.obs_names))


def recoded(graph: Graph, classes: Sequence[Hashable]) -> Graph:
    """The graph with class names in another order; InputError for a class that is not among them."""
    code = {str(name): place for place, name in enumerate(classes)}
    for name in graph.classes:
        if str(name) not in code:
            raise InputError(
                "class", got=repr(name), expected=f"one of {', '.join(code)}", where=f"graph {graph.name!r}"
            )
    codes = np.array([code[str(name)] for name in graph.classes] or [0])
    return replace(graph, y=np.where(graph.y >= 0, codes[graph.y], -1), classes=tuple(classes))


def read_foreign_all(folder: Path, classes: Sequence[Hashable] | None = None) -> dict[str, Graph]:
    """Graphs by name, with common classes, of a folder that `read_foreign` reads or of its subfolders; {} of others."""
    homes = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())] if folder.is_dir() else []
    alone = read_foreign(folder)
    found = {folder.name: alone} if alone is not None else {one.name: read_foreign(one) for one in homes[1:]}
    graphs = {name: graph for name, graph in found.items() if graph is not None}
    names = classes or sorted({str(one) for graph in graphs.values() for one in graph.classes})
    return {name: recoded(graph, names) for name, graph in graphs.items()}


def _titled(graph: Graph, names: list[Hashable]) -> Graph:
    return replace(graph, titles={place: str(one) for place, one in enumerate(names)})


def read_foreign(folder: Path, name: str | None = None) -> Graph | None:
    """The graph of a folder in the layout of OGB (`raw/edge.csv.gz`) or DGL (`meta.yaml`); None for another one.

    Raises: InputError naming the file, and what to do with graphs that have several types of nodes or edges.

    Examples:
        >>> import gzip
        >>> from pathlib import Path
        >>> from ninefold_graphs import read_foreign
        >>> Path("mine/raw").mkdir(parents=True)
        >>> for name, text in (("edge", "0,1\n"), ("node-feat", "1,0\n0,1\n"), ("node-label", "0\n1\n")):
        ...     _ = Path(f"mine/raw/{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        >>> read_foreign(Path("mine")).y.tolist()
        [0, 1]
    """
    name = name or folder.name
    raw = folder / "raw" if (folder / "raw").is_dir() else folder
    if (raw / "edge.csv.gz").is_file() or (raw / "edge.csv").is_file():
        return _from_ogb(raw, name)
    if (raw / "triplet-type-list.csv.gz").is_file() or (raw / "relations").is_dir():
        hint = "read one relation with ogb, and give it as PyG's Data"
        raise InputError("folder", got="OGB's layout of several types of edges", expected="one", where=raw, hint=hint)
    return _from_dgl(folder, name) if (folder / "meta.yaml").is_file() else None


def _from_ogb(raw: Path, name: str) -> Graph:
    pairs, x = _numbers(raw, "edge", np.int64), _numbers(raw, "node-feat", np.float32)
    weight = _numbers(raw, "edge-feat", np.float64, absent=True)
    y = _numbers(raw, "node-label", np.float64, absent=True)
    if y is not None and y.shape[1] > 1:
        hint = "choose one column as the label"
        raise InputError("node-label", got=f"{y.shape[1]} labels a node", expected="one", where=raw, hint=hint)
    labels = None if y is None else [None if one != one else int(one) for one in y[:, 0]]
    return Graph.of(x, pairs.T, labels, name=name, weight=weight)


def _numbers(raw: Path, stem: str, kind: Any, *, absent: bool = False) -> Any:
    """A table of numbers without header; None for a file that may be absent and is."""
    for suffix in (".csv.gz", ".csv"):
        path = raw / f"{stem}{suffix}"
        if path.is_file():
            opened = gzip.open if suffix == ".csv.gz" else open
            try:
                with opened(path, "rt", encoding="utf-8-sig") as file:
                    return np.loadtxt(io.StringIO(file.read()), kind, delimiter=",", ndmin=2)
            except (OSError, ValueError, EOFError) as error:
                raise InputError("file", got=str(error), expected="a table of numbers", where=path) from None
    if absent:
        return None
    raise InputError("folder", got=f"no {stem}.csv.gz", expected="OGB's files", where=raw)


def _from_dgl(folder: Path, name: str) -> Graph:
    """One `nodes.csv` (node_id, label, feat) and one `edges.csv` (src_id, dst_id, optionally weight)."""
    for stem in ("nodes", "edges"):
        found = sorted(path.name for path in folder.glob(f"{stem}*.csv"))
        if len(found) != 1:
            got = f"{len(found)} files of {stem}" + (f" ({', '.join(found)})" if found else "")
            hint = "give the nodes and edges of one type" if found else None
            raise InputError("folder", got=got, expected=f"one {stem} file", where=folder, hint=hint)
    nodes, edges = (_table(next(folder.glob(f"{stem}*.csv"))) for stem in ("nodes", "edges"))
    feature = next((one for one in FEATURES if one in nodes), None)
    label = next((one for one in LABELS if one in nodes), None)
    for table, key, file in ((nodes, "node_id", "nodes"), (edges, "src_id", "edges"), (edges, "dst_id", "edges")):
        if key not in table:
            raise InputError(f"{file} file", got=", ".join(table), expected=f"a column {key}", where=folder)
    if feature is None:
        got, hint = ", ".join(nodes), "add a column feat with numbers in quotes, divided by commas"
        raise InputError("nodes file", got=got, expected="a column feat", where=folder, hint=hint)
    names = nodes["node_id"]
    index = {one: place for place, one in enumerate(names)}
    strangers = [one for one in (*edges["src_id"], *edges["dst_id"]) if one not in index]
    if strangers:
        raise InputError("edges file", got=f"node {strangers[0]}", expected="nodes of the nodes file", where=folder)
    try:
        x = np.array([[float(part) for part in row.split(",")] for row in nodes[feature]])
        weight = [float(one) for one in edges["weight"]] if "weight" in edges else None
    except ValueError as error:
        raise InputError("numbers", got=str(error), expected="numbers divided by commas", where=folder) from None
    y = None if label is None else [one or None for one in nodes[label]]
    pairs = [[index[one] for one in edges[key]] for key in ("src_id", "dst_id")]
    return _titled(Graph.of(x, pairs, y, name=name, weight=weight), list(names))


def _table(path: Path) -> dict[str, list[str]]:
    """Columns of a CSV file with a header."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    if len({len(row) for row in rows}) != 1:
        raise InputError("file", got="rows of other lengths, or nothing", expected="a table with a header", where=path)
    return {key.strip(): [row[place].strip() for row in rows[1:]] for place, key in enumerate(rows[0])}
