"""Rivals, with the interface of the methods: one short module each, resolved on first use."""

import importlib
from typing import Any

_MODULES = {  # class -> the module that defines it
    "CoOccurrence": "_co_occurrence",
    "ContentProfile": "_profile",
    "Popular": "_popular",
    "RecentPopular": "_popular",
    "RandomItems": "_popular",
    "Repeat": "_popular",
    "ImplicitALS": "_implicit",
    "ImplicitBPR": "_implicit",
    "ItemKNN": "_item_knn",
    "UserKNN": "_user_knn",
    "PureSVD": "_puresvd",
}
__all__ = list(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'recsys.baselines' has no attribute {name!r}")
    return getattr(importlib.import_module(f"recsys.baselines.{_MODULES[name]}"), name)
