"""Graphs that can be loaded by name, own graphs from CSV files or PyG `Data`, and the simulator that ships.

Graphs of users -> `_doors` (a graph, and folders of CSV files: `ninefold_graphs`); collections by name, citation,
Twitch, airports and Facebook-100 in their raw layouts -> `_collections`; others by PyG's own loaders; functions of
installed packages -> `_functions`; simulated collections and injected edges -> `_simulator`.

Examples:
    >>> from mldgg import datasets

    >>> graphs = datasets.Simulated(graphs=2, nodes=60).draw(seed=0)
    >>> sorted(graphs), "twitch" in datasets.COLLECTIONS
    (['east', 'north'], True)
"""

from ninefold_graphs import Graph, read_folder, read_support, to_pyg

from mldgg.datasets._collections import COLLECTIONS, load, load_facebook
from mldgg.datasets._doors import open_graph
from mldgg.datasets._functions import load_functions
from mldgg.datasets._simulator import Simulated, inject_edges

__all__ = [
    "COLLECTIONS", "Graph", "Simulated", "inject_edges", "load", "load_facebook", "load_functions", "open_graph",
    "read_folder", "read_support", "to_pyg",
]  # fmt: skip
