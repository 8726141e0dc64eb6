"""Training: a resumable loop (`_loop`), the masked autoencoder (`_mae`), its fine-tuning for noisy links (`_finetune`),
joint source-channel coders (`_jscc`).
"""

from semcom.training._finetune import FinetuneRecipe, finetune
from semcom.training._jscc import JsccRecipe, train_jscc
from semcom.training._loop import Schedule
from semcom.training._mae import MaeRecipe, train_mae

__all__ = ["FinetuneRecipe", "JsccRecipe", "MaeRecipe", "Schedule", "finetune", "train_jscc", "train_mae"]
