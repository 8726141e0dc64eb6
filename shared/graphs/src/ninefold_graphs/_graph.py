"""A graph with node features and class labels, checked at the door."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

Features = Any  # float32: np.ndarray or sp.csr_array, which have no common type that checkers understand
Sparse = Any  # sp.csr_array, float32
UNKNOWN = -1  # label code of a node whose class is not given


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, edges, features and (some) labels.

    Nodes are named by `ids` in every public call, so that an id means the same node in all graphs, however they are
    cut.

    Attributes:
        x: (n, d) float32, dense or scipy CSR.
        edge_index: (2, E) int64 places of source and target; directed, so an undirected edge stands twice.
        y: (n,) int64 codes into `names`; -1 where the class is not given.
        names: names of the classes, by code.
        ids: (n,) int64 distinct ids of the nodes.
        titles: by id what the user's own files call the nodes, for messages; None where ids are all they have.
    """

    x: Features
    edge_index: np.ndarray
    y: np.ndarray
    names: tuple[Hashable, ...]
    ids: np.ndarray
    titles: Mapping[int, str] | None = None

    @classmethod
    def of(
        cls,
        x: object,
        edges: object,
        labels: Sequence[Hashable] | np.ndarray | None = None,
        *,
        ids: object = None,
        undirected: bool = True,
    ) -> Graph:
        """Make a graph of your own data.

        Args:
            x: (n, d) features: anything that numpy or scipy.sparse takes.
            edges: (2, E) or (E, 2) places of source and target, in [0, n).
            labels: n labels of any one kind (numbers, strings); None or -1 where unknown. Names are sorted.
            ids: n distinct whole numbers that name the nodes; 0..n-1 if left out.
            undirected: add each edge's other direction.
        Raises:
            InputError: names the row, edge or id that is wrong.
        """
        x, edges, labels, ids = map(array_of, (x, edges, labels, ids))
        features = _features(x)
        n = features.shape[0]
        pairs = np.asarray(edges)
        if pairs.size == 0:
            pairs = np.zeros((2, 0), np.int64)
        if pairs.ndim != 2 or 2 not in pairs.shape:
            raise InputError("edges", got=f"shape {pairs.shape}", expected="(2, E) or (E, 2)")
        pairs = pairs if pairs.shape[0] == 2 else pairs.T
        _whole("edges", pairs)
        pairs = pairs.astype(np.int64)
        _in_range(pairs, n)
        if undirected:
            pairs = np.concatenate([pairs, pairs[::-1]], axis=1)
        pairs = pairs[:, pairs[0] != pairs[1]]
        flat = np.unique(pairs[0] * n + pairs[1]) if n else np.zeros(0, np.int64)
        y, names = _codes(labels, n)
        ids = np.arange(n) if ids is None else np.asarray(ids)
        _whole("ids", ids)
        return cls(features, np.stack([flat // max(n, 1), flat % max(n, 1)]), y, names, ids.astype(np.int64))

    def __post_init__(self) -> None:
        n = self.x.shape[0]
        if self.y.shape != (n,) or self.ids.shape != (n,):
            raise InputError(
                "graph", got=f"{self.y.size} labels and {self.ids.size} ids", expected=f"{n} of each, as x has rows"
            )
        if self.y.size and (self.y.min() < UNKNOWN or self.y.max() >= len(self.names)):
            raise InputError("y", got=int(self.y.max()), expected=f"codes from -1 to {len(self.names) - 1}")
        if len(self._order) != n or (n and np.any(np.diff(self.ids[self._order]) == 0)):
            order = self.ids[self._order]
            raise InputError("ids", got=f"{order[1:][np.diff(order) == 0][0]} twice", expected="distinct ids")
        _in_range(self.edge_index, n)

    def __len__(self) -> int:
        return self.x.shape[0]

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
        _whole(what, wanted)
        if len(self) == 0:
            raise InputError(what, got=f"node {wanted[0]}", expected="ids of this graph, which has no nodes")
        place = np.searchsorted(self.ids, wanted, sorter=self._order).clip(max=len(self) - 1)
        found = self._order[place]
        absent = wanted[self.ids[found] != wanted]
        if absent.size:
            raise InputError(
                what,
                got=f"node {self.title(absent[0])}" + (f" and {absent.size - 1} more" if absent.size > 1 else ""),
                expected="ids of nodes in this graph",
                hint="ids name nodes across graphs; give `ids=` when you cut or renumber one",
            )
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
        return {name: code for code, name in enumerate(self.names)}

    @cached_property
    def normalized(self) -> Sparse:
        """(n, n) D^-1/2 (A + I) D^-1/2, float32: row i gathers from the sources of edges into i."""
        n = len(self)
        source, target = self.edge_index
        ones, loop = np.ones(source.size + n, np.float32), np.arange(n)
        places = np.concatenate([target, loop]), np.concatenate([source, loop])
        made = sp.csr_array((ones, places), shape=(n, n))
        root = np.asarray(made.sum(axis=1)).ravel() ** -0.5
        made.data = (made.data * np.repeat(root, np.diff(made.indptr)) * root[made.indices]).astype(np.float32)
        return made

    @cached_property
    def degree(self) -> np.ndarray:
        """(n,) number of edges into each node."""
        return np.bincount(self.edge_index[1], minlength=len(self))

    def induced(self, keep: np.ndarray) -> Graph:
        """The graph on some of the nodes, given by places, and the edges among them; ids stay."""
        inside = np.zeros(len(self), bool)
        inside[keep] = True
        keep = np.flatnonzero(inside)
        place = np.cumsum(inside) - 1
        both = inside[self.edge_index].all(axis=0)
        return Graph(
            self.x[keep], place[self.edge_index[:, both]], self.y[keep], self.names, self.ids[keep], self.titles
        )

    def with_labels(self, y: np.ndarray) -> Graph:
        """The same graph with other label codes."""
        changed = Graph(self.x, self.edge_index, np.asarray(y, np.int64), self.names, self.ids, self.titles)
        for key in ("normalized", "degree"):
            if key in self.__dict__:
                changed.__dict__[key] = self.__dict__[key]
        return changed

    @cached_property
    def digest(self) -> str:
        """Hex digest of features, edges and ids (not of the labels)."""
        key = hashlib.sha256(repr(self.x.shape).encode())
        parts = [self.x.data, self.x.indices, self.x.indptr] if sp.issparse(self.x) else [self.x]
        for part in (*parts, self.edge_index, self.ids):
            key.update(np.ascontiguousarray(part).tobytes())
        return key.hexdigest()


def _features(x: Any) -> Features:
    features: Any
    if sp.issparse(x):
        features = sp.csr_array(x, dtype=np.float32)
        features.sum_duplicates()
        values, rows = features.data, None
    else:
        try:
            features = np.ascontiguousarray(x, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError("x", got=str(error), expected="an (n, d) matrix of numbers") from None
        values, rows = features, features
    if features.ndim != 2 or features.shape[1] == 0:
        raise InputError("x", got=f"shape {features.shape}", expected="(n, d) features with d >= 1")
    if not np.isfinite(values).all():
        if rows is None:
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            row, column = int(np.searchsorted(features.indptr, place, side="right") - 1), features.indices[place]
        else:
            row, column = np.argwhere(~np.isfinite(rows))[0]
        where = f"row {row}, column {column}"
        raise InputError("x", got="NaN or infinity", expected="finite values", where=where)
    return features


def whole_number(name: str, value: Any, least: int) -> int:
    """`value` as an int; InputError unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(name, got=repr(value), expected=f"a whole number of at least {least}")
    return int(value)


def array_of(values: Any) -> Any:
    """A tensor, wherever it is and whatever hangs on it, as an array, a sparse one as CSR; anything else as it is."""
    if getattr(values, "is_sparse", False) or getattr(values, "is_sparse_csr", False):  # torch's two common layouts
        listed = values.detach().cpu().to_sparse_coo().coalesce()
        rows, columns = listed.indices().numpy()
        return sp.csr_array((listed.values().numpy(), (rows, columns)), shape=tuple(listed.shape))
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _whole(what: str, values: np.ndarray) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(what, got=f"dtype {values.dtype}", expected="whole numbers")


def _in_range(edges: np.ndarray, n: int) -> None:
    if edges.ndim != 2 or edges.shape[0] != 2:
        raise InputError("edge_index", got=f"shape {edges.shape}", expected="(2, E)")
    wrong = np.flatnonzero(((edges < 0) | (edges >= n)).any(axis=0))
    if wrong.size:
        edge = wrong[0]
        raise InputError(
            "edges", got=f"{edges[0, edge]} -> {edges[1, edge]}", expected=f"places in [0, {n})", where=f"edge {edge}"
        )


def _codes(labels: Sequence[Hashable] | np.ndarray | None, n: int) -> tuple[np.ndarray, tuple[Hashable, ...]]:
    """(codes, sorted names) of labels; None, NaN and -1 are unknown."""
    if labels is None:
        return np.full(n, UNKNOWN), ()
    listed: Any = getattr(labels, "tolist", None)  # of arrays and of tensors, whose own elements are all distinct keys
    given = list(labels) if listed is None else listed()
    if len(given) != n:
        raise InputError("labels", got=f"{len(given)}", expected=f"one for each of {n} nodes")
    known = [None if one is None or one != one or one == UNKNOWN else one for one in given]
    try:
        names = sorted({one for one in known if one is not None})  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise InputError("labels", got="numbers and texts mixed", expected="labels of one kind") from None
    code = {name: number for number, name in enumerate(names)}
    return np.array([UNKNOWN if one is None else code[one] for one in known], np.int64), tuple(names)
