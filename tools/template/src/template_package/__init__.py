"""Estimate many means at once by James-Stein shrinkage. Names are resolved on first use, so importing this is light."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from template_package import datasets
    from template_package.shrinkage import Estimate, JamesStein, james_stein

    __version__: str

__all__ = ["Estimate", "JamesStein", "__version__", "datasets", "james_stein"]

_HOMES = {"Estimate": "shrinkage", "JamesStein": "shrinkage", "james_stein": "shrinkage", "datasets": "datasets"}


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
