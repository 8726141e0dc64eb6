"""Training of the small masked autoencoder over a noisy link, from the first step on (recipe: see `MaeRecipe`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import MaeConfig, SmallMae
from semcom.training._loop import Schedule, fit

CLEAN_SHARE = 0.15  # pictures of a batch whose latents meet no noise


@dataclass(frozen=True)
class MaeRecipe:
    """How a `SmallMae` is trained.

    Attributes:
        schedule: steps, batch, rate.
        low, high: mask ratios are drawn evenly between them, one a batch.
        snr_low, snr_high: Es/N0 in dB, drawn evenly, one a picture.
        loss: `mse`, over all patches, or `log`: the mean over pictures of the logarithm of each one's error, which is
            what a mean of PSNRs measures.
    """

    schedule: Schedule
    low: float = 0.5
    high: float = 0.9
    snr_low: float = -5.0
    snr_high: float = 20.0
    loss: str = "mse"

    def __post_init__(self) -> None:
        if self.loss not in ("mse", "log"):
            raise InputError("loss", got=repr(self.loss), expected="mse or log")

    def to_meta(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def uniform(low: float, high: float, size: int, generator: torch.Generator) -> Tensor:
    """(size,) numbers drawn evenly from [low, high)."""
    return low + (high - low) * torch.rand(size, generator=generator)


def draw_batch(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Random pictures, mirrored at random and shifted by up to two pixels: (size, 3, H, W) in [0, 1].

    Args:
        pictures: (count, 3, H, W) uint8.
    """
    return augment(pictures[torch.randint(len(pictures), (size,), generator=generator)], generator)


def augment(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """All of some pictures (B, 3, H, W) uint8, mirrored at random and shifted by up to two pixels, in [0, 1]."""
    batch = F.pad(pictures.float() / 255, (2, 2, 2, 2), mode="reflect")
    mirrored = torch.rand(len(pictures), generator=generator) < 0.5
    batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
    dy, dx = torch.randint(0, 5, (2,), generator=generator).tolist()
    height, width = pictures.shape[-2:]
    return batch[:, :, dy : dy + height, dx : dx + width].contiguous()


def noisy_tokens(
    tokens: Tensor, snr_db: Tensor, clean: Tensor, generator: torch.Generator, rows: slice = slice(None)
) -> Tensor:
    """Unit-variance reals after AWGN and the receiver's shrinkage; differentiable.

    A complex symbol is a pair of reals over sqrt(2): noise of variance s2 a symbol is noise of variance s2 a real here.

    Args:
        tokens: (rows, tokens, D), of these rows of a batch.
        snr_db: (B,) Es/N0, of the whole batch.
        clean: (B,) bool, no noise for these.
        rows: of the batch that this process has; noise is drawn for all, so that each row's is always the same.
    """
    variance = torch.where(clean, torch.zeros(()), 10 ** (-snr_db / 10))[rows, None, None].to(tokens.device)
    noise = torch.randn((len(snr_db), *tokens.shape[1:]), generator=generator)[rows].to(tokens.device)
    return (tokens + variance.sqrt() * noise) / (1 + variance)


def train_mae(
    pictures: np.ndarray, config: MaeConfig, recipe: MaeRecipe, run: Run, start: SmallMae | None = None
) -> SmallMae:
    """Train a small masked autoencoder into a run folder; resumes what is there.

    Args:
        pictures: (count, H, W, 3) uint8, of the config's size.
        start: weights to begin with, of the same config; random ones if left out.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = SmallMae(config)
    if start is not None:
        model.load_state_dict(start.state_dict())
    data = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))

    def loss_of(generator: torch.Generator, _: float) -> tuple[Tensor, dict[str, float]]:
        size, count = recipe.schedule.batch, model.num_patches
        batch = draw_batch(data, size, generator)
        ratio = float(uniform(recipe.low, recipe.high, 1, generator))
        kept_count = min(count - 1, max(1, int(count * (1 - ratio) + 1e-6)))
        order = torch.rand(size, count, generator=generator).argsort(dim=1)
        kept = order[:, :kept_count].sort(dim=1).values
        snr = uniform(recipe.snr_low, recipe.snr_high, size, generator)
        clean = torch.rand(size, generator=generator) < CLEAN_SHARE
        tokens = noisy_tokens(model.encode(batch, kept), snr, clean, generator)
        error = (model.decode(model.embed(tokens), kept) - batch) ** 2
        if recipe.loss == "log":
            by_picture = error.mean((1, 2, 3))
            psnr = float(-10 * by_picture.detach().log10().mean())
            return 0.02 * (by_picture + 1e-4).log().mean(), {"psnr": psnr}
        return error.mean(), {"psnr": float(-10 * error.detach().mean().log10())}

    fit(model, loss_of, recipe.schedule, run)
    return model
