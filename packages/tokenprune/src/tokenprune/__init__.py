"""Skip unimportant tokens, block by block, in a frozen language model (FTP). Names are resolved on first use.

Examples:
    >>> import tokenprune
    >>> import torch
    >>> from tokenprune import tiny_model

    >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
    >>> ids = torch.arange(1, 41)[None]

    >>> pruner = tokenprune.TokenPruner(model, tokenprune.FTPConfig(target_sparsity=0.3))
    >>> with pruner:
    ...     out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, pad_token_id=0)
    >>> out.shape
    torch.Size([1, 44])
    >>> tokenprune.__version__
    '...'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from tokenprune import datasets as datasets
    from tokenprune.executor._cache import PrunedCache as PrunedCache
    from tokenprune.executor._cost import Cost as Cost
    from tokenprune.executor._cost import CostModel as CostModel
    from tokenprune.executor._executor import Executor as Executor
    from tokenprune.executor._router import Everything as Everything
    from tokenprune.executor._scored import Scored as Scored
    from tokenprune.executor._scored import windows as windows
    from tokenprune.models._families import tiny_model as tiny_model
    from tokenprune.models._layout import Layout as Layout
    from tokenprune.models._models import convert_gguf as convert_gguf
    from tokenprune.models._models import load as load
    from tokenprune.models._models import smollm2 as smollm2
    from tokenprune.pruner._config import FTPConfig as FTPConfig
    from tokenprune.pruner._document import Document as Document
    from tokenprune.pruner._pruner import TokenPruner as TokenPruner
    from tokenprune.pruner._report import Report as Report
    from tokenprune.routers._dynamic_router import DynamicRouter as DynamicRouter
    from tokenprune.routers._dynamic_router import RouterNet as RouterNet
    from tokenprune.routers._one_pass_router import OnePassNet as OnePassNet
    from tokenprune.routers._one_pass_router import OnePassRouter as OnePassRouter
    from tokenprune.routers._static_router import StaticRouter as StaticRouter
    from tokenprune.search._analyze import Redundancy as Redundancy
    from tokenprune.search._analyze import redundancy as redundancy
    from tokenprune.search._fitness import Fitness as Fitness
    from tokenprune.search._genetic import Search as Search
    from tokenprune.search._genetic import SearchConfig as SearchConfig
    from tokenprune.training._train import TrainConfig as TrainConfig
    from tokenprune.training._train import Training as Training

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Cost": "executor._cost",
        "CostModel": "executor._cost",
        "Document": "pruner._document",
        "DynamicRouter": "routers._dynamic_router",
        "Everything": "executor._router",
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
        "tiny_model": "models._families",
        "windows": "executor._scored",
    },
)
