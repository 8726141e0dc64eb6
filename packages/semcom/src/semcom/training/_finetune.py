"""Fine-tuning of a masked autoencoder for a noisy link (inferred): off the shelf it draws kept patches badly.

Loss: mean squared error of masked patches + `kept_weight` times that of kept patches. The encoder learns at a tenth of
the rate, or not at all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import HubMae, SmallMae, patchify
from semcom.training._loop import Schedule, fit, own_rows
from semcom.training._mae import CLEAN_SHARE, draw_batch, noisy_tokens, uniform


@dataclass(frozen=True)
class FinetuneRecipe:
    """How a model is fine-tuned; see the module for the loss.

    Attributes:
        schedule: steps, batch, rate.
        low, high: mask ratios, drawn evenly, one a batch.
        snr_low, snr_high: Es/N0 in dB, drawn evenly, one a picture.
        kept_weight: lambda.
        freeze_encoder: leave the encoder as it is.
    """

    schedule: Schedule
    low: float = 0.5
    high: float = 0.9
    snr_low: float = -5.0
    snr_high: float = 20.0
    kept_weight: float = 1.0
    freeze_encoder: bool = False

    def to_meta(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def finetune(
    model: SmallMae | HubMae, pictures: np.ndarray, recipe: FinetuneRecipe, run: Run | None, device: str = "cpu"
) -> SmallMae | HubMae:
    """Fine-tune a model in place into a run folder; resumes what is there.

    Under torchrun the processes share each batch, and the result is that of one process.

    Args:
        pictures: (count, H, W, 3) uint8 of the model's size.
        run: the run folder; None in all processes but the first.
        device: where the model learns; it comes back on the CPU.
    """
    if pictures.shape[1:3] != (model.image_size, model.image_size):
        got, size = f"{pictures.shape[1]} x {pictures.shape[2]}", model.image_size
        raise InputError("pictures", got=got, expected=f"{size} x {size}, the model's size")
    torch.manual_seed(recipe.schedule.seed)
    data = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    starts = ("patch_embed.", "blocks.", "cls", "model.vit.")
    encoder = {name for name, _ in model.named_parameters() if name.startswith(starts)}
    for name, one in model.named_parameters():
        fixed = "position_embeddings" in name or "pos_embed" in name or (recipe.freeze_encoder and name in encoder)
        one.requires_grad_(not fixed)
    model.to(device)
    rows = own_rows(recipe.schedule.batch)

    def loss_of(generator: torch.Generator, _: float) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.schedule.batch, generator)
        count = model.num_patches
        ratio = float(uniform(recipe.low, recipe.high, 1, generator))
        number = min(count - 1, max(1, int(count * (1 - ratio) + 1e-6)))
        kept = torch.rand(len(batch), count, generator=generator).argsort(dim=1)[:, :number].sort(dim=1).values
        snr = uniform(recipe.snr_low, recipe.snr_high, len(batch), generator)
        clean = torch.rand(len(batch), generator=generator) < CLEAN_SHARE
        batch, kept = batch[rows].to(device), kept[rows].to(device)
        tokens = noisy_tokens(model.encode(batch, kept), snr, clean, generator, rows)
        error = (model.decode(model.embed(tokens), kept) - batch) ** 2
        by_patch = patchify(error, model.patch_size).mean(dim=2)
        shown = torch.zeros(by_patch.shape, dtype=torch.bool, device=device).scatter(1, kept, True)
        masked_error, kept_error = by_patch[~shown].mean(), by_patch[shown].mean()
        loss = masked_error + recipe.kept_weight * kept_error
        return loss, {"masked": float(masked_error.detach()), "kept": float(kept_error.detach())}

    fit(model, loss_of, recipe.schedule, run, slow=encoder)
    return model.to("cpu")
