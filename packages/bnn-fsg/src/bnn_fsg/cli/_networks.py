"""The network that a command names: a run folder, a model file, or `adabin`, the published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from bnn_fsg.layers._nets import Recipe

ADABIN = "adabin"


def network(source: str | Path) -> tuple[nn.Module, Recipe]:
    """Its module, and its recipe: shape and normalisation of its pictures, and its classes."""
    from bnn_fsg.layers._nets import Recipe, load_model

    if str(source) == ADABIN:
        from bnn_fsg.layers._adabin import MEAN, STD, adabin_resnet20

        return adabin_resnet20(), Recipe(net=ADABIN, classes=10, channels=3, size=(32, 32), mean=MEAN, std=STD)
    path = Path(source)
    return load_model(path / "model.safetensors" if path.is_dir() else path)
