"""How the head grows with the plane and with height: seconds and MACs a voxel, one JSON line a grid.

OMP_NUM_THREADS=1 uv run python packages/fastocc/benchmarks/bench_scale.py
"""

import torch
from fastocc import FastOccHead, GridSpec
from fastocc.evaluation import count_macs
from ninefold.proof.bench import compare, emit

torch.set_num_threads(1)
GRIDS = {"80x80x16": (80, 16), "56x56x16": (56, 16), "113x113x16": (113, 16), "80x80x8": (80, 8), "80x80x32": (80, 32)}
calls, heads = {}, {}
for name, (side, levels) in GRIDS.items():
    head = FastOccHead(32, GridSpec((0, 0, 0), (0.4, 0.4, 0.4), (side, side, levels)), 18, channels=8).eval()
    bev = torch.randn(1, 32, side, side, generator=torch.Generator().manual_seed(0))
    heads[name], calls[name] = (head, bev), lambda head=head, bev=bev: head(bev)
with torch.no_grad():
    for name, one in compare(calls, repeats=9).items():
        side, levels = GRIDS[name]
        share = side * side * levels / (80 * 80 * 16)
        emit(
            benchmark="scale", grid=name, threads=1, milliseconds=round(1000 * one.seconds, 2),
            voxels_share=round(share, 4),
            seconds_share=round(1 / one.ratio, 4),
            per_voxel=round(1 / one.ratio / share, 4),
            macs=count_macs(*heads[name]),
        )  # fmt: skip
