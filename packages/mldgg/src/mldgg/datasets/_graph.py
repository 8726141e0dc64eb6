"""One labelled graph with its input checked: what every loader returns and every method is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph with node features and integer labels.

    Attributes:
        name: how messages and tables call it.
        x: (N, D) features, float32: a numpy array or a scipy CSR matrix.
        edge_index: (2, E) int64, both directions of each edge, sorted, without self-loops or repetitions.
        y: (N,) int64 class ids; -1 where the label is not known.
        classes: names of the class ids.
    """

    name: str
    x: Any
    edge_index: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls, data: Any, name: str = "graph", *, symmetrise: bool = False, classes: Sequence[str] | None = None
    ) -> Graph:
        """Check a PyG `Data` (or anything with `x`, `edge_index` and perhaps `y`) and take its arrays over.

        Args:
            data: `x` (N, D) tensor, array or sparse matrix; `edge_index` (2, E) integers; `y` (N,) class ids, -1 where
                unknown; a `Graph` is returned under the new name.
            name: how messages call it.
            symmetrise: add the missing reverse of each edge; without it a directed graph is refused.
            classes: names of the class ids; their numbers by default.
        Raises: InputError that names the tensor, and the node or column where there is one.
        """
        if isinstance(data, Graph):
            return replace(data, name=name) if name != "graph" else data
        x = _features(getattr(data, "x", None), name)
        edges = _edges(getattr(data, "edge_index", None), x.shape[0], name, symmetrise)
        y = _labels(getattr(data, "y", None), x.shape[0], name)
        classes = tuple(classes or getattr(data, "classes", None) or map(str, range(int(y.max(initial=-1)) + 1)))
        if y.max(initial=-1) >= len(classes):
            raise InputError("y", got=f"class {y.max()}", expected=f"ids below {len(classes)}", where=f"graph {name!r}")
        return cls(name, x, edges, y, classes)

    def __len__(self) -> int:
        return self.x.shape[0]

    @property
    def num_features(self) -> int:
        """Columns of x."""
        return self.x.shape[1]

    @cached_property
    def adjacency(self) -> Any:
        """(N, N) scipy CSR, float32 zeros and ones, symmetric; entry k in row order is edge k of `edge_index`."""
        ones = np.ones(self.edge_index.shape[1], np.float32)
        return sp.csr_matrix((ones, (self.edge_index[0], self.edge_index[1])), shape=(len(self), len(self)))

    def with_labels(self, y: np.ndarray) -> Graph:
        """The same graph with other labels (-1: unknown)."""
        return replace(self, y=np.asarray(y, np.int64))

    def hidden(self, keep: np.ndarray) -> Graph:
        """The same graph with all labels unknown but those where the (N,) mask `keep` is true."""
        return self.with_labels(np.where(keep, self.y, -1))

    def to_data(self) -> Any:
        """A PyG `Data` with x (sparse COO if it is sparse here), edge_index, y and `classes`."""
        import torch
        from torch_geometric.data import Data

        if isinstance(self.x, np.ndarray):
            x = torch.from_numpy(self.x)
        else:
            coo = self.x.tocoo()
            places = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
            values = torch.from_numpy(coo.data)
            x = torch.sparse_coo_tensor(places, values, coo.shape, check_invariants=True).coalesce()
        edges = torch.from_numpy(self.edge_index)
        return Data(x=x, edge_index=edges, y=torch.from_numpy(self.y), classes=list(self.classes))


