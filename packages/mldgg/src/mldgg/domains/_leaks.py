"""Leaks between graphs: the same nodes twice, rows that a source and a target share, class ids that are permuted."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from ninefold_graphs import Graph
from scipy.optimize import linear_sum_assignment

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
