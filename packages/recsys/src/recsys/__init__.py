"""Recommend from ratings, clicks, context, sequences and content, with evaluation that can be trusted.

The names below are resolved on first use, so that importing this package loads nothing heavy.
"""

import importlib
from typing import Any

_PUBLIC = {  # public name -> the module that defines it
    "Dataset": "_dataset",
    "Evaluation": "_evaluate",
    "Recommender": "_base",
    "doctor": "_doctor",
    "evaluate": "_evaluate",
    "evaluate_values": "_evaluate",
    "load": "_store",
    **dict.fromkeys(("Popular", "RandomItems", "RecentPopular", "Repeat"), "baselines._popular"),
}
__all__ = list(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of("recsys")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}")
    return getattr(importlib.import_module(f"recsys.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
