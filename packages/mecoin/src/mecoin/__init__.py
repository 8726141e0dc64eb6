"""Add node classes to a graph model from a few labels each. Names are resolved on first use, so importing is light."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mecoin import baselines, datasets
    from mecoin.evaluation._audit import audit_learner, audit_split
    from mecoin.evaluation._protocol import run_stream
    from mecoin.graphs._graph import Graph
    from mecoin.graphs._pyg import from_pyg, to_pyg
    from mecoin.graphs._simulator import Simulated
    from mecoin.memory._mecoin import Mecoin
    from mecoin.sessions._split import Split
    from mecoin.sessions._stream import Session, SessionStream

    __version__: str

__all__ = [
    "Graph",
    "Mecoin",
    "Session",
    "SessionStream",
    "Simulated",
    "Split",
    "__version__",
    "audit_learner",
    "audit_split",
    "baselines",
    "datasets",
    "from_pyg",
    "run_stream",
    "to_pyg",
]

_HOMES = {
    "Mecoin": "memory._mecoin",
    "Simulated": "graphs._simulator",
    "audit_learner": "evaluation._audit",
    "audit_split": "evaluation._audit",
    "baselines": "baselines",
    "datasets": "datasets",
    "run_stream": "evaluation._protocol",
    "Graph": "graphs._graph",
    "Session": "sessions._stream",
    "SessionStream": "sessions._stream",
    "Split": "sessions._split",
    "from_pyg": "graphs._pyg",
    "to_pyg": "graphs._pyg",
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
