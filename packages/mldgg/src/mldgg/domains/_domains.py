"""A collection of graphs that have one task, checked when it is made: same nodes twice, shared rows, permuted ids."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold_graphs import Graph
from scipy.optimize import linear_sum_assignment

from mldgg.datasets import load, open_graph

OVERLAP = 0.05  # share of a graph's rows that may stand in another one before it is said
GAIN = 0.15  # accuracy that another assignment of class ids must bring before it is said


class LeakWarning(UserWarning):
    """Graphs that are less independent, or less alike, than a comparison assumes.

    Examples:
        >>> import warnings
        >>> from mldgg import MLDGG, LeakWarning, Simulated
        >>> with warnings.catch_warnings(record=True, action="always") as found:
        ...     _ = MLDGG(gate=False).fit([Simulated(graphs=1, nodes=60).draw(seed=0)["north"]])
        >>> str(found[0].message)
        'one source only: no variation between domains to learn from'
    """


def same_nodes(one: Graph, other: Graph) -> bool:
    """Whether two graphs have identical features and labels, whatever their edges."""
    if one.x.shape != other.x.shape or not np.array_equal(one.y, other.y):
        return False
    if isinstance(one.x, np.ndarray) and isinstance(other.x, np.ndarray):
        return bool(np.array_equal(one.x, other.x))
    return abs(sp.csr_matrix(one.x) - sp.csr_matrix(other.x)).nnz == 0


def row_overlap(one: Graph, other: Graph) -> tuple[int, float]:
    """Rows of features that stand exactly once in each graph: how many, and their share of the smaller graph."""
    shared = np.intersect1d(row_keys(one), row_keys(other), assume_unique=True).size
    return shared, shared / min(len(one), len(other))


def row_keys(graph: Graph) -> np.ndarray:
    """Sorted 64-bit digests of the rows of features that stand exactly once in a graph.

    A row that several nodes of one graph have (no features at all, a one-hot degree) says nothing about who they are.
    """
    once = [row for row, count in Counter(_row_digests(graph)).items() if count == 1]
    return np.sort(np.frombuffer(b"".join(once), np.int64))


def _row_digests(graph: Graph) -> list[bytes]:
    if isinstance(graph.x, np.ndarray):
        rows = [row.tobytes() if row.any() else b"" for row in graph.x]
    else:
        x = graph.x.copy()
        x.eliminate_zeros()
        x.sort_indices()
        ends = x.indptr
        rows = [x.indices[a:b].tobytes() + x.data[a:b].tobytes() for a, b in pairwise(ends)]
    width = graph.width.to_bytes(8, "little")  # rows of other widths are other rows
    return [hashlib.blake2b(row, digest_size=8, salt=width).digest() for row in rows]


def label_assignment(one: Graph, other: Graph) -> tuple[np.ndarray, float, float]:
    """How class ids of `other` best fit those of `one`, by nearest class mean of the features.

    Returns: (C,) id in `one` of each class of `other`; accuracy of the ids as they are; accuracy of that assignment.
    Both accuracies are means over the classes of `other`.
    """
    count = max(len(one.classes), len(other.classes))
    means, known = _class_means(one, count)
    nodes = np.flatnonzero(other.y >= 0)
    centre = np.asarray(other.x[nodes].mean(axis=0)).ravel()
    scores = np.asarray(other.x[nodes] @ means.T) - means @ centre
    scores[:, ~known] = -np.inf
    table = np.zeros((count, count))
    np.add.at(table, (other.y[nodes], scores.argmax(axis=1)), 1)
    present = table.sum(axis=1) > 0
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    assigned = linear_sum_assignment(-shares)[1]
    as_they_are = float(np.diag(shares)[present].mean())
    return assigned, as_they_are, float(shares[np.arange(count), assigned][present].mean())


def _class_means(graph: Graph, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(C, D) unit-length class means around their common mean, and which classes have nodes."""
    known = np.array([(graph.y == label).any() for label in range(count)])
    means = np.zeros((count, graph.width), np.float32)
    for label in np.flatnonzero(known):
        means[label] = np.asarray(graph.x[np.flatnonzero(graph.y == label)].mean(axis=0)).ravel()
    means[known] -= means[known].mean(axis=0)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12), known


