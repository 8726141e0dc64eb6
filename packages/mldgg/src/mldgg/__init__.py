"""Adapt to a graph never seen from a few labels, or none. Names are resolved on first use, so importing is light."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mldgg import baselines, datasets
    from mldgg.datasets import Graph, Simulated
    from mldgg.domains import (
        GraphDomains,
        LeakWarning,
        NeighborSampler,
        leave_one_graph_out,
        setting_tasks,
        split_support,
    )
    from mldgg.evaluation import evaluate
    from mldgg.meta import MLDGG, Adapted, Settings

    __version__: str

__all__ = [
    "MLDGG",
    "Adapted",
    "Graph",
    "GraphDomains",
    "LeakWarning",
    "NeighborSampler",
    "Settings",
    "Simulated",
    "__version__",
    "baselines",
    "datasets",
    "evaluate",
    "leave_one_graph_out",
    "setting_tasks",
    "split_support",
]

_HOMES = {
    "MLDGG": "meta",
    "Adapted": "meta",
    "Graph": "datasets",
    "GraphDomains": "domains",
    "LeakWarning": "domains",
    "NeighborSampler": "domains",
    "Settings": "meta",
    "Simulated": "datasets",
    "baselines": "baselines",
    "datasets": "datasets",
    "evaluate": "evaluation",
    "leave_one_graph_out": "domains",
    "setting_tasks": "domains",
    "split_support": "domains",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return home if name == _HOMES[name] else getattr(home, name)


def __dir__() -> list[str]:
    return __all__
