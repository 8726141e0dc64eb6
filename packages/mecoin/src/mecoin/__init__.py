"""Add node classes to a graph model from a few labels each. Names are resolved on first use, so importing is light."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mecoin import baselines, datasets
    from mecoin._audit import audit_learner, audit_split
    from mecoin._graph import Graph
    from mecoin._mecoin import Mecoin
    from mecoin._protocol import run_stream
    from mecoin._pyg import from_pyg, to_pyg
    from mecoin._simulator import Simulated
    from mecoin._split import Split
    from mecoin._stream import Session, SessionStream

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
    "Mecoin": "_mecoin",
    "Simulated": "_simulator",
    "audit_learner": "_audit",
    "audit_split": "_audit",
    "baselines": "baselines",
    "datasets": "datasets",
    "run_stream": "_protocol",
    "Graph": "_graph",
    "Session": "_stream",
    "SessionStream": "_stream",
    "Split": "_split",
    "from_pyg": "_pyg",
    "to_pyg": "_pyg",
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
