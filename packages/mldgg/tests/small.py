"""Small simulated graphs and quick settings that the tests share."""

from __future__ import annotations

from functools import cache

import numpy as np
from mldgg import Graph, GraphDomains, Simulated

TINY = Simulated(graphs=3, nodes=150, classes=3, words=120, signal=0.35)
QUICK = {"warm_epochs": 4, "epochs": 2, "num_pivots": 20, "hidden_channels": 16}


@cache
def domains() -> GraphDomains:
    """Three graphs of 150 nodes and three classes."""
    return GraphDomains(TINY.draw(0))


def shown(graph: Graph, shots: int, seed: int = 0) -> Graph:
    """The graph with the labels of a support alone."""
    from mldgg import split_support

    return graph.hidden(split_support(graph.y, shots=shots, seed=seed).support)


class Plain:
    """An object with the three attributes of a PyG `Data`."""

    def __init__(self, x: object = None, edge_index: object = None, y: object = None) -> None:
        self.x, self.edge_index, self.y = x, edge_index, y


def ring(nodes: int = 6) -> Plain:
    """A ring with two features and two classes, both directions of each edge."""
    one = np.arange(nodes)
    edges = np.stack([np.r_[one, (one + 1) % nodes], np.r_[(one + 1) % nodes, one]])
    return Plain(np.random.default_rng(0).normal(size=(nodes, 2)).astype(np.float32), edges, one % 2)
