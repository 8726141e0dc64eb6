"""Packed kernels and a whole packed ResNet-20 against float32, int8 and onnxruntime: ratios, one JSON line each.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_packed.py | tee packages/bnn-fsg/experiments/results/packed.jsonl

`ratio` is how many times as fast as `against`, median of rounds taken in turn, with its 95 % interval. The network is
AdaBin's ResNet-20; torch runs it with its 1-bit weights made beforehand, and also with BatchNorm folded ("folded").
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bnn_fsg.evaluation._speed as speed
import products
import torch
from bnn_fsg import adabin_resnet20, pack
from bnn_fsg.layers._adabin import AdaBinConv2d
from bnn_fsg.runtime._native import sets
from ninefold.measure import emit

VECTORS = sets()[0]
PRODUCTS = [(1024, 1152, 128), (196, 2304, 256), (256, 4608, 512)]
PICTURES = [(64, 56), (64, 28), (128, 28), (256, 14), (512, 7)]
COLD = """
import sys, time
start = time.perf_counter()
import numpy as np
from bnn_fsg import PackedModel
from ninefold.measure import rss_anon
model = PackedModel.load(sys.argv[1])
model(np.ones((1, 3, 32, 32), np.float32))
first, seconds = rss_anon(), time.perf_counter() - start
model(np.ones((256, 3, 32, 32), np.float32))
assert "torch" not in sys.modules
print(seconds, first, rss_anon())
"""


def show(what: str, arms: dict, repeats: int = 31) -> None:
    """The last arm against each other one, pair by pair."""
    *rivals, own = arms
    for name in rivals:
        pair = speed.timed({name: arms[name], own: arms[own]}, repeats=repeats)[own]
        emit(
            bench=what, against=name, ratio=round(pair.ratio, 2), low=round(pair.low, 2), high=round(pair.high, 2),
            microseconds=round(1e6 * pair.seconds, 1), vectors=VECTORS,
        )  # fmt: skip


def eager(model: torch.nn.Module):
    """The network with its weights binarised once, as a user of float32 would run it."""
    for layer in model.modules():
        if isinstance(layer, AdaBinConv2d):
            found = layer.binary_weight()
            weight = found.sign * found.scale[:, None, None, None] + found.shift[:, None, None, None]
            layer.forward = lambda x, layer=layer, weight=weight: torch.nn.functional.conv2d(
                layer.binary_a(x), weight, None, layer.stride, layer.padding
            )
    return model


def main() -> None:
    torch.set_num_threads(1)
    for rows, inner, columns in PRODUCTS:
        arms = products.product_arms(rows, inner, columns, ("float32", "int8"))
        show(f"product {rows} x {inner} x {columns}, one thread", arms)
    for channels, size in PICTURES:
        arms = products.convolution_arms(channels, size)
        show(f"3x3 convolution with sign and pack, {channels} channels, {size} x {size}, one thread", arms)
    model = adabin_resnet20()
    packed = pack(model, torch.zeros(1, 3, 32, 32))
    net = eager(model)
    for batch in (1, 32):
        arms = speed.model_arms(packed, batch, ("float32", "onnx"))
        x = torch.randn(batch, 3, 32, 32)

        def plain(x: torch.Tensor = x) -> torch.Tensor:
            with torch.inference_mode():
                return net(x)

        arms = {"torch eager": plain, "torch eager, folded": arms.pop("torch float32"), **arms}
        show(f"AdaBin ResNet-20, batch {batch}, one thread", arms)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.bnn"
        packed.save(path)
        for _ in range(2):
            done = subprocess.run([sys.executable, "-c", COLD, str(path)], capture_output=True, text=True, check=True)
        seconds, first, later = map(float, done.stdout.split())
    emit(bench="import and first result, warm cache", seconds=round(seconds, 2), vectors=VECTORS)
    emit(
        bench="RssAnon, MB", after_one=round(first / 1e6, 1), after_256=round(later / 1e6, 1), file_bytes=packed.nbytes
    )
    emit(bench="other work while timing", load=round(os.getloadavg()[0], 1), day=time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
