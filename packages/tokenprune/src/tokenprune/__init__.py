"""Skip unimportant tokens, block by block, in a frozen language model (FTP). Names are resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenprune import datasets
    from tokenprune._analyze import Redundancy, redundancy
    from tokenprune._cache import PrunedCache
    from tokenprune._config import FTPConfig
    from tokenprune._cost import Cost, CostModel
    from tokenprune._dynamic_router import DynamicRouter, RouterNet
    from tokenprune._executor import Everything, Executor
    from tokenprune._fitness import Fitness
    from tokenprune._genetic import Search, SearchConfig
    from tokenprune._layout import Layout
    from tokenprune._models import convert_gguf, load, smollm2, tiny_model
    from tokenprune._one_pass_router import OnePassNet, OnePassRouter
    from tokenprune._pruner import TokenPruner
    from tokenprune._report import Report
    from tokenprune._scored import Scored, windows
    from tokenprune._static_router import StaticRouter
    from tokenprune._train import TrainConfig, Training

    __version__: str

_HOMES = {
    "Cost": "_cost",
    "CostModel": "_cost",
    "DynamicRouter": "_dynamic_router",
    "Everything": "_executor",
    "Executor": "_executor",
    "FTPConfig": "_config",
    "Fitness": "_fitness",
    "Layout": "_layout",
    "OnePassNet": "_one_pass_router",
    "OnePassRouter": "_one_pass_router",
    "PrunedCache": "_cache",
    "Redundancy": "_analyze",
    "Report": "_report",
    "RouterNet": "_dynamic_router",
    "Scored": "_scored",
    "Search": "_genetic",
    "SearchConfig": "_genetic",
    "StaticRouter": "_static_router",
    "TokenPruner": "_pruner",
    "TrainConfig": "_train",
    "Training": "_train",
    "convert_gguf": "_models",
    "datasets": "datasets",
    "load": "_models",
    "redundancy": "_analyze",
    "smollm2": "_models",
    "tiny_model": "_models",
    "windows": "_scored",
}
__all__ = [
    "Cost",
    "CostModel",
    "DynamicRouter",
    "Everything",
    "Executor",
    "FTPConfig",
    "Fitness",
    "Layout",
    "OnePassNet",
    "OnePassRouter",
    "PrunedCache",
    "Redundancy",
    "Report",
    "RouterNet",
    "Scored",
    "Search",
    "SearchConfig",
    "StaticRouter",
    "TokenPruner",
    "TrainConfig",
    "Training",
    "__version__",
    "convert_gguf",
    "datasets",
    "load",
    "redundancy",
    "smollm2",
    "tiny_model",
    "windows",
]


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
