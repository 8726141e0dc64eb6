"""3x3 convolutions through `PackedModel`, layout changes and checks of the input included: ratios, one a line.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_layers.py | tee packages/bnn-fsg/experiments/results/layers.jsonl

One picture, one thread, against torch eager in float32, taken in turn. W1A1: signs of the input by signs; W1A32:
numbers by signs, scaled by filter. "Four" are four in a row with BatchNorm after each, as in a network. `ratio` is how
many times as fast as torch, with its 95 % interval; `least` the ratio of the least times of both, which other work on
the machine disturbs least.
"""

from __future__ import annotations

import os
import time

import bnn_fsg.evaluation._speed as speed
import torch
from bnn_fsg import binarize, pack
from bnn_fsg.runtime._native import sets
from ninefold.measure import emit
from torch import nn

SHAPES = [
    ("W1A1", 1, 64, 56), ("W1A1", 4, 64, 56), ("W1A1", 1, 128, 28), ("W1A1", 4, 128, 28),
    ("W1A32", 1, 64, 56), ("W1A32", 1, 128, 28), ("W1A32", 1, 256, 14),
]  # fmt: skip


def arms(kind: str, layers: int, channels: int, size: int) -> dict:
    """torch float32 and the packed model, by name."""
    torch.manual_seed(0)
    x = torch.randn(1, channels, size, size)

    def make() -> nn.Sequential:
        made: list[nn.Module] = []
        for _ in range(layers):
            made.append(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
            made += [nn.BatchNorm2d(channels)] if layers > 1 else []
        return nn.Sequential(*made).eval()

    net, activations = make(), "sign" if kind == "W1A1" else None
    packed, given = (
        pack(binarize(make(), weights="bwn-f", activations=activations, example_input=x).eval(), x),
        x.numpy(),
    )

    def floats() -> torch.Tensor:
        with torch.inference_mode():
            return net(x)

    return {"torch float32": floats, "packed": lambda: packed(given)}


def least(arm, repeats: int) -> float:
    """Least seconds of one call."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        arm()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    torch.set_num_threads(1)
    for kind, layers, channels, size in SHAPES:
        made = arms(kind, layers, channels, size)
        what = f"{kind} 3x3 convolution" if layers == 1 else f"{kind}, four 3x3 convolutions with BatchNorm"
        own = speed.timed(made, repeats=31)["packed"]
        rounds = [{name: least(arm, 5) for name, arm in made.items()} for _ in range(9)]
        floats, packed = (min(one[name] for one in rounds) for name in made)
        emit(
            bench=f"{what} through PackedModel, {channels} channels, {size} x {size}, one thread",
            against="torch float32", ratio=round(own.ratio, 2), low=round(own.low, 2), high=round(own.high, 2),
            least=round(floats / packed, 2), microseconds=round(1e6 * packed, 1),
            vectors=sets()[0],
        )  # fmt: skip
    emit(bench="other work while timing", load=round(os.getloadavg()[0], 1), day=time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
