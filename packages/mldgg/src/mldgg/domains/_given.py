"""Graphs and support as a user names them, and a digest by which the same data is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph, read_folder, read_support

from mldgg.datasets import load
from mldgg.domains._support import split_support


def open_target(data: str, name: str | None, classes: tuple[str, ...], seed: int = 0) -> Graph:
    """The graph that a model is adapted to, its class ids in the model's order.

    Args:
        data: a collection, or a folder with a subfolder for each graph. name: of the graph, if there are several.
        classes: of the model; none for a folder's own. seed: of a simulated collection.
    Raises: InputError if no graph, or none of that name, is there.
    """
    own = Path(data).is_dir()
    graphs = read_folder(data, classes or None) if own else load(data, seed=seed)
    if name is None and len(graphs) > 1:
        raise InputError("--graph", got="none", expected=f"one of {', '.join(graphs)}")
    name = name or next(iter(graphs))
    if name not in graphs:
        raise InputError("--graph", got=repr(name), expected=f"one of {', '.join(graphs)}")
    return graphs[name]


def with_support(graph: Graph, support: Path | None, shots: int | None, seed: int = 0) -> Graph:
    """The graph with the support's labels alone: from a file, drawn by `shots`, or those of its labels.csv.

    Args:
        graph: with all labels that are known. support: CSV of node,class. shots: labels a class; 0: none.
        seed: of the draw.
    Raises: InputError for both, or for neither on a collection, whose labels are all known.
    """
    if support is not None and shots is not None:
        raise InputError("--support", got="--shots beside it", expected="one of the two")
    if support is not None:
        if not support.is_file():
            raise InputError("--support", got=str(support), expected="a CSV file of node,class")
        y = np.full(len(graph), -1)
        for label, nodes in read_support(support, graph, graph.classes, new=False).items():
            y[graph.positions(nodes)] = graph.code(label)
        return graph.with_labels(y)
    if shots is not None:
        if shots == 0:
            return graph.hidden(graph.y < -1)
        return graph.hidden(split_support(graph.y, shots=shots, seed=seed).support)
    if graph.titles is None:
        raise InputError("--shots", got="none", expected="--shots or --support: a collection shows all its labels")
    return graph


def names_of(graph: Graph) -> list[str] | list[int]:
    """Node names: those of the files, or indices."""
    return [graph.title(one) for one in graph.ids] if graph.titles is not None else list(range(len(graph)))


def digest_of(graphs: Sequence[Graph]) -> str:
    """Short digest of edges and labels, so that a run is not gone on with other data."""
    key = hashlib.sha256()
    for graph in graphs:
        key.update(graph.name.encode() + graph.edge_index.tobytes() + graph.y.tobytes())
        key.update(str(float(abs(graph.x).sum())).encode())
        key.update(b"" if graph.weight is None else graph.weight.tobytes())
    return key.hexdigest()[:16]
