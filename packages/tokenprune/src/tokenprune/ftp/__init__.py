"""The method as published (arXiv 2412.11494), complete and separate: no other module imports this one.

_published       PublishedPruner: the three stages
_dynamic_router  the four-factor router: position, attention score, its rank, sparsity
_genetic         stages 1 and 3: genes, seeds, crossover, mutation
_fitness         KL to the dense model, NLL or accuracy of a schedule
_prefixes        states before the first changed block, kept from one schedule to the next
_train           stage 2: router training
_gated           its forward: every token is computed, and weighed by its gate
_losses          distillation, sparsity, guide
_stages          all stages from a text's name to a run folder
"""

from tokenprune.ftp._dynamic_router import DynamicRouter, RouterNet
from tokenprune.ftp._fitness import Fitness
from tokenprune.ftp._genetic import Search, SearchConfig
from tokenprune.ftp._published import PublishedConfig, PublishedPruner
from tokenprune.ftp._train import TrainConfig, Training

__all__ = [
    "DynamicRouter", "Fitness", "PublishedConfig", "PublishedPruner", "RouterNet", "Search", "SearchConfig",
    "TrainConfig", "Training",
]  # fmt: skip
