"""`occ3d-r50` in onnxruntime on one thread: time with its heads, in 32 and 8 bits, as a share of the published head's.

OMP_NUM_THREADS=1 uv run python packages/fastocc/experiments/benchmarks/bench_onnx.py [ROUNDS]
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastocc.export import OnnxGraph, export_model, quantize_graph
from fastocc.geometry import CameraRig
from fastocc.models import FastOccConfig, FastOccModel
from ninefold.measure import compare, emit

random = np.random.default_rng(0)
with tempfile.TemporaryDirectory() as folder:
    graphs = {}
    for head in ("fastocc", "dcn-c2h", "c2h"):
        torch.manual_seed(0)
        config = FastOccConfig.preset("occ3d-r50", head=head)
        images = random.standard_normal((1, 6, 3, *config.image_size)).astype(np.float32)
        whole = export_model(FastOccModel(config).eval(), CameraRig.nominal(*config.image_size), Path(folder) / head)
        small = quantize_graph(whole, [images], Path(folder) / f"{head}-int8")
        graphs |= {f"{head}, 32 bits": OnnxGraph(whole, 1), f"{head}, 8 bits": OnnxGraph(small, 1)}
    images = random.standard_normal((1, 6, 3, *config.image_size)).astype(np.float32)
    calls = {name: partial(graph, images) for name, graph in graphs.items()}
    timed = compare(calls, repeats=int(sys.argv[1]) if len(sys.argv) > 1 else 7)
for name, one in timed.items():
    emit(
        benchmark="onnx", preset="occ3d-r50", threads=1, graph=name, seconds=round(one.seconds, 3),
        share_of_published_head=round(1 / one.ratio, 3), low=round(1 / one.high, 3), high=round(1 / one.low, 3),
    )  # fmt: skip
