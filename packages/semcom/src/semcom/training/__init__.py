"""Training: a resumable loop (`_loop`), the masked autoencoder (`_mae`), its fine-tuning for noisy links (`_finetune`),
joint source-channel coders (`_jscc`), the one for whole pictures (`_picture`), features, towers, diffusion and judge of
the second system (`_mm`).
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
