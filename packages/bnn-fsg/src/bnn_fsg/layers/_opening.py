"""The network that a user names: a run folder, a model file, or `adabin`, the published one."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from bnn_fsg.layers._adabin import MEAN, STD, adabin_resnet20
from bnn_fsg.layers._nets import Recipe, load_model

ADABIN = "adabin"


def model_file(path: Path) -> Path:
    """The model file of a run folder, or the file itself."""
    return path / "model.safetensors" if path.is_dir() else path


def open_network(source: str | Path) -> tuple[nn.Module, Recipe]:
    """Its module, and its recipe: shape and normalisation of its pictures, and its classes.

    Raises: ArtifactError if no model is there.
    """
    if str(source) == ADABIN:
        return adabin_resnet20(), Recipe(net=ADABIN, classes=10, channels=3, size=(32, 32), mean=MEAN, std=STD)
    return load_model(model_file(Path(source)))
