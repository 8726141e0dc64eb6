"""Frames of Occ3D's size read a second, and the share of a training step that waits for data, on two cores.

Six JPEGs of 900 x 1600 and labels of 200 x 200 x 16 a frame, each frame read for the first time. The network of the
second measurement is `mini` on that grid: the smaller the network, the larger the share that reading may take.

NUMBA_NUM_THREADS=2 uv run python packages/fastocc/experiments/benchmarks/bench_reading.py
"""

import json
import tempfile
import time
from pathlib import Path

import torch
from fastocc import FastOccConfig, OccDataset, SimConfig, simulate
from fastocc.training import Prefetch, TrainConfig, train
from ninefold.measure import emit
from PIL import Image

SCENES, FRAMES, THREADS, LARGE = 4, 4, 2, (1600, 900)
torch.set_num_threads(THREADS)


def enlarge(root: Path) -> None:
    """Give each camera images of nuScenes' size, as JPEG, and the matrices that go with them."""
    for path in root.glob("samples/*/*.jpg"):
        Image.open(path).resize(LARGE).save(path, quality=90)
    path = root / "annotations.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    for frames in about["scene_infos"].values():
        for frame in frames.values():
            for camera in frame["camera_sensor"].values():
                camera["intrinsic"] = [[4 * one for one in row] for row in camera["intrinsic"][:2]] + [[0, 0, 1]]
    path.write_text(json.dumps(about), encoding="utf-8")


def waited(folder: Path, data: OccDataset, workers: int) -> dict[str, float]:
    """Share of the time of a run's steps that the loop waits for its batch, and milliseconds a step; not the first."""
    real, marks = Prefetch.__call__, []

    def call(self: Prefetch, step: int):
        begin = time.perf_counter()
        batch = real(self, step)
        marks.append((begin, time.perf_counter()))
        return batch

    Prefetch.__call__ = call  # type: ignore[method-assign]
    try:
        config = FastOccConfig.preset("mini", grid="occ3d", balance=0.0)
        train(folder, config, TrainConfig.for_preset("mini", steps=len(data), every=len(data)), data, workers=workers)
    finally:
        Prefetch.__call__ = real  # type: ignore[method-assign]
    steps = marks[-1][0] - marks[1][0]
    waits = sum(end - begin for begin, end in marks[1:-1])
    return {
        "waiting_share": round(waits / steps, 4), "milliseconds_a_step": round(1000 * steps / (len(marks) - 2), 1),
    }  # fmt: skip


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    root = simulate(folder / "data", SimConfig(SCENES, 0, FRAMES, "occ3d", 225, 400, seed=1))
    enlarge(root)
    for draft in (False, True):
        data = OccDataset(root, "sim", "train", size=(256, 704), draft=draft)
        rates, used = [], time.process_time()
        for _ in range(3):
            begin = time.perf_counter()
            for at in range(len(data)):
                data[at]
            rates.append(len(data) / (time.perf_counter() - begin))
        seconds = (time.process_time() - used) / 3 / len(data)
        emit(
            benchmark="reading", images="6x900x1600 to 256x704", grid="200x200x16", threads=THREADS, draft=draft,
            frames_a_second=[round(one, 1) for one in sorted(rates)], processor_milliseconds=round(1000 * seconds, 1),
        )  # fmt: skip
    for workers in (0, 2):
        data = OccDataset(root, "sim", "train", size=(96, 256), draft=True)
        emit(
            benchmark="waiting for data", network="mini on 200x200x16", threads=THREADS, workers=workers,
            steps=len(data) - 2, **waited(folder / f"run{workers}", data, workers),
        )  # fmt: skip
