"""Rays a second, RayIoU and mIoU a frame at Occ3D's size, simulated frames a second: one JSON line each.

Each line has wall-clock and processor time: on a busy machine the second is what the work takes.

NUMBA_NUM_THREADS=2 uv run python packages/fastocc/experiments/benchmarks/bench_data.py
"""

import tempfile
import time
from collections.abc import Callable

import numpy as np
from fastocc import CameraRig, GridSpec, Scene, SimConfig, raycast, simulate
from fastocc.datasets import FORMATS
from fastocc.evaluation import MIoU, RayIoU, query_rays
from ninefold.measure import emit

THREADS = 2


def measure(name: str, call: Callable[[], object], unit: str, amount: float, rounds: int = 7, **more: object) -> None:
    """Best round of wall-clock time, and mean processor time of all rounds, as `amount` of `unit` a second."""
    call()
    wall, begin = [], time.process_time()
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        wall.append(time.perf_counter() - start)
    processor = (time.process_time() - begin) / rounds
    rates = {f"{unit}_a_second": amount / min(wall), f"{unit}_a_processor_second": amount / processor}
    emit(benchmark=name, threads=THREADS, **more, **{key: float(f"{value:.4g}") for key, value in rates.items()})


grid, rig, labels = GridSpec.named("occ3d"), CameraRig.nominal(96, 256), FORMATS["occ3d"]
frame = Scene(7).frame(0, rig, grid, pictures=False)
origins = np.array([[0.94 + step, 0.0, 1.84] for step in range(8)])
rays = np.tile(query_rays(), (8, 1))
starts = np.repeat(origins, len(query_rays()), 0)
measure(
    "caster", lambda: raycast(frame.semantics, grid, starts, rays, free=17, threads=THREADS), "million_rays",
    len(rays) / 1e6, grid="200x200x16", rays=len(rays),
)  # fmt: skip


def once() -> None:
    ray = RayIoU(grid, labels.classes, 17)
    ray.add(frame.semantics, frame.semantics, origins)


measure("rayiou", once, "frames", 1, grid="200x200x16", origins=8)
miou = MIoU(labels.classes, 17)
measure("miou", lambda: miou.add(frame.semantics, frame.semantics, frame.mask_camera), "frames", 1, grid="200x200x16")
with tempfile.TemporaryDirectory() as folder:
    numbers = iter(range(10))
    measure(
        "simulator", lambda: simulate(f"{folder}/{next(numbers)}", SimConfig(2, 0, 4, "mini", 96, 256, seed=1)),
        "frames", 8,        rounds=2, grid="80x80x16", images="6x96x256",
    )  # fmt: skip
