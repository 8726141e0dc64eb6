"""A drive through `run_drive`: six cameras of 900 x 1600 as JPEG, the shipped network, frames a second on two cores.

uv run python packages/fastocc/experiments/benchmarks/bench_drive.py
"""

import tempfile
from pathlib import Path

import torch
from fastocc.drive import DriveSettings, open_recording, run_drive
from fastocc.geometry import CameraRig
from fastocc.models import FastOccModel, shipped_weights
from fastocc.sim import Scene
from ninefold.measure import emit
from PIL import Image

_FRAMES, _ROUNDS = 60, 3

torch.set_num_threads(2)
model, rig = FastOccModel.from_pretrained(shipped_weights()), CameraRig.nominal()
seen = Scene(5, validation=True).frame(0, rig.resized(225, 400), model.config.spec)
with tempfile.TemporaryDirectory() as folder:
    drive = Path(folder) / "drive"
    for name, picture in zip(rig.names, seen.pictures, strict=True):
        (drive / name).mkdir(parents=True)
        for at in range(_FRAMES):
            large = Image.fromarray(picture.rgb).resize((1600, 900))
            large.save(drive / name / f"{at:06d}.jpg", quality=90)
    rates = []
    for number in range(_ROUNDS):
        recording = open_recording(drive, rig, {}, 10.0)
        made = run_drive(Path(folder) / f"out{number}", model, rig, recording, DriveSettings())
        rates.append(made.fresh / made.seconds)
emit(
    benchmark="drive", preset="mini", cameras=len(rig.cameras), threads=2, frames=_FRAMES,
    frames_a_second=[round(one, 2) for one in sorted(rates)],
)  # fmt: skip
