"""Graphs with node features and class labels: what mecoin and mldgg share below their methods.

Names are resolved on first use, so importing is light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from ninefold_graphs._graph import UNKNOWN as UNKNOWN
    from ninefold_graphs._graph import Features as Features
    from ninefold_graphs._graph import Graph as Graph
    from ninefold_graphs._graph import Sparse as Sparse
    from ninefold_graphs._graph import array_of as array_of
    from ninefold_graphs._graph import whole_number as whole_number
    from ninefold_graphs._mat import load_mat as load_mat
    from ninefold_graphs._pyg import from_pyg as from_pyg
    from ninefold_graphs._pyg import to_pyg as to_pyg
    from ninefold_graphs._readers import read_edge_list as read_edge_list
    from ninefold_graphs._readers import read_mat as read_mat
    from ninefold_graphs._readers import read_npz as read_npz
    from ninefold_graphs._readers import read_ogb as read_ogb
    from ninefold_graphs._readers import read_pairs as read_pairs
    from ninefold_graphs._readers import read_reddit as read_reddit
    from ninefold_graphs._simulator import DEMO as DEMO
    from ninefold_graphs._simulator import Simulated as Simulated

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DEMO": "_simulator",
        "Features": "_graph",
        "Graph": "_graph",
        "Simulated": "_simulator",
        "Sparse": "_graph",
        "UNKNOWN": "_graph",
        "array_of": "_graph",
        "from_pyg": "_pyg",
        "load_mat": "_mat",
        "read_edge_list": "_readers",
        "read_mat": "_readers",
        "read_npz": "_readers",
        "read_ogb": "_readers",
        "read_pairs": "_readers",
        "read_reddit": "_readers",
        "to_pyg": "_pyg",
        "whole_number": "_graph",
    },
)
