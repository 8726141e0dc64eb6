"""Small simulated graphs and quick settings that the tests share."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from mldgg import Graph, GraphDomains, Simulated

TINY = Simulated(graphs=3, nodes=150, classes=3, words=120, signal=0.35)
SMALLER = replace(TINY, nodes=100, words=60)  # where no answer need be good
QUICK = {"epochs": 2, "num_pivots": 20, "hidden_channels": 16}


@cache
def domains() -> GraphDomains:
    """Three graphs of 150 nodes and three classes."""
    return GraphDomains(TINY.draw(0))


def shown(graph: Graph, shots: int, seed: int = 0) -> Graph:
    """The graph with the labels of a support alone."""
    from mldgg import split_support

    return graph.hidden(split_support(graph.y, shots=shots, seed=seed).support)


def write_folder(folder: Path, hidden: str = "") -> dict[str, np.ndarray]:
    """The three graphs as CSV files below `folder`; `hidden` shows four labels a class. Returns all labels."""
    truth = {}
    for name, graph in TINY.draw(0).items():
        home, seen = folder / name, np.zeros(3, int)
        home.mkdir(parents=True)
        once = graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]]
        (home / "edges.csv").write_text("".join(f"n{a},n{b}\n" for a, b in once.T))
        rows = (f"n{i}," + ",".join(f"{value:g}" for value in row) for i, row in enumerate(graph.x.toarray()))
        (home / "features.csv").write_text("\n".join(rows) + "\n")
        with (home / "labels.csv").open("w") as file:
            for node, label in enumerate(graph.y):
                seen[label] += 1
                if name != hidden or seen[label] <= 4:
                    file.write(f"n{node},topic{label}\n")
        truth[name] = graph.y
    return truth


class Plain:
    """An object with the three attributes of a PyG `Data`."""

    def __init__(self, x: object = None, edge_index: object = None, y: object = None) -> None:
        self.x, self.edge_index, self.y = x, edge_index, y


def ring(nodes: int = 6) -> Plain:
    """A ring with two features and two classes, both directions of each edge."""
    one = np.arange(nodes)
    edges = np.stack([np.r_[one, (one + 1) % nodes], np.r_[(one + 1) % nodes, one]])
    return Plain(np.random.default_rng(0).normal(size=(nodes, 2)).astype(np.float32), edges, one % 2)
