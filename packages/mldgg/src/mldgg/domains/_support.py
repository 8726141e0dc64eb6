"""Which nodes of a graph a method may learn from (support) and which it is judged on (query)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph


@dataclass(frozen=True)
class Split:
    """Two disjoint (N,) bool masks over labelled nodes."""

    support: np.ndarray
    query: np.ndarray


def split_support(y: Any, *, shots: int | None = None, ratio: float | None = None, seed: int = 0) -> Split:
    """Draw support nodes class by class; all other labelled nodes are query nodes.

    Args:
        y: (N,) class ids, -1 where unknown.
        shots: support nodes of each class (0: none); a class with too few keeps one of two or more for the query.
        ratio: instead of `shots`, the share of each class, rounded up.
        seed: random seed.
    Raises: InputError if neither or both are given, or there is no labelled node.

    Examples:
        >>> from mldgg import split_support
        >>> split = split_support([0, 0, 1, 1, -1], shots=1, seed=0)
        >>> int(split.support.sum()), int(split.query.sum())
        (2, 2)
    """
    y = np.asarray(y)
    if (shots is None) == (ratio is None):
        raise InputError("shots and ratio", got="neither or both", expected="one of the two")
    if shots is not None and shots < 0:
        raise InputError("shots", got=shots, expected="0 or more")
    if ratio is not None and not 0 < ratio < 1:
        raise InputError("ratio", got=ratio, expected="a share in (0, 1)")
    if not (y >= 0).any():
        raise InputError("y", got="no labelled node", expected="class ids from 0")
    draws, support = np.random.default_rng(seed), np.zeros(y.size, bool)
    for label in range(int(y.max()) + 1):
        nodes = draws.permutation(np.flatnonzero(y == label))
        wanted = shots if shots is not None else int(np.ceil((ratio or 0) * nodes.size))
        support[nodes[: min(wanted, max(nodes.size - 1, 1))]] = True
    return Split(support, (y >= 0) & ~support)


def check_support(graph: Graph, support: Any, *, every_class: bool) -> np.ndarray:
    """The (N,) bool mask of support nodes, once it is certain that no other label is there to be seen.

    Args:
        graph: the target; labels outside the support are refused.
        support: (N,) bool mask, or None for the nodes that have a label.
        every_class: refuse a class that has no support node.
    Raises: InputError that names the node or the class.
    """
    where = f"graph {graph.name!r}"
    if support is None:
        support = graph.y >= 0
    support = np.asarray(support.detach().cpu() if hasattr(support, "detach") else support)
    if support.dtype != bool or support.shape != (len(graph),):
        got = f"dtype {support.dtype}, shape {support.shape}"
        raise InputError("support_mask", got=got, expected=f"({len(graph)},) bool", where=where)
    unknown = np.flatnonzero(support & (graph.y < 0))
    if unknown.size:
        raise InputError(f"support node {unknown[0]}", got="no label", expected="a class id in y", where=where)
    shown = np.flatnonzero(~support & (graph.y >= 0))
    if shown.size:
        raise InputError(
            "y", got=f"labels of {shown.size} query nodes (the first is node {shown[0]})",
            expected="-1 outside the support", where=where, hint="graph.hidden(support) hides them",
        )  # fmt: skip
    if every_class:
        for label, name in enumerate(graph.classes):
            if not (graph.y == label).any():
                raise InputError(
                    "support", got=f"no node of class {name!r}", expected="at least one of each class", where=where
                )
    return support
