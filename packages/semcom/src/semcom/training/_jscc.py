"""Training of the joint source-channel coders over any channel that has gradients."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import JsccCoder, JsccConfig
from semcom.phy import Channel, apply_torch, torch_noise_equivalent
from semcom.training._loop import Schedule, fit
from semcom.training._mae import draw_batch, uniform


@dataclass(frozen=True)
class JsccRecipe:
    """How a coder is trained.

    Attributes:
        schedule: steps, batch, rate.
        snr_low, snr_high: Es/N0 in dB, drawn evenly, one a picture.
        loss: `mse`, or `log`: the mean over pictures of the logarithm of each one's error, as a mean of PSNRs has it.
        bfloat16: convolutions in bfloat16, which some processors do several times faster; weights stay float32.
        channel: between the two sides, as `Channel.from_spec` reads it; the decoder is given the mean SNR of each
            picture's symbols.
    """

    schedule: Schedule
    snr_low: float = -5.0
    snr_high: float = 20.0
    loss: str = "mse"
    bfloat16: bool = False
    channel: str = "awgn"

    def __post_init__(self) -> None:
        Channel.from_spec(self.channel)
        if self.loss not in ("mse", "log"):
            raise InputError("loss", got=repr(self.loss), expected="mse or log")

    def to_meta(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def train_jscc(
    pictures: np.ndarray, config: JsccConfig, recipe: JsccRecipe, run: Run, start: JsccCoder | None = None
) -> JsccCoder:
    """Train a coder into a run folder; resumes what is there.

    Args:
        pictures: (count, H, W, 3) uint8, sides a multiple of four.
        start: weights to begin with, of the same config but for fewer stages; random ones if left out.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = JsccCoder(config)
    if start is not None:
        if replace(start.config, stages=config.stages) != config or start.config.stages > config.stages:
            raise InputError("start", got=f"a coder of {start.config}", expected=f"{config}, or of fewer stages")
        model.load_state_dict({**model.state_dict(), **start.state_dict()})
    if recipe.bfloat16:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  (faster, same numbers)
    data = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    height, width = data.shape[2:]
    channel = Channel.from_spec(recipe.channel)

    def loss_of(generator: torch.Generator, _: float) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.schedule.batch, generator)
        snr = uniform(recipe.snr_low, recipe.snr_high, len(batch), generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            sent = model.encode(batch, snr)
            seen, effective = over_channel(sent, snr, channel, generator)
            drawn = model.decode(seen, effective, height, width)
        by_picture = ((drawn - batch) ** 2).mean((1, 2, 3))
        if recipe.loss == "log":
            psnr = float(-10 * by_picture.detach().log10().mean())
            return 0.02 * (by_picture + 1e-4).log().mean(), {"psnr": psnr}
        error = by_picture.mean()
        return error, {"psnr": float(-10 * error.detach().log10())}

    fit(model, loss_of, recipe.schedule, run)
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
