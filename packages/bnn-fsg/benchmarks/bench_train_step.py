"""Seconds of a compact FSG step beside a straight-through step, ResNet-20 at batch 128: one JSON line.

uv run python packages/bnn-fsg/benchmarks/bench_train_step.py
"""

import torch
from bnn_fsg._train.fsg import FSG
from bnn_fsg._train.gradient import Gradient
from bnn_fsg._train.layers import binarize
from bnn_fsg._train.nets import build
from ninefold.bench import compare, emit, peak_rss_anon

BATCH = 128
torch.manual_seed(0)
x, y = torch.randn(BATCH, 3, 32, 32), torch.randint(0, 10, (BATCH,))
start = build("resnet20", 10, 3)


def stepper(kind):
    model = binarize(start, "dorefa", example_input=x[:2])
    gradient = kind(model, torch.optim.SGD(model.parameters(), lr=1e-3))
    return gradient, lambda: gradient.step(lambda: torch.nn.functional.cross_entropy(model(x), y))


_, ste = stepper(Gradient)
fsg, step = stepper(FSG)
for _ in range(6):  # until the history is full
    step()
with peak_rss_anon() as straight:
    ste()
with peak_rss_anon() as learned:
    step()
ratio = compare({"fsg": step, "ste": ste}, repeats=7)["ste"]
weights = sum(layer.weight.numel() for layer in fsg.layers)
allowed = (5 + 4) * weights * 4 + 256 * 2**20
emit(benchmark="compact FSG step / STE step", ratio=ratio.ratio, low=ratio.low, high=ratio.high, bar=2.0)
emit(benchmark="extra peak memory of a step, MiB", extra=(learned.above - straight.above) / 2**20, bar=allowed / 2**20)