def undirected(pairs: np.ndarray, nodes: int) -> np.ndarray:
    """(2, E) pairs -> both directions of each, sorted by row then column, without self-loops or repetitions."""
    pairs = np.asarray(pairs, np.int64).reshape(2, -1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    keys = np.unique(np.concatenate([pairs[0] * nodes + pairs[1], pairs[1] * nodes + pairs[0]]))
    return np.stack([keys // max(nodes, 1), keys % max(nodes, 1)])


def graph_of(name: str, x: Any, pairs: np.ndarray, y: np.ndarray, classes: Sequence[str] | None = None) -> Graph:
    """A graph from arrays of a loader: pairs (2, E) in any direction; x and y as in `Graph.of`."""
    x = _features(x, name)
    y = _labels(y, x.shape[0], name)
    pairs = undirected(_checked_edges(pairs, x.shape[0], name), x.shape[0])
    return Graph(name, x, pairs, y, tuple(classes or map(str, range(int(y.max(initial=-1)) + 1))))


def _array(value: Any) -> Any:
    """A tensor as a numpy array or scipy matrix; anything else as it is."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    if value.is_sparse:
        value = value.coalesce()
        rows, columns = value.indices().numpy()
        return sp.csr_matrix((value.values().numpy(), (rows, columns)), shape=tuple(value.shape))
    if str(value.layout) == "torch.sparse_csr":
        parts = (value.values().numpy(), value.col_indices().numpy(), value.crow_indices().numpy())
        return sp.csr_matrix(parts, shape=tuple(value.shape))
    return value.numpy()


def _features(x: Any, name: str) -> Any:
    where = f"graph {name!r}"
    x = _array(x)
    if x is None:
        raise InputError("x", got="none", expected="an (N, D) matrix of node features", where=where)
    if not sp.issparse(x):
        x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] == 0:
        raise InputError("x", got=f"shape {tuple(x.shape)}", expected="(N, D) with a node and a feature", where=where)
    if x.dtype.kind not in "fbiu":
        raise InputError("x", got=f"dtype {x.dtype}", expected="numbers", where=where)
    if sp.issparse(x):
        x = sp.csr_matrix(x, dtype=np.float32)
        x.sum_duplicates()
        wrong = np.flatnonzero(~np.isfinite(x.data))
        if wrong.size:
            node = int(np.searchsorted(x.indptr, wrong[0], side="right") - 1)
            _refuse_value(x.data[wrong[0]], node, int(x.indices[wrong[0]]), where)
        return x
    x = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(x).all():
        node, column = np.argwhere(~np.isfinite(x))[0]
        _refuse_value(x[node, column], int(node), int(column), where)
    return x


def _refuse_value(value: float, node: int, column: int, where: str) -> None:
    raise InputError(f"x at node {node}, column {column}", got=str(value), expected="finite values", where=where)


def _checked_edges(edges: Any, nodes: int, name: str) -> np.ndarray:
    where = f"graph {name!r}"
    edges = _array(edges)
    if edges is None:
        raise InputError("edge_index", got="none", expected="a (2, E) integer tensor", where=where)
    edges = np.asarray(edges)
    if edges.ndim != 2 or edges.shape[0] != 2:
        raise InputError("edge_index", got=f"shape {edges.shape}", expected="(2, E)", where=where)
    if edges.dtype.kind not in "iu":
        raise InputError("edge_index", got=f"dtype {edges.dtype}", expected="integers", where=where)
    outside = np.argwhere((edges < 0) | (edges >= nodes))
    if outside.size:
        row, column = outside[0]
        got = f"node {edges[row, column]} in edge {column}"
        raise InputError("edge_index", got=got, expected=f"node indices in [0, {nodes})", where=where)
    return edges.astype(np.int64)


def _edges(edges: Any, nodes: int, name: str, symmetrise: bool) -> np.ndarray:
    edges = _checked_edges(edges, nodes, name)
    both = undirected(edges, nodes)
    single = np.unique(edges[0] * nodes + edges[1]).size - int(np.unique(edges[0][edges[0] == edges[1]]).size)
    missing = both.shape[1] - single
    if missing and not symmetrise:
        got = f"a directed graph: {missing} edges have no reverse"
        raise InputError(
            "edge_index", got=got, expected="both directions", where=f"graph {name!r}", hint="symmetrise=True adds them"
        )
    return both


def _labels(y: Any, nodes: int, name: str) -> np.ndarray:
    where = f"graph {name!r}"
    y = _array(y)
    if y is None:
        return np.full(nodes, -1, np.int64)
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (nodes,):
        raise InputError("y", got=f"shape {y.shape}", expected=f"({nodes},)", where=where)
    if y.dtype.kind not in "iub":
        raise InputError("y", got=f"dtype {y.dtype}", expected="integer class ids, -1 where unknown", where=where)
    y = y.astype(np.int64)
    if y.min(initial=0) < -1:
        node = int(y.argmin())
        raise InputError(f"y at node {node}", got=int(y[node]), expected="class ids from 0, or -1", where=where)
    return y
