"""8 bits beside 32: mIoU of the shipped network in onnxruntime on all unseen frames, and its time, one JSON line.

OMP_NUM_THREADS=1 uv run python packages/fastocc/experiments/benchmarks/bench_int8.py
"""

import tempfile
from pathlib import Path

import numpy as np
from fastocc.datasets import OccDataset, default_simulation
from fastocc.evaluation import MIoU, median_seconds
from fastocc.export import OnnxGraph, export_model, quantize_graph
from fastocc.geometry import CameraRig
from fastocc.models import FastOccModel, shipped_weights
from ninefold.measure import emit

model = FastOccModel.from_pretrained(shipped_weights())
root = default_simulation(100, 25, size=model.config.image_size)
shown, val = OccDataset(root, "sim", "train", limit=16), OccDataset(root, "sim", "val")
with tempfile.TemporaryDirectory() as folder:
    whole = export_model(model, CameraRig.nominal(*model.config.image_size), Path(folder) / "whole")
    small = quantize_graph(whole, (shown.frame(at).images[None] for at in range(len(shown))), Path(folder) / "int8")
    graphs = {"32 bits": OnnxGraph(whole, 1), "8 bits": OnnxGraph(small, 1)}
    scores = {name: MIoU(val.format.classes, val.format.free) for name in graphs}
    for at in range(len(val)):
        frame = val[at]
        for name, graph in graphs.items():
            scores[name].add(graph(frame.images[None])[0], frame.truth.semantics, frame.truth.mask_camera)
    images = val.frame(0).images[None].astype(np.float32)
    seconds = {name: median_seconds(lambda graph=graph: graph(images), 9) for name, graph in graphs.items()}
    miou = {name: round(100 * one.compute().miou, 2) for name, one in scores.items()}
    sizes = {name: sum(one.stat().st_size for one in path.iterdir()) for name, path in (("32", whole), ("8", small))}
emit(
    benchmark="int8", preset="mini", frames=len(val), threads=1, miou=miou, difference=round(miou["8 bits"] - miou["32 bits"], 2),
    time_of_8_as_share_of_32=round(seconds["8 bits"] / seconds["32 bits"], 3), bytes_as_share=round(sizes["8"] / sizes["32"], 3),
)  # fmt: skip
