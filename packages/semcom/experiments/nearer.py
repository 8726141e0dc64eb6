"""Attempts at whole pictures nearer to AVIF + LDPC at a known SNR, judged on Caltech's test pictures alone.

uv run python packages/semcom/experiments/nearer.py ATTEMPT [RUN_FOLDER [key=value,...]]  prints PSNR at 0 and 5 dB, a
ratio of 1/12, beside the shipped coder's and AVIF's. `usual` and `low` train into the run folder (15 minutes on
a core; a killed run goes on), `sender` and `hybrid` do not train. `fading` asks which SNR a sender without feedback
had best assume.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from semcom.baselines import BlockDct, SoftCast
from semcom.baselines._dct import BLOCK, blocks_of, padded
from semcom.datasets import load_whole
from semcom.evaluation import psnr
from semcom.models import PictureCoder, load_picture_coder, pad_sides, save_model
from semcom.phy import Channel, reals_to_symbols
from semcom.training import PictureRecipe, train_picture
from semcom.whole import CodecLink, JointLink, WholeLink, carry_picture

RATIO = 1 / 12
_SNRS = (0.0, 5.0)
RECIPES = {
    "usual": {"steps": 3400, "lr": 5e-4, "unknown": 0.0, "channels": (8,), "snr_low": -2.0, "snr_high": 8.0},
    "low": {"steps": 1800, "lr": 1e-3, "unknown": 0.0, "channels": (8,), "snr_low": -2.0, "snr_high": 8.0,
            "crops": (128,), "batch": 12},
}  # fmt: skip
"""`usual`: the shipped ratio and SNRs alone. `low`: larger crops and a higher rate besides."""


class Refined(JointLink):
    """The sender improves its symbols by gradient descent through the decoder (Adam), noise drawn anew each time."""

    def __init__(self, steps: int = 40, rate: float = 0.03) -> None:
        super().__init__()
        self.steps, self.rate = steps, rate

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        """Symbols after so many steps of descent; see `WholeLink.send`."""
        wanted = torch.from_numpy(pad_sides(picture))[None].permute(0, 3, 1, 2).float() / 255
        snr, generator = torch.tensor([snr_db]), torch.Generator().manual_seed(0)
        with torch.no_grad():
            begin = self.model.encode(wanted, snr, self.channels)
        reals = begin.clone().requires_grad_()
        optimiser = torch.optim.Adam([reals], self.rate)
        for _ in range(self.steps):
            unit = reals * (begin.square().mean() / reals.square().mean()).sqrt()
            spread = float(begin.square().mean()) ** 0.5 * 10 ** (-snr_db / 20)
            noise = torch.randn(reals.shape, generator=generator) * spread
            error = (self.model.decode(unit + noise, snr) - wanted).square().mean()
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
        sent = reals_to_symbols(reals.detach().reshape(1, -1).numpy())[0]
        return (sent / np.sqrt(np.mean(np.abs(sent) ** 2))).astype(np.complex64)


def hybrid(
    share: float, analog: Callable[[float], WholeLink], picture: np.ndarray, snr: float, rng: np.random.Generator
) -> np.ndarray:
    """AVIF + LDPC in a share of the symbols, and what it leaves, halved about grey, by an analog link in the others."""
    base = carry_picture(CodecLink("avif", share * RATIO), picture, Channel(), snr, rng)
    drawn = carry_picture(analog((1 - share) * RATIO), rest_of(picture, base), Channel(), snr, rng)
    return (base + 2 * (drawn.astype(np.int16) - 128)).clip(0, 255).astype(np.uint8)


def rest_of(picture: np.ndarray, base: np.ndarray) -> np.ndarray:
    """What a picture has beyond another, halved about grey: (H, W, 3) uint8."""
    return ((picture.astype(np.int16) - base) // 2 + 128).clip(0, 255).astype(np.uint8)


def linear_for(share: float, snr: float) -> Callable[[float], WholeLink]:
    """The linear link with the statistics of what AVIF leaves of 60 training pictures at a share of the symbols."""
    blocks, avif = [], CodecLink("avif", share * RATIO)
    for place, picture in enumerate(load_whole("caltech101", "train")[:60]):
        base = carry_picture(avif, picture, Channel(), snr, np.random.default_rng(place))
        blocks.append(blocks_of(padded(rest_of(picture, base), BLOCK)))
    variances = np.square(np.concatenate(blocks)).mean(0)
    return lambda ratio: BlockDct(ratio, variances)


def fading(draws: int = 12) -> None:
    """Print PSNR through slow Rayleigh fading, mean of 10 dB, by the SNR that the sender assumes; the same fades."""
    link, channel = JointLink(), Channel.from_spec("rayleigh:image")
    pictures = load_whole("caltech101", "test")[:24]
    for assumed in (0.0, 2.5, 5.0, 7.5, 10.0):
        found = [
            psnr(
                carry_picture(link, one, channel, 10.0, np.random.default_rng([place, draw]), assumed)[None], one[None]
            )
            for place, one in enumerate(pictures)
            for draw in range(draws)
        ]
        sys.stdout.write(f"assumed {assumed:g} dB: {np.mean(found):.3f}\n")
        sys.stdout.flush()


def trained(attempt: str, words: str, folder: str) -> PictureCoder:
    """The coder of an attempt, trained into a run folder from the shipped weights on; resumes what is there."""
    recipe = PictureRecipe.from_text(words, **RECIPES[attempt])
    about = {"verb": f"nearer {attempt}", **recipe.to_meta()}
    with Run(Path(folder), about) as run:
        model = train_picture(load_whole("caltech101", "train"), load_picture_coder(), recipe, run)
        save_model(model, run.path / "model.safetensors", recipe=about, half=True, force=True)
    return model


def main(attempt: str, folder: str = "", words: str = "") -> None:
    """Make an attempt and print its PSNR on Caltech's test pictures."""
    if attempt == "fading":
        fading()
        return
    arms: dict[str, Callable[..., np.ndarray]] = {}

    def link(made: WholeLink) -> Callable[..., np.ndarray]:
        return lambda picture, snr, rng: carry_picture(made, picture, Channel(), snr, rng)

    if attempt == "sender":
        arms["40 steps of the sender's"] = link(Refined())
    elif attempt == "hybrid":
        for share in (0.5, 0.75, 0.9):
            kinds = {"linear": functools.cache(functools.partial(linear_for, share)), "SoftCast": lambda _: SoftCast}
            for name, kind in kinds.items():
                arms[f"AVIF in {share:g}, the rest {name}"] = lambda picture, snr, rng, share=share, kind=kind: hybrid(
                    share, kind(snr), picture, snr, rng
                )
            base = CodecLink("avif", share * RATIO)
            arms[f"AVIF in {share:g} alone"] = link(base)
    elif attempt in RECIPES:
        arms[attempt] = link(JointLink(trained(attempt, words, folder)))
    else:
        raise InputError("attempt", got=repr(attempt), expected=f"one of sender, hybrid, fading, {', '.join(RECIPES)}")
    arms |= {"shipped": link(JointLink()), "AVIF": link(CodecLink("avif", RATIO))}
    pictures = load_whole("caltech101", "test")[: 8 if attempt == "sender" else 24]  # 20 seconds a picture
    for name, carry in arms.items():
        for snr in _SNRS:
            found = [
                psnr(carry(picture, snr, np.random.default_rng(place))[None], picture[None])[0]
                for place, picture in enumerate(pictures)
            ]
            sys.stdout.write(f"{name}, {snr:g} dB: {np.mean(found):.2f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
