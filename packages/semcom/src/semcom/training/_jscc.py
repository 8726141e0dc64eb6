"""Training of the joint source-channel coders over AWGN."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from ninefold.run import Run
from torch import Tensor

from semcom.models import JsccCoder, JsccConfig
from semcom.training._loop import Schedule, fit
from semcom.training._mae import draw_batch, uniform


@dataclass(frozen=True)
class JsccRecipe:
    """How a coder is trained: mean squared error, Es/N0 drawn evenly between two values, one a picture."""

    schedule: Schedule
    snr_low: float = -5.0
    snr_high: float = 20.0

    def to_meta(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def train_jscc(pictures: np.ndarray, config: JsccConfig, recipe: JsccRecipe, run: Run) -> JsccCoder:
    """Train a coder into a run folder; resumes what is there.

    Args:
        pictures: (count, H, W, 3) uint8, sides a multiple of four.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = JsccCoder(config)
    data = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    height, width = data.shape[2:]

    def loss_of(generator: torch.Generator, _: float) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.schedule.batch, generator)
        snr = uniform(recipe.snr_low, recipe.snr_high, len(batch), generator)
        sent = model.encode(batch, snr)
        noise = torch.randn(sent.shape, generator=generator) * (10 ** (-snr / 20))[:, None]
        error = ((model.decode(sent + noise, snr, height, width) - batch) ** 2).mean()
        return error, {"psnr": float(-10 * error.detach().log10())}

    fit(model, loss_of, recipe.schedule, run)
    return model
