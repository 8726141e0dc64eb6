"""Graphs of loaders and of users, as every method is given them: both directions of each edge, classes by number."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ninefold_graphs import Graph, array_of, from_pyg


def graph_of(
    name: str, x: Any, pairs: np.ndarray, y: np.ndarray, classes: Sequence[Hashable] | None = None, *,
    weight: np.ndarray | None = None,
) -> Graph:  # fmt: skip
    """A graph of a loader's arrays: x (N, D), pairs (2, E) in any direction, y (N,) class ids, -1 where unknown."""
    return Graph.of(x, pairs, y, classes=classes or _numbers(y), name=name, weight=weight)


def open_graph(
    data: Any, name: str = "graph", *, symmetrise: bool = False, classes: Sequence[Hashable] | None = None
) -> Graph:
    """A PyG `Data` (or anything with `x`, `edge_index` and optionally `y`) as a Graph under a name.

    Args:
        data: `x` (N, D) tensor, array or sparse matrix; `edge_index` (2, E) integers; `y` (N,) class ids, -1 where
            unknown; `edge_weight`, or an `edge_attr` of one number an edge, weights the edges; a `Graph` is returned
            under the new name.
        name: how messages call it.
        symmetrise: add the missing reverse of each edge; without it a directed graph is refused.
        classes: names of the class ids; the data's `class_names` or the ids' numbers by default.
    Raises: InputError that names the tensor, and the node, column or edge where there is one.

    Examples:
        >>> from types import SimpleNamespace
        >>> import numpy as np
        >>> from mldgg import open_graph
        >>> edges = np.array([[0, 1], [1, 0]])
        >>> len(open_graph(SimpleNamespace(x=np.eye(2), edge_index=edges, y=[0, 1])))
        2
    """
    if isinstance(data, Graph):
        return replace(data, name=name)
    own = getattr(data, "class_names", None) or getattr(data, "classes", None)
    y = array_of(getattr(data, "y", None))
    if classes is None and own is None:
        classes = _numbers(y)
    return from_pyg(data, name, classes=classes, directed="symmetrise" if symmetrise else "refuse")


def _numbers(y: Any) -> tuple[str, ...]:
    known = np.asarray([] if y is None else y)
    return tuple(map(str, range(int(known.max(initial=-1)) + 1))) if known.dtype.kind in "iub" else ()
