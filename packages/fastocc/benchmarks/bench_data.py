"""Rays a second, RayIoU and mIoU a frame at Occ3D's size, simulated frames a second: one JSON line each.

NUMBA_NUM_THREADS=2 uv run python packages/fastocc/benchmarks/bench_data.py
"""

import tempfile
import time

import numpy as np
from fastocc import CameraRig, GridSpec, Scene, SimConfig, raycast, simulate
from fastocc.datasets import FORMATS
from fastocc.evaluation import MIoU, RayIoU, median_seconds, query_rays
from ninefold.proof.bench import emit

grid, rig, labels = GridSpec.named("occ3d"), CameraRig.nominal(96, 256), FORMATS["occ3d"]
frame = Scene(7).frame(0, rig, grid, pictures=False)
origins = np.array([[0.94 + step, 0.0, 1.84] for step in range(8)])
rays = np.tile(query_rays(), (8, 1))
starts = np.repeat(origins, len(query_rays()), 0)
seconds = median_seconds(lambda: raycast(frame.semantics, grid, starts, rays, free=17), 7)
emit(
    benchmark="caster",
    grid="200x200x16",
    threads=2,
    rays=len(rays),
    million_rays_a_second=round(len(rays) / seconds / 1e6, 3),
)


def once() -> None:
    ray = RayIoU(grid, labels.classes, 17)
    ray.add(frame.semantics, frame.semantics, origins)


emit(benchmark="rayiou", grid="200x200x16", threads=2, origins=8, seconds_a_frame=round(median_seconds(once, 7), 4))
miou = MIoU(labels.classes, 17)
taken = median_seconds(lambda: miou.add(frame.semantics, frame.semantics, frame.mask_camera), 15)
emit(benchmark="miou", grid="200x200x16", milliseconds_a_frame=round(1000 * taken, 2))
with tempfile.TemporaryDirectory() as folder:
    begin = time.perf_counter()
    simulate(f"{folder}/street", SimConfig(5, 0, 4, "mini", 96, 256, seed=1))
    emit(
        benchmark="simulator",
        grid="80x80x16",
        images="6x96x256",
        threads=2,
        frames_a_second=round(20 / (time.perf_counter() - begin), 2),
    )
