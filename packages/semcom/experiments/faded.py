"""Attempts at a gain of training through Rayleigh fading over training in AWGN, judged on validation pictures alone.

uv run python packages/semcom/experiments/faded.py ATTEMPT RUN_FOLDER  (5 to 8 minutes on a core; a killed run goes on)
trains DeepJSCC twice, alike but for the channel, and prints PSNR of both through the fading.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.run import Run
from semcom.datasets import load
from semcom.evaluation import psnr
from semcom.models import JsccCoder, JsccConfig
from semcom.phy import Channel
from semcom.training import JsccRecipe, train_jscc

MEAN = 10.0  # SNR in dB
ATTEMPTS = {
    "on": ("rayleigh:image", 2250, 5e-4),
    "rate": ("rayleigh:image", 3000, 2e-3),
    "fast": ("rayleigh:symbol", 3000, 1e-3),
}
"""Channel, steps and rate. `on`: both arms go on from one that AWGN trained for 3,000 steps; `rate`: at twice the rate;
`fast`: a gain of its own for each symbol, known to the receiver."""


def trained(channel: str, folder: Path, steps: int, lr: float, start: JsccCoder | None = None) -> JsccCoder:
    """DeepJSCC trained over a channel, seed 0; resumes what is there."""
    recipe = JsccRecipe(
        channel=channel, snr_low=MEAN, snr_high=MEAN, steps=steps, batch=64, lr=lr, loss="log", average=0.999
    )
    with Run(folder, {**recipe.to_meta(), "goes on": start is not None}) as run:
        return train_jscc(load("cifar10", "train"), JsccConfig("deepjscc", 8), recipe, run, start)


def main(attempt: str, folder: str) -> None:
    """Train both and print their mean PSNR on validation pictures through the fading, eight draws."""
    from semcom_experiments.coders import carried

    if attempt not in ATTEMPTS:
        raise InputError("attempt", got=repr(attempt), expected=f"one of {', '.join(ATTEMPTS)}")
    spec, steps, lr = ATTEMPTS[attempt]
    place, pictures = Path(folder), load("cifar10", "validation")
    start = trained("awgn", place / "start", 3000, 1e-3) if attempt == "on" else None
    for channel in (spec, "awgn"):
        model = trained(channel, place / channel.replace(":", "-"), steps, lr, start)
        found = [
            psnr(carried(model, pictures, Channel.from_spec(spec), MEAN, np.random.default_rng([draw, 5])), pictures)
            for draw in range(8)
        ]
        sys.stdout.write(f"trained over {channel}: {np.mean(found):.3f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    from ninefold_lab.experiments import register

    register("semcom", Path(__file__).parent)
    main(*sys.argv[1:])
