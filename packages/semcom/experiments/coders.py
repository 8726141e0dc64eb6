"""Coders that claims train: DeepJSCC through fading, that of whole pictures for ten minutes; and what they draw."""

from __future__ import annotations

import numpy as np
import torch
from ninefold.run import Run
from semcom.datasets import load, load_whole
from semcom.models import JsccCoder, JsccConfig, PictureCoder, PictureConfig, load_jscc
from semcom.phy import Channel, reals_to_symbols
from semcom.training import JsccRecipe, PictureRecipe, train_jscc, train_picture
from semcom.whole import as_over_awgn

TEN_MINUTES = PictureRecipe(steps=1750)
"""semcom train picture --recipe steps=1750 --threads 2 --seed SEED -o RUN: from `adjscc-c8` on."""


def fading_recipe(channel: str, snr_db: float, seed: int, steps: int) -> JsccRecipe:
    """DeepJSCC at one mean SNR, as published (Bourtsoulatze et al. 2019), over a channel."""
    return JsccRecipe(
        channel=channel, snr_low=snr_db, snr_high=snr_db, seed=seed, steps=steps, batch=64, lr=1e-3, loss="log",
        average=0.999,
    )  # fmt: skip


def train_deepjscc(recipe: JsccRecipe, run: Run) -> JsccCoder:
    """DeepJSCC of eight channels, a ratio of 1/12, on CIFAR-10's training pictures; resumes what is there."""
    return train_jscc(load("cifar10", "train"), JsccConfig("deepjscc", 8), recipe, run)


def train_ten_minutes(recipe: PictureRecipe, run: Run) -> PictureCoder:
    """The coder of whole pictures from the shipped tile coder on; resumes what is there."""
    torch.manual_seed(recipe.seed)
    model = PictureCoder.from_tiles(load_jscc("adjscc-c8"), PictureConfig())
    return train_picture(load_whole("caltech101", "train"), model, recipe, run)


def carried(
    model: JsccCoder | PictureCoder, pictures: np.ndarray, channel: Channel, snr_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Pictures after a coder and a channel, at a bandwidth ratio of 1/12.

    Args:
        pictures: (n, H, W, 3) uint8, sides multiples of 16.
        snr_db: mean Es/N0 of the channel, which the sender knows.
    Returns: (n, H, W, 3) uint8.
    """
    found = []
    height, width = pictures.shape[1:3]
    for begin in range(0, len(pictures), 100):
        part = torch.from_numpy(pictures[begin : begin + 100].copy()).permute(0, 3, 1, 2).float() / 255
        snr = torch.full((len(part),), float(np.clip(snr_db, -10, 25)))
        with torch.inference_mode():
            whole = isinstance(model, PictureCoder)
            reals = model.encode(part, snr, 8) if whole else model.encode(part, snr)
            arrived, effective = as_over_awgn(channel.apply(reals_to_symbols(reals.flatten(1).numpy()), snr_db, rng))
            seen, told = torch.from_numpy(arrived), torch.from_numpy(effective).float().clamp(-10, 25)
            drawn = model.decode(seen.reshape(reals.shape), told) if whole else model.decode(seen, told, height, width)
        pixels = (drawn.float().nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)
        found.append(pixels.permute(0, 2, 3, 1).numpy())
    return np.concatenate(found)
