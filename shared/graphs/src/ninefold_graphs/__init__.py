"""Graphs with node features and class labels: what mecoin and mldgg share below their methods.

Names are resolved on first use, so importing is light.

Examples:
    Numbers and types that stand for something:

    >>> from ninefold_graphs import DEMO, KNOTS, UNKNOWN, Features, Graph, Sparse, __version__
    >>> __version__.count(".")
    2
    >>> DEMO.classes, KNOTS, UNKNOWN
    (20, (1.0, 5.0, 20.0), -1)
    >>> def degrees(step: Sparse, x: Features) -> tuple[int, int]:
    ...     return step.shape[0], x.shape[0]
    >>> graph = Graph.of([[1.0], [0.0]], [[0], [1]])
    >>> degrees(graph.normalized, graph.x)
    (2, 2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from ninefold_graphs._csv import read_edge_list as read_edge_list
    from ninefold_graphs._csv import read_folder as read_folder
    from ninefold_graphs._csv import read_pairs as read_pairs
    from ninefold_graphs._csv import read_support as read_support
    from ninefold_graphs._doors import UNKNOWN as UNKNOWN
    from ninefold_graphs._doors import Features as Features
    from ninefold_graphs._doors import array_of as array_of
    from ninefold_graphs._doors import sorted_edges as sorted_edges
    from ninefold_graphs._doors import whole_number as whole_number
    from ninefold_graphs._graph import Graph as Graph
    from ninefold_graphs._heads import KNOTS as KNOTS
    from ninefold_graphs._heads import Ridge as Ridge
    from ninefold_graphs._heads import centred_update as centred_update
    from ninefold_graphs._heads import estimated_mix as estimated_mix
    from ninefold_graphs._heads import left_out as left_out
    from ninefold_graphs._heads import one_hot as one_hot
    from ninefold_graphs._heads import ridge_weights as ridge_weights
    from ninefold_graphs._heads import softmax as softmax
    from ninefold_graphs._heads import whitening as whitening
    from ninefold_graphs._heads import with_constant as with_constant
    from ninefold_graphs._kept import Kept as Kept
    from ninefold_graphs._mat import load_mat as load_mat
    from ninefold_graphs._propagation import Sparse as Sparse
    from ninefold_graphs._propagation import hop_features as hop_features
    from ninefold_graphs._propagation import normalised as normalised
    from ninefold_graphs._propagation import reweighted as reweighted
    from ninefold_graphs._propagation import shared_columns as shared_columns
    from ninefold_graphs._propagation import walked as walked
    from ninefold_graphs._pyg import from_pyg as from_pyg
    from ninefold_graphs._pyg import to_pyg as to_pyg
    from ninefold_graphs._readers import read_mat as read_mat
    from ninefold_graphs._readers import read_npz as read_npz
    from ninefold_graphs._readers import read_ogb as read_ogb
    from ninefold_graphs._readers import read_reddit as read_reddit
    from ninefold_graphs._rows import HopRows as HopRows
    from ninefold_graphs._simulator import DEMO as DEMO
    from ninefold_graphs._simulator import Simulated as Simulated
    from ninefold_graphs._words import InputEncoder as InputEncoder
    from ninefold_graphs._words import directions as directions
    from ninefold_graphs._words import unit_words as unit_words

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DEMO": "_simulator",
        "Features": "_doors",
        "Graph": "_graph",
        "HopRows": "_rows",
        "InputEncoder": "_words",
        "KNOTS": "_heads",
        "Kept": "_kept",
        "Ridge": "_heads",
        "Simulated": "_simulator",
        "Sparse": "_propagation",
        "UNKNOWN": "_doors",
        "array_of": "_doors",
        "centred_update": "_heads",
        "directions": "_words",
        "estimated_mix": "_heads",
        "from_pyg": "_pyg",
        "hop_features": "_propagation",
        "left_out": "_heads",
        "load_mat": "_mat",
        "normalised": "_propagation",
        "one_hot": "_heads",
        "read_edge_list": "_csv",
        "read_folder": "_csv",
        "read_mat": "_readers",
        "read_npz": "_readers",
        "read_ogb": "_readers",
        "read_pairs": "_csv",
        "read_reddit": "_readers",
        "read_support": "_csv",
        "reweighted": "_propagation",
        "ridge_weights": "_heads",
        "shared_columns": "_propagation",
        "softmax": "_heads",
        "sorted_edges": "_doors",
        "to_pyg": "_pyg",
        "unit_words": "_words",
        "walked": "_propagation",
        "whitening": "_heads",
        "whole_number": "_doors",
        "with_constant": "_heads",
    },
)
