"""Attempts at .3 dB above public DeepJSCC weights on CIFAR-10 at a ratio of 1/12, judged on validation pictures alone.

uv run python packages/semcom/experiments/longer.py ATTEMPT RUN_FOLDER [key=value,...]  (about 15 minutes on a core; a
killed run goes on) trains `stages`, `wide`, `data` or `context` and prints PSNR by SNR beside the shipped coder's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from PIL import Image
from semcom.datasets import cut_tiles, load, load_whole
from semcom.evaluation import psnr
from semcom.models import JsccCoder, JsccConfig, PictureCoder, load_jscc, load_picture_coder, save_model
from semcom.phy import Channel
from semcom.training import JsccRecipe, PictureRecipe, train_jscc, train_picture

ATTEMPTS = {
    "stages": "two more stages on each side",
    "wide": "the same, and 96 channels in place of 64, which at first change nothing",
    "data": "`stages`, on CIFAR-10 and tiles of Caltech's training pictures at a half and a third of their size",
    "context": "the coder of whole pictures, at one ratio, on pictures of 32 x 32",
}
STEPS = {"stages": 4400, "wide": 2200, "data": 4400, "context": 3700}  # of about 15 minutes on a core
_SNRS = (4.0, 5.0, 7.0, 10.0, 13.0)
_SCHEDULE = {"batch": 64, "lr": 1e-3, "average": 0.999, "snr_low": 2.0, "snr_high": 15.0, "loss": "log",
             "bfloat16": True}  # fmt: skip


def widened(coder: JsccCoder, width: int, stages: int) -> JsccCoder:
    """A wider ADJSCC with more stages that draws the same pictures: nothing old sees a new channel."""
    old = coder.config
    if old.kind != "adjscc" or width < old.width or stages < old.stages:
        raise InputError("width, stages", got=(width, stages), expected=f"at least ({old.width}, {old.stages}), adjscc")
    model = JsccCoder(JsccConfig(old.kind, old.channels, width, stages))
    state = model.state_dict()
    for name, value in coder.state_dict().items():
        part = state[name]
        if part.ndim > 1:
            part[: value.shape[0]] = 0
        if part.shape != value.shape and name.endswith("first.weight") and part.ndim == 2:  # attention: the SNR is last
            part[: value.shape[0], -1] = value[:, -1]
            value = value[:, :-1]
        part[tuple(slice(size) for size in value.shape)] = value
    model.load_state_dict(state)
    for stage in [*model.encoder_stages[old.stages :], *model.decoder_stages[old.stages :]]:
        torch.nn.init.zeros_(stage.second.bias)  # type: ignore[arg-type]
    return model


def more_tiles() -> np.ndarray:
    """Tiles of 32 x 32 of Caltech's training pictures at a half and a third of their size."""
    small = []
    for picture in load_whole("caltech101", "train"):
        for part in (2, 3):
            size = (max(32, picture.shape[1] // part), max(32, picture.shape[0] // part))
            small.append(np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)))
    return cut_tiles([one[: one.shape[0] // 32 * 32, : one.shape[1] // 32 * 32] for one in small], 32)[0]


def trained(attempt: str, words: str, folder: str) -> JsccCoder | PictureCoder:
    """The coder of an attempt, trained into a run folder from shipped weights on; resumes what is there."""
    if attempt not in ATTEMPTS:
        raise InputError("attempt", got=repr(attempt), expected=f"one of {', '.join(ATTEMPTS)}")
    pictures = load("cifar10", "train")
    given = {"steps": STEPS[attempt], **_SCHEDULE}
    if attempt == "context":
        given |= {"crops": (32,), "channels": (8,), "unknown": 0.0}
        recipe: JsccRecipe = PictureRecipe.from_text(words, **given)
    else:
        recipe = JsccRecipe.from_text(words, **given)
    about = {"verb": f"longer {attempt}", **recipe.to_meta()}
    with Run(Path(folder), about) as run:
        if isinstance(recipe, PictureRecipe):
            model = train_picture(list(pictures), load_picture_coder(), recipe, run)
        else:
            if attempt == "data":
                pictures = np.concatenate([pictures, more_tiles()])
            shipped = load_jscc("adjscc-c8")
            start = widened(shipped, 96 if attempt == "wide" else shipped.config.width, shipped.config.stages + 2)
            model = train_jscc(pictures, start.config, recipe, run, start)
        save_model(model, run.path / "model.safetensors", recipe=about, half=True, force=True)
    return model


def main(attempt: str, folder: str, words: str = "") -> None:
    """Train an attempt and print its PSNR and the shipped coder's on validation pictures."""
    from semcom_experiments.coders import carried

    coders = {attempt: trained(attempt, words, folder), "adjscc-c8": load_jscc("adjscc-c8")}
    pictures = load("cifar10", "validation")
    for name, model in coders.items():
        found = [carried(model, pictures, Channel(), snr, np.random.default_rng(9)) for snr in _SNRS]
        shown = "  ".join(
            f"{snr:g} dB: {psnr(images, pictures).mean():.3f}" for snr, images in zip(_SNRS, found, strict=True)
        )
        sys.stdout.write(f"{name}: {shown}\n")


if __name__ == "__main__":
    from ninefold_lab.experiments import register

    register("semcom", Path(__file__).parent)
    main(*sys.argv[1:])
