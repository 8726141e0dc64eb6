"""Training: a resumable loop (`_loop`), the masked autoencoder (`_mae`), its fine-tuning for noisy links (`_finetune`),
joint source-channel coders (`_jscc`), the one for whole pictures (`_picture`), features, towers, diffusion and judge of
the second system (`_mm`).

Examples:
    >>> import numpy as np
    >>> from ninefold.run import Run
    >>> from semcom.models import MaeConfig
    >>> from semcom.training import MaeRecipe, Schedule, train_mae

    >>> pictures = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    >>> config = MaeConfig(image_size=16, dim=16, depth=1, heads=2, decoder_dim=16, decoder_depth=1, decoder_heads=2)
    >>> with Run("run", {"steps": 4}) as run:
    ...     model = train_mae(pictures, config, MaeRecipe(Schedule(steps=4, batch=4)), run)
    >>> model.num_patches
    16
"""

from semcom.training._finetune import FinetuneRecipe, finetune
from semcom.training._jscc import JsccRecipe, train_jscc
from semcom.training._loop import Schedule
from semcom.training._mae import MaeRecipe, train_mae
from semcom.training._mm import MMRecipe, train_clip, train_diffusion, train_features, train_judge
from semcom.training._picture import PictureRecipe, draw_crops, train_picture

__all__ = [
    "FinetuneRecipe",
    "JsccRecipe",
    "MMRecipe",
    "MaeRecipe",
    "PictureRecipe",
    "Schedule",
    "draw_crops",
    "finetune",
    "train_clip",
    "train_diffusion",
    "train_features",
    "train_jscc",
    "train_judge",
    "train_mae",
    "train_picture",
]
