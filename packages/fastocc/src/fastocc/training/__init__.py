"""Training that resumes bit for bit, on one process or many.

- `_recipe.py`: `TrainConfig`: steps, optimizer, augmentation
- `_plan.py`: the network and its data, from what a user gives
- `_batches.py`: batches as a function of seed and step, with every augmentation on images, poses and labels alike
- `_state.py`: optimizer, moving average and random state as arrays on disk
- `_trainer.py`: the loop
- `_cached.py`: heads on cached bird's-eye views, all on the same crops
"""

from fastocc.training._batches import Batch, BatchMaker, Prefetch
from fastocc.training._cached import BevBank, cache_bev, cache_looks, fit_prior, train_head
from fastocc.training._recipe import TrainConfig, learning_rate
from fastocc.training._trainer import batch_loss, label_weights, train

__all__ = [
    "Batch",
    "BatchMaker",
    "BevBank",
    "Prefetch",
    "TrainConfig",
    "batch_loss",
    "cache_bev",
    "cache_looks",
    "fit_prior",
    "label_weights",
    "learning_rate",
    "train",
    "train_head",
]
