"""Training: a resumable loop (`_loop`), the masked autoencoder (`_mae`)."""

from semcom.training._loop import Schedule
from semcom.training._mae import MaeRecipe, train_mae

__all__ = ["MaeRecipe", "Schedule", "train_mae"]
