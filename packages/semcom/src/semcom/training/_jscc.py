"""Training of the joint source-channel coders over any channel that has gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import JsccCoder, JsccConfig
from semcom.phy import Channel, apply_torch, torch_noise_equivalent
from semcom.training._loop import fit
from semcom.training._recipe import Recipe, draw_batch, picture_tensor


@dataclass(frozen=True, kw_only=True)
class JsccRecipe(Recipe):
    """How a coder is trained.

    Attributes:
        channel: between the two sides, as `Channel.from_spec` reads it; the decoder is given the mean SNR of each
            picture's symbols.
        size: height and width of pictures that are cut into tiles.
    """

    lr: float = 2e-3
    channel: str = "awgn"
    size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        Channel.from_spec(self.channel)
        if self.size < 4 or self.size % 4:
            raise InputError("size", got=self.size, expected="a multiple of 4")


def train_jscc(
    pictures: np.ndarray, config: JsccConfig, recipe: JsccRecipe, run: Run, start: JsccCoder | None = None
) -> JsccCoder:
    """Train a coder into a run folder; resumes what is there.

    Args:
        pictures: (count, H, W, 3) uint8, sides a multiple of four.
        start: weights to begin with, of the same config but for fewer stages; random ones if left out.
    """
    torch.manual_seed(recipe.seed)
    model = JsccCoder(config)
    if start is not None:
        if replace(start.config, stages=config.stages) != config or start.config.stages > config.stages:
            raise InputError("start", got=f"a coder of {start.config}", expected=f"{config}, or of fewer stages")
        model.load_state_dict({**model.state_dict(), **start.state_dict()})
    if recipe.bfloat16:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  (faster, same numbers)
    data, channel = picture_tensor(pictures), Channel.from_spec(recipe.channel)
    height, width = data.shape[2:]

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.batch, generator)
        snr = recipe.snrs(len(batch), generator)
        with recipe.products():
            sent = model.encode(batch, snr)
            seen, effective = over_channel(sent, snr, channel, generator)
            drawn = model.decode(seen, effective, height, width)
        return recipe.loss_of(drawn, batch)

    fit(model, loss_of, recipe, run)
    return model


def over_channel(reals: Tensor, snr_db: Tensor, channel: Channel, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Reals after a channel and its equaliser, as over AWGN of one SNR a row, and that SNR in dB.

    Args:
        reals: (rows, n) of unit mean square; adjacent ones make a symbol.
        snr_db: (rows,) Es/N0.
    """
    if channel.kind == "awgn":
        noise = torch.randn(reals.shape, generator=generator) * (10 ** (-snr_db / 20))[:, None]
        return reals + noise, snr_db
    seed = int(torch.randint(2**62, (1,), generator=generator))
    symbols = torch.view_as_complex((reals.float() * 0.5**0.5).reshape(len(reals), -1, 2))
    arrived = apply_torch(channel, symbols, snr_db.numpy(), np.random.default_rng(seed))
    return torch_noise_equivalent(*arrived)
