"""Graphs with node features and class labels: what mecoin and mldgg share below their methods.

Examples:
    Numbers and types that stand for something:

    >>> from ninefold_graphs import DEMO, UNKNOWN, Features, Graph, Sparse, __version__
    >>> __version__.count(".")
    2
    >>> DEMO.classes, UNKNOWN
    (20, -1)
    >>> def degrees(step: Sparse, x: Features) -> tuple[int, int]:
    ...     return step.shape[0], x.shape[0]
    >>> graph = Graph.of([[1.0], [0.0]], [[0], [1]])
    >>> degrees(graph.normalized, graph.x)
    (2, 2)
"""

from ninefold.errors import version_of

from ninefold_graphs._csv import read_edge_list, read_folder, read_support
from ninefold_graphs._doors import (
    UNKNOWN,
    Features,
    array_of,
    check_finite,
    check_shapes,
    sorted_edges,
    under,
    whole_number,
)  # fmt: skip
from ninefold_graphs._foreign import read_foreign
from ninefold_graphs._graph import Graph
from ninefold_graphs._heads import (
    Assortativity,
    Ridge,
    assortativity,
    centred_update,
    left_out,
    one_hot,
    ridge_weights,
    softmax,
    whitening,
    with_constant,
)  # fmt: skip
from ninefold_graphs._pyg import from_pyg, to_pyg
from ninefold_graphs._readers import load_mat, read_npz
from ninefold_graphs._rows import (
    HopRows,
    Kept,
    Sparse,
    hop_features,
    normalised,
    reweighted,
    shared_columns,
    walked,
)  # fmt: skip
from ninefold_graphs._simulator import DEMO, Simulated
from ninefold_graphs._words import InputEncoder

__version__ = version_of(__name__)
__all__ = [
    "DEMO", "UNKNOWN", "Assortativity", "Features", "Graph", "HopRows", "InputEncoder", "Kept", "Ridge", "Simulated",
    "Sparse",
    "__version__", "array_of", "assortativity", "centred_update", "check_finite", "check_shapes", "from_pyg",
    "hop_features", "left_out", "load_mat", "normalised", "one_hot", "read_edge_list", "read_folder", "read_foreign",
    "read_npz", "read_support", "reweighted", "ridge_weights", "shared_columns", "softmax", "sorted_edges", "to_pyg",
    "under", "walked", "whitening", "whole_number", "with_constant",
]  # fmt: skip
