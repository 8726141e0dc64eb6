"""`--teacher`: which network a 1-bit one follows, and pictures as that network was trained to see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ninefold.errors import InputError
from torch import nn

from bnn_fsg.cli._networks import network
from bnn_fsg.datasets import Images


def seeing(model: nn.Module, given: tuple[Any, Any], own: tuple[Any, Any], channels: int) -> nn.Module:
    """A network that is given pictures normalised in one way, and sees them normalised in its own.

    Args:
        model: the network.
        given: (mean, std) of what comes, each of one number or one for each channel.
        own: (mean, std) of what it was trained on.
        channels: of the pictures.
    """
    (mean, std), (own_mean, own_std) = (torch.tensor(pair, dtype=torch.float64) for pair in (given, own))
    layer = nn.Conv2d(channels, channels, 1, groups=channels).requires_grad_(False)
    layer.weight.copy_((std / own_std).expand(channels)[:, None, None, None])
    layer.bias.copy_((mean - own_mean) / own_std)  # type: ignore[union-attr]
    return nn.Sequential(layer, model)


def teacher_model(source: Path, images: Images) -> nn.Module:
    """The network of a run folder or model file, full-precision or 1-bit, or `adabin`, the published one.

    Args:
        source: of `--teacher`.
        images: what the student is trained on.
    Raises:
        InputError: if it takes other pictures or tells other classes apart.
    """
    model, recipe = network(source)
    expected = (recipe.channels, *recipe.size, recipe.classes)
    found = (*images.pixels.shape[1:], images.classes)
    if found != expected:
        of = "pictures of {} x {} x {} in {} classes"
        raise InputError("--teacher", got=of.format(*expected), where=str(source), expected=of.format(*found))
    return seeing(model, (images.mean, images.std), (recipe.mean, recipe.std), recipe.channels)
