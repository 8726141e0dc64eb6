"""Adapt to a graph never seen from a few labels, or none. Names are resolved on first use, so importing is light.

Examples:
    >>> import mldgg

    >>> graphs = mldgg.Simulated(graphs=2, nodes=60).draw(seed=0)
    >>> list(mldgg.GraphDomains(graphs))
    ['north', 'east']
    >>> mldgg.__version__
    '...'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from mldgg import baselines as baselines
    from mldgg import datasets as datasets
    from mldgg.datasets import Graph as Graph
    from mldgg.datasets import Simulated as Simulated
    from mldgg.datasets import open_graph as open_graph
    from mldgg.datasets import to_pyg as to_pyg
    from mldgg.domains import GraphDomains as GraphDomains
    from mldgg.domains import LeakWarning as LeakWarning
    from mldgg.domains import leave_one_graph_out as leave_one_graph_out
    from mldgg.domains import split_support as split_support
    from mldgg.evaluation import evaluate as evaluate
    from mldgg.meta import MLDGG as MLDGG
    from mldgg.meta import Adapted as Adapted
    from mldgg.meta import Settings as Settings

    __version__: str

_NAMES = {  # of each module
    "baselines": "baselines", "datasets": "datasets Graph Simulated open_graph to_pyg", "evaluation": "evaluate",
    "domains": "GraphDomains LeakWarning leave_one_graph_out split_support", "meta": "MLDGG Adapted Settings",
}  # fmt: skip
__getattr__, __dir__, __all__ = attach(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__, {name: module for module, names in _NAMES.items() for name in names.split()}
)
