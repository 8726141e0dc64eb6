"""A compact FSG step beside a straight-through step, ResNet-20 at batch 128, and how the slow-net's time grows.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_train_step.py

`channels first` is torch's default memory format, `channels last` what the trainer uses. One JSON line each.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.fsg._fsg import FSG
from bnn_fsg.fsg._slow_net import SlowNet
from bnn_fsg.layers._layers import binarize
from bnn_fsg.layers._nets import build
from ninefold.measure import compare, emit
from ninefold_testing import peak_rss_anon

BATCH = 128
FORMATS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def steppers(form: torch.memory_format) -> dict[str, Any]:
    """{name: (estimator, a step)} on random pictures, from the same start."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=form)
    y, start = torch.randint(0, 10, (BATCH,)), build("resnet20", 10, 3)
    made = {}
    for name, kind in (("fsg", FSG), ("ste", Gradient)):
        model = binarize(start, "dorefa", example_input=x[:2])
        gradient = kind(model, torch.optim.SGD(model.parameters(), lr=1e-3))

        def step(model: Any = model, gradient: Any = gradient) -> Any:
            return gradient.step(lambda: torch.nn.functional.cross_entropy(model(x), y))

        made[name] = gradient, step
    return made


def slow_seconds(steps: int, count: int) -> float:
    """Least time of the slow-net's forward and backward pass over `count` weights with `steps` gradients each."""
    torch.manual_seed(0)
    net, history, v = SlowNet(1), torch.randn(steps, count), torch.randn(count)
    taken = []
    for _ in range(6):
        begin = time.perf_counter()
        net.last(history, 0).backward(v)
        taken.append(time.perf_counter() - begin)
    return min(taken[1:])


def main() -> None:
    torch.set_num_threads(1)
    for words, form in FORMATS.items():
        made = steppers(form)
        (fsg, step), (_, ste) = made["fsg"], made["ste"]
        for _ in range(6):  # until the history is full
            step()
        found = compare({"fsg": step, "ste": ste}, repeats=7)
        one = found["ste"]
        emit(
            bench=f"compact FSG step / STE step, ResNet-20, batch {BATCH}, {words}", ratio=round(one.ratio, 2),
            low=round(one.low, 2), high=round(one.high, 2), seconds_of_fsg=round(found["fsg"].seconds, 3), bar=2.0,
        )  # fmt: skip
    with peak_rss_anon() as straight:
        ste()
    with peak_rss_anon() as learned:
        step()
    weights = sum(layer.weight.numel() for layer in fsg.layers)
    allowed = (5 + 4) * weights * 4 / 2**20 + 256
    extra = (learned.above - straight.above) / 2**20
    emit(bench="extra peak memory of an FSG step, MiB", extra=round(extra, 1), bar=round(allowed, 1))
    base = slow_seconds(5, 100_000)
    emit(bench="slow-net, times as long for twice the weights", ratio=round(slow_seconds(5, 200_000) / base, 2))
    longer = slow_seconds(10, 100_000) / base
    emit(bench="slow-net, times as long for twice the history, 10 for 5", ratio=round(longer, 2))


if __name__ == "__main__":
    main()
