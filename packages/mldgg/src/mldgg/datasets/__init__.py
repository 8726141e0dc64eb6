"""Graphs that can be loaded by name, own graphs from CSV files or PyG `Data`, and the simulator that ships.

One labelled graph -> `_graph`; citation, Twitch, WebKB, airports, Planetoid and Facebook-100 in their raw layouts ->
`_citation`, `_twitch`, `_small`, `_planetoid`, `_facebook` (MATLAB files: `_mat`); own CSV folders -> `_own`;
simulated collections -> `_simulator`; features that lie about the environment (EERM) -> `_spurious`; injected edges
-> `_noise`.
"""

from mldgg.datasets._collections import COLLECTIONS, load
from mldgg.datasets._facebook import load_facebook
from mldgg.datasets._graph import Graph
from mldgg.datasets._noise import inject_edges
from mldgg.datasets._own import node_names, read_folder, read_support
from mldgg.datasets._simulator import Simulated
from mldgg.datasets._spurious import spurious_environments

__all__ = [
    "COLLECTIONS",
    "Graph",
    "Simulated",
    "inject_edges",
    "load",
    "load_facebook",
    "node_names",
    "read_folder",
    "read_support",
    "spurious_environments",
]
