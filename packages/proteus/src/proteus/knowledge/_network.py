"""Protein networks: connectivity of a hit list against degree-preserving rewiring, diffusion, communities."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError


@dataclass(frozen=True)
class Network:
    """An undirected graph without loops or double edges.

    Attributes:
        nodes: gene symbols.
        edges: (E, 2) positions in `nodes`, smaller first.

    Examples:
        >>> from proteus import Network
        >>> links = Network.from_pairs(["A", "B", "B"], ["B", "C", "A"])
        >>> links.nodes, len(links.edges)
        (['A', 'B', 'C'], 2)
    """

    nodes: list[str]
    edges: np.ndarray

    @classmethod
    def from_pairs(cls, first: Collection[str], second: Collection[str]) -> Network:
        """From two equally long columns of symbols; loops and repeats are dropped."""
        codes, names = pd.factorize(np.concatenate([np.asarray(list(first), object), np.asarray(list(second), object)]))
        pairs = np.sort(codes.reshape(2, -1).T, axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
        return cls([str(name) for name in names], pairs)

    def restrict(self, genes: Collection[str]) -> Network:
        """The part whose nodes are all in `genes` (the measured ones)."""
        wanted = set(genes)
        kept = np.array([name in wanted for name in self.nodes], bool)
        new = np.cumsum(kept) - 1
        inside = kept[self.edges].all(axis=1)
        return Network([name for name, keep in zip(self.nodes, kept, strict=True) if keep], new[self.edges[inside]])

    def positions(self, genes: Collection[str]) -> np.ndarray:
        """(nodes,) bool, whether a node is in `genes`."""
        wanted = set(genes)
        return np.array([name in wanted for name in self.nodes], bool)


def rewire(network: Network, generator: np.random.Generator, *, sweeps: int = 10) -> Network:
    """A random graph with the same degrees, by edge swaps (Maslov & Sneppen 2002).

    In each sweep all edges are paired at random and (a-b, c-d) becomes (a-d, c-b), unless that makes a loop or an edge
    that exists or is made twice in the sweep.
    """
    n = len(network.nodes)
    edges = network.edges.copy()
    for _ in range(sweeps):
        order = generator.permutation(len(edges))
        half = len(edges) // 2
        first, second = order[:half], order[half : 2 * half]
        flip = generator.random(half) < 0.5
        a, b = edges[first].T
        c, d = np.where(flip[:, None], edges[second][:, ::-1], edges[second]).T
        new = np.concatenate([np.stack([a, d], 1), np.stack([c, b], 1)])
        new.sort(axis=1)
        code = new[:, 0].astype(np.int64) * n + new[:, 1]
        old = edges[:, 0].astype(np.int64) * n + edges[:, 1]
        _, inverse, count = np.unique(code, return_inverse=True, return_counts=True)
        bad = (new[:, 0] == new[:, 1]) | np.isin(code, old) | (count[inverse] > 1)
        fine = ~(bad[:half] | bad[half:])
        edges[first[fine]], edges[second[fine]] = new[:half][fine], new[half:][fine]
    return Network(network.nodes, edges)


@dataclass(frozen=True)
class Connectivity:
    """Edges among a hit list: observed, expected under rewiring, z and one-sided p."""

    hits: int
    edges: int
    expected: float
    z: float
    p: float


def connectivity(network: Network, genes: Collection[str], *, rewirings: int = 200, seed: int = 0) -> Connectivity:
    """Are the genes more connected with each other than their degrees explain?

    Args:
        network: restricted to measured genes by the caller.
        genes: the hit list.
        rewirings: random graphs.
        seed: of the rewiring.
    Raises:
        InputError: if fewer than two genes are in the network.
    """
    inside = network.positions(genes)
    if inside.sum() < 2:
        raise InputError("network", got=f"{int(inside.sum())} of the genes in it", expected="at least two")
    generator = np.random.default_rng(seed)
    count = int(inside[network.edges].all(axis=1).sum())
    drawn = np.empty(rewirings)
    current = rewire(network, generator, sweeps=20)
    for turn in range(rewirings):
        current = rewire(current, generator, sweeps=2)
        drawn[turn] = inside[current.edges].all(axis=1).sum()
    p = (1 + (drawn >= count).sum()) / (rewirings + 1)
    spread = float(drawn.std(ddof=1))
    z = (count - float(drawn.mean())) / spread if spread > 0 else 0.0
    return Connectivity(int(inside.sum()), count, float(drawn.mean()), z, float(p))


def communities(network: Network, *, resolution: float = 1.0, seed: int = 0) -> pd.Series:
    """Louvain communities (Blondel 2008): a number by node, 0 the largest."""
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(range(len(network.nodes)))
    graph.add_edges_from(network.edges.tolist())
    found = networkx.community.louvain_communities(graph, resolution=resolution, seed=seed)
    label = np.empty(len(network.nodes), int)
    for number, members in enumerate(sorted(found, key=lambda group: (-len(group), min(group)))):
        label[list(members)] = number
    return pd.Series(label, index=network.nodes)
