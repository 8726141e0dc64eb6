"""Training of the joint source-channel coders over AWGN."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import JsccCoder, JsccConfig
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
    """

    schedule: Schedule
    snr_low: float = -5.0
    snr_high: float = 20.0
    loss: str = "mse"
    bfloat16: bool = False

    def __post_init__(self) -> None:
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

    def loss_of(generator: torch.Generator, _: float) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.schedule.batch, generator)
        snr = uniform(recipe.snr_low, recipe.snr_high, len(batch), generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            sent = model.encode(batch, snr)
            noise = torch.randn(sent.shape, generator=generator) * (10 ** (-snr / 20))[:, None]
            drawn = model.decode(sent + noise, snr, height, width)
        by_picture = ((drawn - batch) ** 2).mean((1, 2, 3))
        if recipe.loss == "log":
            psnr = float(-10 * by_picture.detach().log10().mean())
            return 0.02 * (by_picture + 1e-4).log().mean(), {"psnr": psnr}
        error = by_picture.mean()
        return error, {"psnr": float(-10 * error.detach().log10())}

    fit(model, loss_of, recipe.schedule, run)
    return model
