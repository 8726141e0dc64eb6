"""Latency and memory of all heads, in turn in one process on one thread: one JSON line a head, grid and engine.

OMP_NUM_THREADS=1 uv run python packages/fastocc/experiments/benchmarks/bench_heads.py
"""

import tempfile
from functools import partial
from pathlib import Path

import torch
from fastocc.evaluation import time_heads
from fastocc.export import by_onnxruntime
from fastocc.geometry import GridSpec
from fastocc.models import FastOccConfig
from ninefold.measure import emit

torch.set_num_threads(1)
HEADS = ["voxel3d", "fastocc", "c2h", "bevnet", "tpv", "cascade", "fastocc2d"]
for side, channels, width in ((80, 32, 8), (100, 64, 16)):
    half = side * 0.2
    grid = GridSpec((-half, -half, -1.0), (0.4, 0.4, 0.4), (side, side, 16))
    config = FastOccConfig.preset("mini", bev_channels=channels, channels=width)
    with tempfile.TemporaryDirectory() as folder:
        engines = {"torch": None, "onnxruntime": partial(by_onnxruntime, Path(folder), 1)}
        for engine, make in engines.items():
            rows = time_heads(HEADS, config, engine=make, rounds=7, grid=grid)
            seconds = {one.name: one.seconds for one in rows}
            for one in rows:
                more = {"of_cascade": seconds["fastocc"] / seconds["cascade"]} if one.name == "cascade" else {}
                emit(
                    benchmark="heads", grid=f"{side}x{side}x16", bev_channels=channels, voxel_channels=width,
                    engine=engine,
                    threads=1, head=one.name, milliseconds=round(1000 * one.seconds, 2),
                    share_of_voxel3d=round(1 / one.ratio, 4),

                    low=round(1 / one.high, 4), high=round(1 / one.low, 4), macs=one.macs,
                    peak_mib=round(one.peak / 2**20, 1), **more,
                )  # fmt: skip
