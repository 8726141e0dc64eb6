"""Injected cross-class edges whose degrees follow the graph's own, so that the degree does not give them away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph, sorted_edges


def inject_edges(graph: Graph, share: float = 1.0, seed: int = 0, *, matched: bool = True) -> tuple[Graph, np.ndarray]:
    """Add `share` x E edges between labelled nodes of different classes.

    Args:
        graph: all its labels are used; a benchmark's noise, not something that a method may call.
        share: injected edges per real edge.
        seed: random seed.
        matched: ends are drawn in proportion to the degree, so that edges cannot be told by it; else uniformly.
    Returns: the noisy graph, and an (E',) bool array over its edge_index: which edges are injected.
    """
    known = np.flatnonzero(graph.y >= 0)
    if np.unique(graph.y[known]).size < 2:
        raise InputError("y", got="fewer than two classes", expected="classes to cross", where=f"graph {graph.name!r}")
    draws, nodes = np.random.default_rng(seed), len(graph)
    degree = np.bincount(graph.edge_index[0], minlength=nodes)[known]
    weight = degree / degree.sum() if matched and degree.sum() else None
    real = graph.edge_index[0] * nodes + graph.edge_index[1]
    wanted, keys = int(share * real.size / 2), np.zeros(0, np.int64)
    for _ in range(100):
        ends = draws.choice(known, (2, 2 * (wanted - keys.size) + 8), p=weight)
        ends = np.sort(ends[:, graph.y[ends[0]] != graph.y[ends[1]]], axis=0)
        fresh = ends[0] * nodes + ends[1]
        fresh = fresh[~np.isin(fresh, real)]
        together = np.concatenate([keys, fresh])
        keys = together[np.sort(np.unique(together, return_index=True)[1])][:wanted]
        if keys.size >= wanted:
            break
    else:
        raise InputError("share", got=share, expected="fewer edges: the graph has no room for so many")
    added = sorted_edges(np.stack([keys // nodes, keys % nodes]), nodes, both=True)
    edges = sorted_edges(np.concatenate([graph.edge_index, added], axis=1), nodes, both=False)
    injected = np.isin(edges[0] * nodes + edges[1], added[0] * nodes + added[1])
    return replace(graph, edge_index=edges), injected
