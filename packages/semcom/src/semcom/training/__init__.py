"""Training: a resumable loop (`_loop`), the masked autoencoder (`_mae`), its fine-tuning for noisy links (`_finetune`),
joint source-channel coders (`_jscc`), features, towers, diffusion and judge of the second system (`_mm`).
"""

from semcom.training._finetune import FinetuneRecipe, finetune
from semcom.training._jscc import JsccRecipe, train_jscc
from semcom.training._loop import Schedule
from semcom.training._mae import MaeRecipe, train_mae
from semcom.training._mm import MMRecipe, train_clip, train_diffusion, train_features, train_judge

__all__ = [
    "FinetuneRecipe",
    "JsccRecipe",
    "MMRecipe",
    "MaeRecipe",
    "Schedule",
    "finetune",
    "train_clip",
    "train_diffusion",
    "train_features",
    "train_jscc",
    "train_judge",
    "train_mae",
]
