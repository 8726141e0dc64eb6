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
    from tokenprune.baselines._redundancy import Redundancy as Redundancy
    from tokenprune.baselines._redundancy import redundancy as redundancy
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
    from tokenprune.routers._static_router import StaticRouter as StaticRouter

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Cost": "executor._cost",
        "CostModel": "executor._cost",
        "Document": "pruner._document",
        "Everything": "executor._router",
        "Executor": "executor._executor",
        "FTPConfig": "pruner._config",
        "Layout": "models._layout",
        "PrunedCache": "executor._cache",
        "Redundancy": "baselines._redundancy",
        "Report": "pruner._report",
        "Scored": "executor._scored",
        "StaticRouter": "routers._static_router",
        "TokenPruner": "pruner._pruner",
        "convert_gguf": "models._models",
        "datasets": "datasets",
        "load": "models._models",
        "redundancy": "baselines._redundancy",
        "smollm2": "models._models",
        "tiny_model": "models._families",
        "windows": "executor._scored",
    },
)
