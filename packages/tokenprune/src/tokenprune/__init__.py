"""Skip unimportant tokens, block by block, in a frozen language model (FTP). Names are resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenprune import datasets
    from tokenprune.executor._cache import PrunedCache
    from tokenprune.executor._cost import Cost, CostModel
    from tokenprune.executor._executor import Everything, Executor
    from tokenprune.executor._scored import Scored, windows
    from tokenprune.models._layout import Layout
    from tokenprune.models._models import convert_gguf, load, smollm2, tiny_model
    from tokenprune.pruner._config import FTPConfig
    from tokenprune.pruner._pruner import TokenPruner
    from tokenprune.pruner._report import Report
    from tokenprune.routers._dynamic_router import DynamicRouter, RouterNet
    from tokenprune.routers._one_pass_router import OnePassNet, OnePassRouter
    from tokenprune.routers._static_router import StaticRouter
    from tokenprune.search._analyze import Redundancy, redundancy
    from tokenprune.search._fitness import Fitness
    from tokenprune.search._genetic import Search, SearchConfig
    from tokenprune.training._train import TrainConfig, Training

    __version__: str

_HOMES = {
    "Cost": "executor._cost",
    "CostModel": "executor._cost",
    "DynamicRouter": "routers._dynamic_router",
    "Everything": "executor._executor",
    "Executor": "executor._executor",
    "FTPConfig": "pruner._config",
    "Fitness": "search._fitness",
    "Layout": "models._layout",
    "OnePassNet": "routers._one_pass_router",
    "OnePassRouter": "routers._one_pass_router",
    "PrunedCache": "executor._cache",
    "Redundancy": "search._analyze",
    "Report": "pruner._report",
    "RouterNet": "routers._dynamic_router",
    "Scored": "executor._scored",
    "Search": "search._genetic",
    "SearchConfig": "search._genetic",
    "StaticRouter": "routers._static_router",
    "TokenPruner": "pruner._pruner",
    "TrainConfig": "training._train",
    "Training": "training._train",
    "convert_gguf": "models._models",
    "datasets": "datasets",
    "load": "models._models",
    "redundancy": "search._analyze",
    "smollm2": "models._models",
    "tiny_model": "models._models",
    "windows": "executor._scored",
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
