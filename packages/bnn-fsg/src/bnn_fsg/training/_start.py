"""The network that a 1-bit one starts from, the one it follows, and pictures as these were trained to see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import InputError
from torch import nn

from bnn_fsg.datasets import Images
from bnn_fsg.datasets._splits import splits_of
from bnn_fsg.layers._nets import Recipe, load_model
from bnn_fsg.layers._opening import model_file, open_network
from bnn_fsg.training._trainer import BinaryTrainer, Schedule


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
    model, recipe = open_network(source)
    expected = (recipe.channels, *recipe.size, recipe.classes)
    found = (*images.pixels.shape[1:], images.classes)
    if found != expected:
        of = "pictures of {} x {} x {} in {} classes"
        raise InputError("--teacher", got=of.format(*expected), where=str(source), expected=of.format(*found))
    return seeing(model, (images.mean, images.std), (recipe.mean, recipe.std), recipe.channels)


def open_start(
    start: Path, data: str, weights: str, activations: str | None = None, skip: Sequence[str] | None = None
) -> tuple[nn.Module, Recipe, dict[str, Images]]:
    """A full-precision model, the recipe of its 1-bit form, and images like those it was made for.

    Args:
        start: run folder or model file. data: see `splits_of`.
        weights, activations: forms of the 1-bit network. skip: patterns of layers that stay float.
    Raises: InputError for a 1-bit model, or for pictures of another shape or with other classes.
    """
    model, recipe = load_model(model_file(start))
    if recipe.weights is not None:
        raise InputError(str(start), got="a 1-bit model", expected="a full-precision one, see `pretrain`")
    splits = splits_of(data, recipe.size)
    images = splits["train"]
    _, channels, height, width = images.pixels.shape
    found = _like(channels, height, width, images.classes)
    expected = _like(recipe.channels, *recipe.size, recipe.classes)
    if found != expected:
        raise InputError(f"pictures of {data}", got=found, expected=f"{expected}, as {start} was trained on")
    return model, replace(recipe, weights=weights, activations=activations, skip=tuple(skip or ())), splits


def _like(channels: int, height: int, width: int, classes: int) -> str:
    return f"{channels} channel{'s' * (channels > 1)} of {height}x{width} in {classes} classes"


def trained_start(
    recipe: Recipe, schedule: Schedule, images: Images, seed: int = 0, rectifier: Callable[[], nn.Module] | None = None
) -> nn.Module:
    """A full-precision network, trained by Adam on one thread; with another module instead of its ReLUs, if given.

    Args:
        recipe: of the network. schedule: epochs and batch. images: to train on. seed: of weights and batches.
        rectifier: makes a module.
    """
    torch.manual_seed(seed)
    model = recipe.build()
    if rectifier is not None:
        model = nn.Sequential(*(rectifier() if isinstance(one, nn.ReLU) else one for one in model.children()))
    BinaryTrainer(model, torch.optim.Adam(model.parameters(), lr=1e-3), schedule, seed=seed, threads=1).fit(images)
    return model
