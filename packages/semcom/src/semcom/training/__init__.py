"""Training: a resumable loop (`_loop`), the masked autoencoder (`_mae`), joint source-channel coders (`_jscc`)."""

from semcom.training._jscc import JsccRecipe, train_jscc
from semcom.training._loop import Schedule
from semcom.training._mae import MaeRecipe, train_mae

__all__ = ["JsccRecipe", "MaeRecipe", "Schedule", "train_jscc", "train_mae"]
