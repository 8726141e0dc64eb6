"""Add node classes to a graph model from a few labels each. Names are resolved on first use: importing this is light."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mecoin._graph import Graph
    from mecoin._pyg import from_pyg, to_pyg
    from mecoin._split import Split
    from mecoin._stream import Session, SessionStream

    __version__: str

__all__ = ["Graph", "Session", "SessionStream", "Split", "__version__", "from_pyg", "to_pyg"]

_HOMES = {
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
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
