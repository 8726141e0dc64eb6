"""Heads of equal operations or time, and `occ3d-r50` in 32 and 8 bits: time in onnxruntime on one thread, in JSON lines.

OMP_NUM_THREADS=1 uv run python packages/fastocc/experiments/benchmarks/bench_onnx.py [ROUNDS]
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastocc.export import OnnxGraph, export_head, export_model, quantize_graph
from fastocc.geometry import CameraRig
from fastocc.models import FastOccConfig, FastOccModel, build_head
from ninefold.measure import compare, emit

ROUNDS, EQUAL = (
    int(sys.argv[1]) if len(sys.argv) > 1 else 9,
    {"c2h": (96, 185), "c2h, 108 wide": (108, 208), "fastocc": (0, 0), "dcn-c2h": (64, 206)},
)
torch.set_num_threads(1)
random = np.random.default_rng(0)


def timed(benchmark: str, calls: dict, rounds: int) -> None:
    """Print the time of each call, and as a share of the first one's."""
    for name, one in compare(calls, repeats=rounds).items():
        emit(
            benchmark=benchmark, threads=1, graph=name, milliseconds=round(1000 * one.seconds, 1),
            share_of_first=round(1 / one.ratio, 3), low=round(1 / one.high, 3), high=round(1 / one.low, 3),
        )  # fmt: skip


with tempfile.TemporaryDirectory() as folder:
    mini, bev, calls = FastOccConfig.preset("mini"), torch.randn(1, 32, 80, 80), {}
    for head, (width, hidden) in EQUAL.items():
        kind = head.split(",")[0]
        made = build_head(kind, mini.with_head(kind, width=width, hidden=hidden)).eval()
        calls[head] = partial(OnnxGraph(export_head(made, bev, Path(folder) / f"head-{head}"), 1), bev.numpy())
    timed("heads of equal operations", calls, 3 * ROUNDS)
    config, calls = FastOccConfig.preset("occ3d-r50"), {}
    images = random.standard_normal((1, 6, 3, *config.image_size)).astype(np.float32)
    for head in ("fastocc", "dcn-c2h", "c2h"):
        torch.manual_seed(0)
        model = FastOccModel(config.with_head(head)).eval()
        whole = export_model(model, CameraRig.nominal(*config.image_size), Path(folder) / head)
        small = quantize_graph(whole, [images], Path(folder) / f"{head}-int8")
        for bits, path in ((32, whole), (8, small)):
            calls[f"{head}, {bits} bits"] = partial(OnnxGraph(path, 1), images)
    timed("occ3d-r50", calls, ROUNDS)
