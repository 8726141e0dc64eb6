"""Whole models: the method's head beside FlashOcc's on one encoder, by stage, one JSON line a stage and the ratio.

OMP_NUM_THREADS=1 uv run python packages/fastocc/experiments/benchmarks/bench_whole.py [mini|occ3d-r50]
"""

import sys

import torch
from fastocc.evaluation import time_stages
from fastocc.geometry import CameraRig
from fastocc.lifting import faster_backend
from fastocc.models import FastOccConfig, FastOccModel
from ninefold.measure import emit

torch.set_num_threads(1)
preset = sys.argv[1] if len(sys.argv) > 1 else "mini"
totals = {}
for head in ("c2h", "fastocc"):
    config = FastOccConfig.preset(preset, head=head)
    torch.manual_seed(0)
    model = FastOccModel(config).eval()
    if head == "fastocc":
        faster_backend(model.head, torch.randn(1, config.bev_channels, *config.spec.shape[1::-1]), repeats=1)
    stages = time_stages(model, CameraRig.nominal(*config.image_size), rounds=7)
    if not totals:
        shared = stages[:-1]
    for one in stages[-1:] if totals else stages:
        emit(
            benchmark="stages",
            preset=preset,
            threads=1,
            stage=one.name,
            milliseconds=round(one.milliseconds, 1),
            macs=one.macs,
        )
    totals[head] = sum(one.milliseconds for one in shared) + stages[-1].milliseconds
emit(benchmark="whole", preset=preset, threads=1, fastocc_of_c2h=round(totals["fastocc"] / totals["c2h"], 4))
