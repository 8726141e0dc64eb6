"""A hit list in an interaction network."""

from collections.abc import Collection

from proteus.knowledge._network import Connectivity, Network, connectivity


def network(
    hits: Collection[str], edges: Network, measured: Collection[str], *, rewirings: int = 200, seed: int = 0
) -> Connectivity:
    """Connectivity of hits among measured proteins against degree-preserving rewiring.

    Examples:
        >>> import proteus
        >>> links = proteus.Network.from_pairs([*"AABC"], [*"BCCD"])
        >>> proteus.tl.network(["A", "B"], links, [*"ABCD"], rewirings=20).edges
        1
    """
    return connectivity(edges.restrict(measured), hits, rewirings=rewirings, seed=seed)
