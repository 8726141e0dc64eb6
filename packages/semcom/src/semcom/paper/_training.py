"""Training of the masked autoencoder over a noisy link: a small one from the first step on, or fine-tuning of any.

Fine-tuning (inferred) is needed since off the shelf kept patches are drawn badly: mean squared error of masked patches
+ `kept_weight` times that of kept patches; the encoder learns at a tenth of the rate, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.models import HubMae, MaeConfig, SmallMae, patchify
from semcom.training import Recipe, fit, own_rows
from semcom.training._recipe import draw_batch, picture_tensor, uniform

CLEAN_SHARE = 0.15  # pictures of a batch whose latents meet no noise


@dataclass(frozen=True, kw_only=True)
class MaeRecipe(Recipe):
    """How a masked autoencoder is trained.

    Attributes:
        low, high: mask ratios are drawn evenly between them, one a batch.
        kept_weight: lambda of fine-tuning.
        freeze_encoder: leave the encoder as it is in fine-tuning.
    """

    steps: int = 2600
    low: float = 0.5
    high: float = 0.9
    kept_weight: float = 1.0
    freeze_encoder: bool = False

    def draw(self, data: Tensor, patches: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """(pictures in [0, 1], kept patches (B, n) ascending, Es/N0 (B,), which meet no noise (B,)) of a step."""
        batch = draw_batch(data, self.batch, generator)
        ratio = float(uniform(self.low, self.high, 1, generator))
        number = min(patches - 1, max(1, int(patches * (1 - ratio) + 1e-6)))
        order = torch.rand(self.batch, patches, generator=generator).argsort(dim=1)
        kept = order[:, :number].sort(dim=1).values
        snr = self.snrs(self.batch, generator)
        return batch, kept, snr, torch.rand(self.batch, generator=generator) < CLEAN_SHARE


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
    torch.manual_seed(recipe.seed)
    model, data = SmallMae(config), picture_tensor(pictures)
    if start is not None:
        if start.config != config:
            raise InputError("start", got=f"a model of {start.config}", expected=f"one of {config}")
        model.load_state_dict(start.state_dict())

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch, kept, snr, clean = recipe.draw(data, model.num_patches, generator)
        tokens = noisy_tokens(model.encode(batch, kept), snr, clean, generator)
        return recipe.loss_of(model.decode(model.embed(tokens), kept), batch)

    fit(model, loss_of, recipe, run)
    return model


def finetune(
    model: SmallMae | HubMae, pictures: np.ndarray, recipe: MaeRecipe, run: Run | None, device: str = "cpu"
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
    torch.manual_seed(recipe.seed)
    data = picture_tensor(pictures)
    starts = ("patch_embed.", "blocks.", "cls", "model.vit.")
    encoder = {name for name, _ in model.named_parameters() if name.startswith(starts)}
    for name, one in model.named_parameters():
        fixed = "position_embeddings" in name or "pos_embed" in name or (recipe.freeze_encoder and name in encoder)
        one.requires_grad_(not fixed)
    model.to(device)
    rows = own_rows(recipe.batch)

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch, kept, snr, clean = recipe.draw(data, model.num_patches, generator)
        batch, kept = batch[rows].to(device), kept[rows].to(device)
        tokens = noisy_tokens(model.encode(batch, kept), snr, clean, generator, rows)
        error = (model.decode(model.embed(tokens), kept) - batch) ** 2
        by_patch = patchify(error, model.patch_size).mean(dim=2)
        shown = torch.zeros(by_patch.shape, dtype=torch.bool, device=device).scatter(1, kept, True)
        masked_error, kept_error = by_patch[~shown].mean(), by_patch[shown].mean()
        loss = masked_error + recipe.kept_weight * kept_error
        return loss, {"masked": float(masked_error.detach()), "kept": float(kept_error.detach())}

    fit(model, loss_of, recipe, run, slow=encoder)
    return model.to("cpu")
