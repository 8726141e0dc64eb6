"""A hit list in an interaction network."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from proteus.knowledge._network import Connectivity, Network, connectivity, random_walk


@dataclass(frozen=True)
class NetworkResult:
    """A hit list in a network: its connectivity, and the nodes nearest to it by random walk."""

    connectivity: Connectivity
    nearest: pd.Series


def network(
    hits: Collection[str], edges: Network, measured: Collection[str], *, rewirings: int = 200, seed: int = 0
) -> NetworkResult:
    """Connectivity of hits among measured proteins against degree-preserving rewiring, and a walk from the hits.

    Examples:
        >>> import proteus
        >>> links = proteus.Network.from_pairs([*"AABC"], [*"BCCD"])
        >>> proteus.tl.network(["A", "B"], links, [*"ABCD"], rewirings=20).connectivity.edges
        1
    """
    part = edges.restrict(measured)
    found = connectivity(part, hits, rewirings=rewirings, seed=seed)
    return NetworkResult(found, random_walk(part, [gene for gene in hits if gene in set(part.nodes)]))