def looks_permuted(one: Graph, other: Graph) -> np.ndarray | None:
    """The assignment, if the class ids of `other` look permuted against those of `one`, else None."""
    labelled = all((graph.y >= 0).sum() >= 20 for graph in (one, other))
    if one.width != other.width or one.classes != other.classes or not labelled:
        return None
    assigned, as_they_are, best = label_assignment(one, other)
    return assigned if as_they_are < 0.5 and best > as_they_are + GAIN else None


class GraphDomains(dict[str, Graph]):
    """Named graphs: `domains["acm"]`, `len(domains)`, iteration over names.

    Attributes:
        shared: whether all graphs have the same features and the same classes, so that one model fits all of them.
        findings: (kind, graph, other graph, what was found) of each check that had something to say.

    Examples:
        >>> from mldgg import GraphDomains, Simulated
        >>> domains = GraphDomains(Simulated(graphs=2, nodes=60).draw(seed=0))
        >>> list(domains), domains.shared, domains.findings
        (['north', 'east'], True, [])
    """

    def __init__(
        self, graphs: Mapping[str, Any], *, symmetrise: bool = False, allow_duplicates: bool = False,
        align_labels: bool = False,
    ) -> None:  # fmt: skip
        """Check and keep graphs.

        Args:
            graphs: PyG `Data` (or `Graph`) by name; see `open_graph`. Features and classes may differ between graphs.
            symmetrise: add missing reverse edges instead of refusing a directed graph.
            allow_duplicates: accept two graphs with the same nodes.
            align_labels: give each graph's classes the ids that fit the first graph's best. It looks at all labels, the
                target's too: good for a smoke test, not for a comparison.
        Raises: InputError if there is no graph, a graph is no good, or two graphs are the same nodes.
        """
        if not graphs:
            raise InputError("graphs", got="none", expected="at least one PyG Data by name")
        super().__init__({name: open_graph(data, name, symmetrise=symmetrise) for name, data in graphs.items()})
        self.findings: list[tuple[str, str, str, str]] = []
        if align_labels:
            self._align()
        self._check(allow_duplicates)
        self.shared = len({(graph.width, graph.classes) for graph in self.values()}) == 1

    @classmethod
    def named(cls, name: str, *, root: str | Path | None = None, seed: int = 0, **options: Any) -> GraphDomains:
        """The graphs of a collection (`citation`, `twitch`, ... `simulated`, or a folder); options as in the class."""
        return cls(load(name, root=root, seed=seed), **options)

    def __missing__(self, name: str) -> Graph:
        raise InputError("graph", got=repr(name), expected=f"one of {', '.join(self)}")

    def without(self, *names: str) -> list[Graph]:
        """All graphs but those named, in order: the sources when those are targets."""
        for name in names:
            self[name]  # an unknown name is an error
        return [graph for name, graph in self.items() if name not in names]

    def _align(self) -> None:
        first, *others = self.values()
        for graph in others:
            assigned = looks_permuted(first, graph)
            if assigned is not None:
                y = np.where(graph.y >= 0, assigned[graph.y], -1)
                self[graph.name] = graph.with_labels(y)
                self.findings.append(("aligned", first.name, graph.name, _arrows(assigned)))

    def _check(self, allow_duplicates: bool) -> None:
        for one, other in combinations(self.values(), 2):
            if same_nodes(one, other):
                self.findings.append(("duplicate", one.name, other.name, "identical features and labels"))
                if not allow_duplicates:
                    got = f"{one.name} and {other.name} are the same nodes (identical features and labels)"
                    hint = "allow_duplicates=True goes on, and measures a leak"
                    raise InputError("graphs", got=got, expected="different graphs", hint=hint)
                continue
            shared, share = row_overlap(one, other)
            if share > OVERLAP:
                found = f"{shared} rows of features are the same ({100 * share:.0f} % of the smaller graph)"
                self._warn("overlap", one, other, found)
            assigned = looks_permuted(one, other)
            if assigned is not None:
                found = f"class ids look permuted: {other.name} {_arrows(assigned)} {one.name}"
                self._warn("permuted", one, other, found)

    def _warn(self, kind: str, one: Graph, other: Graph, found: str) -> None:
        self.findings.append((kind, one.name, other.name, found))
        warnings.warn(f"{one.name} and {other.name}: {found}", LeakWarning, stacklevel=4)


def _arrows(assigned: np.ndarray) -> str:
    ids = ",".join(map(str, range(assigned.size)))
    return f"{ids} -> {','.join(map(str, assigned))}"
