"""One perceptual pass: the second system's coarse decoder, trained on against a critic; one picture, no candidates.

uv run python packages/semcom/experiments/perceptual.py RUN_FOLDER [key=value,...]  (about 2 minutes on a core; a killed
run goes on) trains one and prints PSNR and distances of validation pictures at 0 dB, where choices are made.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.run import Run
from semcom.datasets import load
from semcom.evaluation import psnr
from semcom.models import JsccCoder, save_model
from semcom.multimodal import MMRecipe, MMSemCom, without_text
from semcom.multimodal._training import _through
from semcom.phy import Channel
from semcom.training import fit
from semcom.training._recipe import draw_batch, picture_tensor
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class PerceptualRecipe(MMRecipe):
    """How the decoder is trained on; it learns at a tenth of the critic's rate.

    Attributes:
        realism: weight of the critic's loss beside the logarithm of each picture's error.
    """

    steps: int = 250
    batch: int = 64
    lr: float = 1e-3
    average: float = 0.99
    snr_low: float = -5.0
    snr_high: float = 10.0
    bfloat16: bool = True
    symbols: int = 128
    realism: float = 0.1


class Critic(nn.Module):
    """Says of pictures (B, 3, 32, 32) how real they look: (B,), by convolutions of a bounded norm (Miyato 2018)."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        bounded = nn.utils.parametrizations.spectral_norm
        self.layers = nn.ModuleList(bounded(nn.Conv2d(a, b, 4, 2, 1)) for a, b in itertools.pairwise(widths))
        self.last = bounded(nn.Conv2d(widths[-1], 1, 4))

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        x = (pictures - 0.47) / 0.25
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.last(x).flatten(1).mean(1)


def train_perceptual(recipe: PerceptualRecipe, run: Run) -> JsccCoder:
    """Train the shipped decoder on, its encoder unchanged, on CIFAR-10's training pictures; resumes what is there."""
    torch.manual_seed(recipe.seed)
    link = without_text(MMSemCom.from_pretrained("mm-32"))
    coder, critic = link.features.coder, Critic()
    for name, one in coder.named_parameters():
        one.requires_grad_(not name.startswith("encoder"))
    data, places, count = picture_tensor(load("cifar10", "train")), link.features.places, link.features.count

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.batch, generator)
        snr = recipe.snrs(len(batch), generator)
        with recipe.products():
            with torch.no_grad():
                sent = coder.encode(batch, snr)
            drawn = _through(coder, sent, places, snr, count, (32, 32), generator)
            fixed = {name: one.detach() for name, one in critic.named_parameters()}
            fooled = F.softplus(-torch.func.functional_call(critic, fixed, (drawn,)).float()).mean()
            told = F.softplus(-critic(batch).float()).mean() + F.softplus(critic(drawn.detach()).float()).mean()
        near, about = recipe.loss_of(drawn, batch, 0.1, 1e-5)
        return near + recipe.realism * fooled + told, {
            **about,
            "fooled": float(fooled.detach()),
            "critic": float(told.detach()),
        }

    slow = {f"coder.{name}" for name, _ in coder.named_parameters()}
    fit(nn.ModuleDict({"coder": coder, "critic": critic}), loss_of, recipe, run, slow)
    return coder.requires_grad_(True)


def drawn_by(coder: JsccCoder, pictures: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    """Pictures (n, 32, 32, 3) uint8 as the decoder draws them after the noise that the coarse arms of `seed` have."""
    link = MMSemCom.from_pretrained("mm-32")
    bare, found = without_text(MMSemCom(coder, link.text_features, None, link.config)), []
    for begin in range(0, len(pictures), 64):
        part = pictures[begin : begin + 64]
        noise = np.random.default_rng([seed, begin])
        received = Channel().apply(bare.transmit(part, None, snr_db).symbols, snr_db, noise)
        found.append(bare.receive(received, snr_db, num_candidates=0).coarse)
    return np.concatenate(found)


def main(folder: str, words: str = "") -> None:
    """Train one decoder and print what it is worth on 160 validation pictures at 0 dB."""
    from semcom.multimodal import unsharp
    from semcom_experiments import foreign
    from semcom_experiments.distance import kid

    recipe = PerceptualRecipe.from_text(words)
    about = {"verb": "perceptual", **recipe.to_meta()}
    with Run(Path(folder), about) as run:
        coder = train_perceptual(recipe, run)
        save_model(coder, run.path / "model.safetensors", recipe=about, force=True)
    pictures = load("cifar10", "validation")
    sent, others = pictures[::3], np.delete(pictures, np.arange(0, len(pictures), 3), axis=0)
    shipped = MMSemCom.from_pretrained("mm-32").features.coder
    coarse = drawn_by(shipped, sent, 0.0, 1000)
    arms = {"one perceptual pass": drawn_by(coder, sent, 0.0, 1000), "coarse": coarse, "sources": sent}
    arms |= {f"unsharp {amount:g}": unsharp(coarse, amount) for amount in (1.0, 1.5, 2.0, 3.0)}
    for name, images in arms.items():
        said = [f"PSNR {psnr(images, sent).mean():.2f}" if name != "sources" else ""]
        for extract in (foreign.imagenet_features(), foreign.gradient_histograms):
            known = extract(others)
            distance = kid(foreign.scaled(extract(images), known), foreign.scaled(known, known))
            said.append(f"KID {1000 * distance:.0f}")
        sys.stdout.write(f"{name}: {', '.join(said)}\n")


if __name__ == "__main__":
    from ninefold_lab.experiments import register

    register("semcom", Path(__file__).parent)
    main(*sys.argv[1:])
