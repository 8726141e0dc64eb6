"""Anonymous memory that a FSG step takes at 11 million 1-bit weights, beside a straight-through step.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_memory.py | tee packages/bnn-fsg/experiments/results/memory.jsonl

Each estimator in a process of its own: peak over eight steps, less what model and batch took before it was made. The
bar is (history + 4) x weights x 4 bytes + 256 MB, for what FSG takes beyond straight-through.
"""

from __future__ import annotations

import itertools
import subprocess
import sys

import torch
from bnn_fsg import FSG, STE, binarize
from ninefold.measure import emit
from ninefold_testing import peak_rss_anon
from torch import nn

_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)  # eleven million weights, as a ResNet-18 has
_HISTORY, _STEPS = 5, 8


def measure(name: str) -> tuple[int, int]:
    """(weights, bytes)."""
    torch.manual_seed(0)
    pairs = list(itertools.pairwise(_WIDTHS))
    parts = [(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairs]
    layers = [layer for part in parts for layer in part]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_WIDTHS[-1], 10))
    x, y = torch.randn(2, _WIDTHS[0], 8, 8), torch.tensor([1, 2])
    model = binarize(net, weights="dorefa", example_input=x)
    count = sum(layer.weight.numel() for layer in net if isinstance(layer, nn.Conv2d))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    with peak_rss_anon() as peak:
        gradient = FSG(model, optimizer, history=_HISTORY) if name == "fsg" else STE(model, optimizer)
        for _ in range(_STEPS):
            gradient.step(lambda: nn.functional.cross_entropy(model(x), y))
    return count, peak.above


def main() -> None:
    if len(sys.argv) > 1:
        print(*measure(sys.argv[1]))
        return
    found = {}
    for name in ("ste", "fsg"):
        words = [sys.executable, __file__, name]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        count, found[name] = map(int, done.stdout.split())
    bar = (_HISTORY + 4) * count * 4 + 256_000_000
    emit(
        bench="memory of a step", weights=count, history=_HISTORY,
        megabytes={name: round(one / 1e6) for name, one in found.items()},
        beyond_straight_through=round((found["fsg"] - found["ste"]) / 1e6), bar=round(bar / 1e6),
    )  # fmt: skip


if __name__ == "__main__":
    main()
