"""Training of the joint source-channel coders (`_jscc`, `_picture`) and of a user's own coder (`_any`), and what
trainings share: the resumable loop (`_loop`), run folders (`_folders`), recipes, batches and losses (`_recipe`). The
published systems train in modules of their own.

Examples:
    >>> import numpy as np
    >>> from ninefold.run import Run
    >>> from semcom.models import JsccConfig
    >>> from semcom.training import JsccRecipe, train_jscc

    >>> pictures = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    >>> with Run("run", {"steps": 4}) as run:
    ...     model = train_jscc(pictures, JsccConfig(width=8), JsccRecipe(steps=4, batch=4), run)
    >>> model.symbols(16, 16)
    64
"""

from semcom.training._any import train
from semcom.training._jscc import JsccRecipe, train_jscc
from semcom.training._loop import fit, own_rows
from semcom.training._picture import PictureRecipe, train_picture
from semcom.training._recipe import Recipe

__all__ = ["JsccRecipe", "PictureRecipe", "Recipe", "fit", "own_rows", "train", "train_jscc", "train_picture"]
