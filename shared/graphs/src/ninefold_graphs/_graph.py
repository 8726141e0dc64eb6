"""A graph with node features and class labels, checked at the door."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from ninefold_graphs._doors import (
    UNKNOWN,
    Features,
    codes_of,
    edges_of,
    features_of,
    in_range,
    sorted_edges,
    weights_of,
    whole,
)  # fmt: skip
from ninefold_graphs._rows import Sparse, normalised, reweighted

_SHARED = ("adjacency", "degree", "normalized")  # what graphs with the same edges have in common


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, edges, features and (some) labels.

    Nodes are named by `ids`, so that an id means the same node in all graphs, however they are cut.

    Attributes:
        x: (n, d) float32, dense or scipy CSR.
        edge_index: (2, E) int64 places of source and target, sorted; directed, so an undirected edge stands twice.
        y: (n,) int64 codes into `classes`; -1 where the class is not given.
        classes: names of the classes, by code.
        ids: (n,) int64 distinct ids of the nodes; 0..n-1 if left out.
        titles: by id what the user's own files call the nodes, for messages; None where ids are all they have.
        name: how messages and tables call the graph.
        weight: (E,) float32 non-negative weights of the edges; None where all count alike.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph
        >>> graph = Graph.of(np.eye(3), [[0, 1], [1, 2]], ["a", "b", None])
        >>> len(graph), graph.edge_index.shape[1], graph.y.tolist()
        (3, 4, [0, 1, -1])
    """

    x: Features
    edge_index: np.ndarray
    y: np.ndarray
    classes: tuple[Any, ...]
    ids: np.ndarray = None  # type: ignore[assignment]  # set below
    titles: Mapping[int, str] | None = None
    name: str = "graph"
    weight: np.ndarray | None = None

    @classmethod
    def of(
        cls, x: object, edges: object, labels: Sequence[Hashable] | np.ndarray | None = None, *, ids: object = None,
        classes: Sequence[Hashable] | None = None, undirected: bool = True, name: str = "graph", weight: object = None,
    ) -> Graph:  # fmt: skip
        """Make a graph of your own data.

        Args:
            x: (n, d) features: anything that numpy or scipy.sparse takes, or a tensor.
            edges: (2, E) or (E, 2) places of source and target, in [0, n).
            labels: n labels of any one kind (numbers, strings); None or -1 where unknown. Names are sorted.
            ids: n distinct whole numbers that name the nodes; 0..n-1 if left out.
            classes: names of the classes by code; `labels` are codes then.
            undirected: add each edge's other direction.
            name: how messages call the graph.
            weight: one non-negative number for each edge, in the order of `edges`. Repeated edges add up; of the two
                directions of an undirected edge the larger weight counts.
        Raises: InputError that names the node, edge or id that is wrong.
        """
        where = None if name == "graph" else f"graph {name!r}"
        features = features_of(x, where)
        n = features.shape[0]
        given = edges_of(edges, n, where)
        pairs = sorted_edges(given, n, both=undirected)
        weights = None if weight is None else weights_of(weight, given, pairs, n, both=undirected, where=where)
        y, names = codes_of(labels, n, classes, where)
        if ids is not None:
            ids = np.asarray(ids.detach().cpu() if hasattr(ids, "detach") else ids)  # pyright: ignore[reportAttributeAccessIssue]
            whole("ids", ids, where)
            ids = ids.astype(np.int64)
        return cls(features, pairs, y, names, ids, name=name, weight=weights)  # pyright: ignore[reportArgumentType]

    def __post_init__(self) -> None:
        n = self.x.shape[0]
        if self.ids is None:
            object.__setattr__(self, "ids", np.arange(n))
        if self.y.shape != (n,) or self.ids.shape != (n,):
            got = f"{self.y.size} labels and {self.ids.size} ids"
            raise InputError("graph", got=got, expected=f"{n} of each, as x has rows")
        if self.y.size and (self.y.min() < UNKNOWN or self.y.max() >= len(self.classes)):
            raise InputError("y", got=int(self.y.max()), expected=f"codes from -1 to {len(self.classes) - 1}")
        order = self.ids[self._order]
        if n and np.any(np.diff(order) == 0):
            raise InputError("ids", got=f"{order[1:][np.diff(order) == 0][0]} twice", expected="distinct ids")
        if self.edge_index.ndim != 2 or self.edge_index.shape[0] != 2:
            raise InputError("edge_index", got=f"shape {self.edge_index.shape}", expected="(2, E)")
        in_range(self.edge_index, n)
        if self.weight is not None and self.weight.shape != (self.edge_index.shape[1],):
            expected = f"({self.edge_index.shape[1]},), one for each edge"
            raise InputError("weight", got=f"shape {self.weight.shape}", expected=expected)

    def __len__(self) -> int:
        return self.x.shape[0]

    def __repr__(self) -> str:
        """Sizes in one line, no array."""
        weighted = "weighted " if self.weight is not None else ""
        labelled = f"{len(self.classes)} classes, {np.count_nonzero(self.y >= 0):,} labelled nodes"
        sizes = f"{len(self):,} nodes, {self.edge_index.shape[1]:,} {weighted}directed edges, {self.width:,} features"
        return f"<Graph {self.name!r}: {sizes}, {labelled}>"

    @property
    def width(self) -> int:
        """Number of features."""
        return self.x.shape[1]

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.ids, kind="stable")

    def positions(self, nodes: Iterable[int] | np.ndarray, what: str = "nodes") -> np.ndarray:
        """Places in this graph of the nodes with these ids; InputError names ids that are not in it."""
        wanted = np.asarray(nodes if isinstance(nodes, np.ndarray) else list(nodes))
        if wanted.size == 0:
            return np.zeros(0, np.int64)
        whole(what, wanted)
        if len(self) == 0:
            raise InputError(what, got=f"node {wanted[0]}", expected="ids of this graph, which has no nodes")
        place = np.searchsorted(self.ids, wanted, sorter=self._order).clip(max=len(self) - 1)
        found = self._order[place]
        absent = wanted[self.ids[found] != wanted]
        if absent.size:
            got = f"node {self.title(absent[0])}" + (f" and {absent.size - 1} more" if absent.size > 1 else "")
            hint = "ids name nodes across graphs; give `ids=` when you cut or renumber one"
            raise InputError(what, got=got, expected="ids of nodes in this graph", hint=hint)
        return found

    def title(self, node: int) -> str:
        """What the user calls the node with this id."""
        return str(node) if self.titles is None else self.titles.get(int(node), str(node))

    def code(self, name: Hashable) -> int:
        """Code of a class name."""
        if name not in self._by_name:
            raise InputError("class", got=repr(name), expected="a class of this graph")
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[Hashable, int]:
        return {name: code for code, name in enumerate(self.classes)}

    @cached_property
    def adjacency(self) -> Sparse:
        """(n, n) CSR float32, rows are sources; entry k in row order is edge k of sorted edges.

        Entries are ones, or the edges' weights divided by their mean: their unit does not matter then, and a node
        counts as much against its neighbours as it does without weights.
        """
        return self._linked()

    def _linked(self) -> Sparse:
        n, (source, target) = len(self), self.edge_index
        ones = np.ones(source.size, np.float32) if self.weight is None else _relative(self.weight)
        ahead = source[1:] > source[:-1]
        ahead |= (source[1:] == source[:-1]) & (target[1:] > target[:-1])
        if not ahead.all() or source.size > np.iinfo(np.int32).max:
            return sp.csr_array((ones, (source, target)), shape=(n, n))
        ends = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))]).astype(np.int32)
        return sp.csr_array((ones, target.astype(np.int32), ends), shape=(n, n))  # sorted: nothing to convert

    @cached_property
    def normalized(self) -> Sparse:
        """(n, n) D^-1/2 (A + I) D^-1/2, float32: row i gathers from the sources of edges into i."""
        held = self.__dict__.get("adjacency")  # not made to be kept: a large graph has little room
        return normalised((self._linked() if held is None else held).T)

    def edge_weights(self, weight: np.ndarray | None = None) -> np.ndarray | None:
        """(E,) own weights divided by their mean, times those given; None where there are neither."""
        if self.weight is None:
            return weight
        return _relative(self.weight) if weight is None else _relative(self.weight) * weight

    def reweighted(self, weight: np.ndarray | None) -> Sparse:
        """The adjacency, its entries times (E,) weights in the order of the edges; as it is without any."""
        made = self.edge_weights(weight)
        return self.adjacency if weight is None or made is None else reweighted(self.adjacency, made)

    def step(self, weight: np.ndarray | None = None) -> Sparse:
        """`normalized`, of edges with (E,) weights."""
        return self.normalized if weight is None else normalised(self.reweighted(weight).T)

    @cached_property
    def degree(self) -> np.ndarray:
        """(n,) number of edges into each node."""
        return np.bincount(self.edge_index[1], minlength=len(self))

    def induced(self, keep: np.ndarray) -> Graph:
        """The graph on some of the nodes, given by places or an (n,) mask, and the edges among them; ids stay."""
        inside = np.zeros(len(self), bool)
        inside[keep] = True
        keep = np.flatnonzero(inside)
        place = np.cumsum(inside) - 1
        both = inside[self.edge_index].all(axis=0)
        edges = place[self.edge_index[:, both]]
        weight = None if self.weight is None else self.weight[both]
        return replace(self, x=self.x[keep], edge_index=edges, y=self.y[keep], ids=self.ids[keep], weight=weight)

    def symmetrised(self) -> Graph:
        """The same graph with the reverse of each edge; of two weights the larger counts."""
        n = len(self)
        both = sorted_edges(self.edge_index, n, both=True)
        weight = self.weight
        if weight is not None:
            weight = weights_of(weight, self.edge_index, both, n, both=True)
        return replace(self, edge_index=both, weight=weight)

    def with_labels(self, y: np.ndarray) -> Graph:
        """The same graph with other label codes (-1: unknown)."""
        changed = replace(self, y=np.asarray(y, np.int64))
        for key in _SHARED:
            if key in self.__dict__:
                changed.__dict__[key] = self.__dict__[key]
        return changed

    def hidden(self, keep: np.ndarray) -> Graph:
        """The same graph with all labels unknown but those where the (n,) mask `keep` is true."""
        return self.with_labels(np.where(keep, self.y, UNKNOWN))

    @cached_property
    def digest(self) -> str:
        """Hex digest of features, edges and ids (not of the labels)."""
        key = hashlib.sha256(repr(self.x.shape).encode())
        parts = [self.x.data, self.x.indices, self.x.indptr] if sp.issparse(self.x) else [self.x]
        weights = [] if self.weight is None else [self.weight]
        for part in (*parts, self.edge_index, self.ids, *weights):
            key.update(np.ascontiguousarray(part).tobytes())
        return key.hexdigest()


def _relative(weight: np.ndarray) -> np.ndarray:
    """(E,) weights divided by their mean; as they are where all are zero."""
    mean = float(weight.mean(dtype=np.float64)) if weight.size else 0.0
    return weight / np.float32(mean) if mean > 0 else weight
