"""The labelled simulator that ships: several graphs with one task, each with a shift of its own; and injected edges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold_graphs import Graph, sorted_edges

from mldgg.datasets._doors import graph_of


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Graphs whose nodes draw words from their class and from their graph, and link mostly within their class.

    Attributes:
        graphs: how many.
        nodes: nodes of a graph.
        classes: classes, of unequal size, other in each graph.
        words: vocabulary, shared by all graphs.
        length: words drawn for a node, in the mean.
        signal: share of a node's words that its class draws; a third of the rest is drawn by its graph.
        homophily: share of a node's links within its class.
        degree: mean degree; degrees vary by a heavy-tailed factor.

    Examples:
        >>> from mldgg import Simulated
        >>> graphs = Simulated(graphs=2, nodes=50).draw(seed=0)
        >>> {name: len(graph) for name, graph in graphs.items()}
        {'north': 50, 'east': 50}
    """

    graphs: int = 4
    nodes: int = 800
    classes: int = 4
    words: int = 600
    length: int = 14
    signal: float = 0.22
    homophily: float = 0.8
    degree: float = 5.0

    def draw(self, seed: int = 0) -> dict[str, Graph]:
        """Draw all graphs; names `north`, `east`, ... then numbers. All of it is simulated."""
        draws = np.random.default_rng(seed)
        of_class = draws.dirichlet(np.full(self.words, 0.05), self.classes)
        common = draws.dirichlet(np.full(self.words, 0.5))
        names = ["north", "east", "south", "west", *(f"graph{number}" for number in range(4, self.graphs))]
        return {name: self._graph(name, of_class, common, draws) for name in names[: self.graphs]}

    def _graph(self, name: str, of_class: np.ndarray, common: np.ndarray, draws: np.random.Generator) -> Graph:
        y = draws.choice(self.classes, self.nodes, p=draws.dirichlet(np.full(self.classes, 8.0)))
        y[: self.classes] = np.arange(self.classes)  # no class is missing
        own = draws.dirichlet(np.full(self.words, 0.1))
        rest = (1 - self.signal) * (2 * common + own) / 3
        chances = self.signal * of_class[y] + rest
        x = draws.poisson(chances * draws.poisson(self.length, (self.nodes, 1))).astype(np.float32)
        pull = draws.pareto(2.5, self.nodes) + 0.3
        wanted = int(self.nodes * self.degree / 2)
        first = draws.choice(self.nodes, wanted, p=pull / pull.sum())
        within = draws.random(wanted) < self.homophily
        second = draws.choice(self.nodes, wanted, p=pull / pull.sum())
        for label in range(self.classes):
            inside = np.flatnonzero(y == label)
            some = np.flatnonzero(within & (y[first] == label))
            second[some] = draws.choice(inside, some.size, p=pull[inside] / pull[inside].sum())
        classes = tuple(f"class {label}" for label in range(self.classes))
        return graph_of(name, sp.csr_matrix(x), np.stack([first, second]), y, classes)


def inject_edges(graph: Graph, share: float = 1.0, seed: int = 0, *, matched: bool = True) -> tuple[Graph, np.ndarray]:
    """Add `share` x E edges between labelled nodes of different classes.

    Args:
        graph: all its labels are used; a benchmark's noise, not something that a method may call.
        share: injected edges per real edge.
        seed: random seed.
        matched: ends are drawn in proportion to the degree, so that degrees do not give them away; else uniformly.
    Returns: the noisy graph, and an (E',) bool array over its edge_index: which edges are injected.
    """
    if graph.weight is not None:
        raise InputError("graph", got="weighted edges", expected="edges without weights", where=f"graph {graph.name!r}")
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
