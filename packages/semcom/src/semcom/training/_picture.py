"""Training of the joint coder for whole pictures on crops, at many SNRs and ratios in one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import PictureCoder
from semcom.models._picture import MULTIPLE
from semcom.phy import Channel
from semcom.training._jscc import JsccRecipe, over_channel
from semcom.training._loop import fit


@dataclass(frozen=True, kw_only=True)
class PictureRecipe(JsccRecipe):
    """How a coder for whole pictures is trained.

    Attributes:
        crops: sides of the square crops, one drawn for each step; the batch is that of the smallest and falls with
            the area.
        unknown: share of the steps in which the encoder assumes an SNR of its own, as a sender without feedback does.
        channels: numbers of channels to send.
        usual: share of the steps that send the second of `channels`.
    """

    steps: int = 5600
    batch: int = 24
    lr: float = 1e-3
    average: float = 0.999
    snr_low: float = -3.0
    snr_high: float = 15.0
    loss: str = "log"
    bfloat16: bool = True
    crops: tuple[int, ...] = (64, 96, 128)
    unknown: float = 0.25
    channels: tuple[int, ...] = (4, 8, 16)
    usual: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.crops or not self.channels or any(side < MULTIPLE or side % MULTIPLE for side in self.crops):
            got, expected = (self.crops, self.channels), f"multiples of {MULTIPLE}, and at least one number"
            raise InputError("crops, channels", got=got, expected=expected)


def train_picture(pictures: Sequence[np.ndarray], model: PictureCoder, recipe: PictureRecipe, run: Run) -> PictureCoder:
    """Train a coder into a run folder; resumes what is there.

    Args:
        pictures: (H, W, 3) uint8 of any size from the largest crop; smaller ones are left out.
        model: where to begin.
    """
    least, channel = max(recipe.crops), Channel.from_spec(recipe.channel)
    kept = [torch.from_numpy(np.array(one)) for one in pictures if min(one.shape[:2]) >= least]
    if not kept:
        raise InputError("pictures", got="none large enough", expected=f"sides of {least} or more")
    for count in recipe.channels:
        model.symbols(MULTIPLE, MULTIPLE, count)  # refuses what the coder has not
    if recipe.bfloat16:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        side = recipe.crops[int(torch.randint(len(recipe.crops), (1,), generator=generator))]
        size = max(1, recipe.batch * min(recipe.crops) ** 2 // side**2)
        batch = draw_crops(kept, size, side, generator)
        snr, assumed = recipe.snrs(size, generator), recipe.snrs(size, generator)
        draw = torch.rand(2, generator=generator)
        assumed = assumed if float(draw[0]) < recipe.unknown else snr
        count = recipe.channels[min(1, len(recipe.channels) - 1)]
        if float(draw[1]) >= recipe.usual:
            count = recipe.channels[int(torch.randint(len(recipe.channels), (1,), generator=generator))]
        with recipe.products():
            sent = model.encode(batch, assumed, count)
            seen, effective = over_channel(sent.flatten(1), snr, channel, generator)
            drawn = model.decode(seen.reshape(sent.shape), effective)
        return recipe.loss_of(drawn, batch)

    fit(model, loss_of, recipe, run)
    return model


def draw_crops(pictures: Sequence[Tensor], count: int, side: int, generator: torch.Generator) -> Tensor:
    """Square crops, mirrored half the time: (count, 3, side, side) float32 in [0, 1].

    Args:
        pictures: (H, W, 3) uint8, sides of at least `side`.
    """
    drawn = torch.empty(count, 3, side, side)
    for row in range(count):
        chosen = pictures[int(torch.randint(len(pictures), (1,), generator=generator))]
        u, v, mirror = torch.rand(3, generator=generator).tolist()
        top, left = int(u * (chosen.shape[0] - side + 1)), int(v * (chosen.shape[1] - side + 1))
        crop = chosen[top : top + side, left : left + side].permute(2, 0, 1)
        drawn[row] = crop.flip(-1) if mirror < 0.5 else crop
    return drawn.div_(255)
