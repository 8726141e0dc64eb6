"""How the judge that comes with the package was trained: the classifier that scores received pictures, never selects.

uv run python packages/semcom/experiments/judged.py RUN_FOLDER  (about 8 minutes on a core; a killed run goes on)
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from ninefold.run import Run
from semcom.datasets import Captioned, load_captioned
from semcom.models import Judge, JudgeConfig, save_model
from semcom.multimodal import MMRecipe
from semcom.training import fit
from semcom.training._recipe import augment, picture_tensor
from torch import Tensor


def train_judge(data: Captioned, config: JudgeConfig, recipe: MMRecipe, run: Run) -> Judge:
    """Train the classifier on clean training pictures; resumes what is there."""
    if config.classes != len(data.classes):
        raise InputError("classes", got=config.classes, expected=f"{len(data.classes)}, as the data have")
    torch.manual_seed(recipe.seed)
    model, images, labels = Judge(config), picture_tensor(data.images), torch.from_numpy(data.labels)

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        at = torch.randint(len(images), (recipe.batch,), generator=generator)
        with recipe.products():
            logits = model(augment(images[at], generator)).float()
        right = (logits.argmax(dim=1) == labels[at]).float().mean()
        return F.cross_entropy(logits, labels[at], label_smoothing=0.1), {"right": float(right)}

    fit(model, loss_of, recipe, run)
    return model


def main(folder: str) -> None:
    """Train the judge of the package into a run folder."""
    torch.set_num_threads(1)
    data, recipe = load_captioned("cifar10", "train"), MMRecipe(steps=1000, lr=2e-3, bfloat16=True)
    about = {"verb": "judged", **recipe.to_meta()}
    with Run(Path(folder), about) as run:
        model = train_judge(data, JudgeConfig(len(data.classes)), recipe, run)
        save_model(model, run.path / "model.safetensors", recipe=about, half=True, force=True)


if __name__ == "__main__":
    main(sys.argv[1])
