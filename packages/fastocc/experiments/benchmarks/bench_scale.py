"""How the head grows with the plane and with height: seconds a voxel as a share of their mean, one JSON line a grid.

OMP_NUM_THREADS=1 uv run python packages/fastocc/experiments/benchmarks/bench_scale.py
"""

import torch
from fastocc import FastOccHead, GridSpec
from fastocc.evaluation import count_macs
from ninefold.measure import compare, emit

torch.set_num_threads(1)
GRIDS = {"80x80x16": (80, 16), "56x56x16": (56, 16), "113x113x16": (113, 16), "80x80x8": (80, 8), "80x80x32": (80, 32)}
calls, heads = {}, {}
for name, (side, levels) in GRIDS.items():
    head = FastOccHead(32, GridSpec((0, 0, 0), (0.4, 0.4, 0.4), (side, side, levels)), 18, channels=8).eval()
    bev = torch.randn(1, 32, side, side, generator=torch.Generator().manual_seed(0))
    heads[name], calls[name] = (head, bev), lambda head=head, bev=bev: head(bev)
with torch.no_grad():
    taken = compare(calls, repeats=9)
voxels = {name: side * side * levels for name, (side, levels) in GRIDS.items()}
for axes, names in (("x and y", list(GRIDS)[:3]), ("z", ["80x80x16", *list(GRIDS)[3:]])):
    each = {name: taken[name].seconds / voxels[name] for name in names}
    mean = sum(each.values()) / len(each)
    for name in names:
        emit(
            benchmark="scale", axes=axes, grid=name, threads=1, milliseconds=round(1000 * taken[name].seconds, 2),
            nanoseconds_a_voxel=round(1e9 * each[name], 2), of_the_mean=round(each[name] / mean, 4),
            macs=count_macs(*heads[name]),
        )  # fmt: skip
