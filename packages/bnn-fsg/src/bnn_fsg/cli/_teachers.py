"""`--teacher`: which network a 1-bit one follows, and pictures as that network was trained to see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.cli._networks import network
from bnn_fsg.datasets import Images


class Seeing(nn.Module):
    """A network that is given pictures normalised in one way, and sees them normalised in its own.

    Args:
        model: the network.
        given: (mean, std) of what comes, each of one number or one for each channel.
        own: (mean, std) of what it was trained on.
    """

    def __init__(
        self, model: nn.Module, given: tuple[Sequence[float], Sequence[float]], own: tuple[Sequence[float], ...]
    ) -> None:
        super().__init__()
        self.model = model
        both = [[torch.tensor(tuple(one), dtype=torch.float64) for one in pair] for pair in (given, own)]
        (mean, std), (own_mean, own_std) = both
        self.register_buffer("scale", (std / own_std).float()[:, None, None])
        self.register_buffer("shift", ((mean - own_mean) / own_std).float()[:, None, None])
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> the network's (n, classes)."""
        return self.model(x * self.scale + self.shift)


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
    return Seeing(model, (images.mean, images.std), (recipe.mean, recipe.std))
