"""Recordings of three cameras, made from a simulated street: folders, videos, and a bag written by hand."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from fastocc.geometry import CameraRig
from fastocc.models import FastOccConfig
from fastocc.sim import Scene
from PIL import Image

RIG = """
cameras:
  - {name: FRONT, size: [64, 128], focal: 80, position: [1.7, 0, 1.5], yaw: 0}
  - {name: LEFT, size: [64, 128], focal: 60, position: [1.0, 0.5, 1.5], yaw: 110}
  - {name: RIGHT, size: [64, 128], focal: 60, position: [1.0, -0.5, 1.5], yaw: -110}
"""
TIMES = [100.0, 100.1, 100.2, 100.3]
OFFSETS = {"FRONT": 0.0, "LEFT": 0.012, "RIGHT": -0.02}
POSES = [np.array([[1, 0, 0, 0.5 * at], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) for at in range(len(TIMES))]


def rig_file(folder: Path, text: str = RIG, name: str = "rig.yaml") -> Path:
    """The rig as a file."""
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def pictures(rig: CameraRig, frames: int = len(TIMES)) -> list[dict[str, np.ndarray]]:
    """(H, W, 3) pictures of each camera, frame by frame, of a simulated street."""
    scene, spec = Scene(seed=5, validation=True), FastOccConfig.preset("micro").spec
    made = [scene.frame(at, rig, spec) for at in range(frames)]
    return [dict(zip(rig.names, (one.rgb for one in frame.pictures), strict=True)) for frame in made]


def write_folders(root: Path, shots: list[dict[str, np.ndarray]]) -> None:
    """A folder a camera, files named after microseconds."""
    for at, shot in enumerate(shots):
        for name, pixels in shot.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            stamp = round(1e6 * (TIMES[at] + OFFSETS[name]))
            Image.fromarray(pixels).save(root / name / f"{name}__{stamp + 15 * 10**14:016d}.png")


def _header(time: float, frame: str) -> bytes:
    name = frame.encode() + b"\0"
    nanoseconds = round(time * 1e9)
    return struct.pack("<iII", nanoseconds // 10**9, nanoseconds % 10**9, len(name)) + name


def _aligned(data: bytes, size: int) -> bytes:
    return data + b"\0" * (-len(data) % size)


def _octets(data: bytes, value: bytes) -> bytes:
    return _aligned(data, 4) + struct.pack("<I", len(value)) + value


def compressed_image(time: float, pixels: np.ndarray) -> bytes:
    """sensor_msgs/CompressedImage in CDR, a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return b"\0\1\0\0" + _octets(_octets(_header(time, "camera"), b"png\0"), file.getvalue())


def raw_image(time: float, pixels: np.ndarray, encoding: str = "bgr8", pad: int = 6) -> bytes:
    """sensor_msgs/Image in CDR, rows padded by `pad` bytes."""
    height, width = pixels.shape[:2]
    rows = pixels[..., ::-1].reshape(height, -1)
    rows = np.concatenate([rows, np.zeros((height, pad), np.uint8)], 1)
    data = _aligned(_header(time, "camera"), 4) + struct.pack("<II", height, width)
    data = _octets(data, encoding.encode() + b"\0") + b"\0"
    data = _aligned(data, 4) + struct.pack("<I", rows.shape[1])
    return b"\0\1\0\0" + _octets(data, rows.tobytes())


def odometry(time: float, pose: np.ndarray) -> bytes:
    """nav_msgs/Odometry in CDR, looking ahead; twist and covariances are zero."""
    data = _octets(_header(time, "odom"), b"base_link\0")
    data = _aligned(data, 8) + struct.pack("<7d", *pose[:3, 3], 0, 0, 0, 1)
    return b"\0\1\0\0" + data + bytes(8 * (36 + 6 + 36))


def write_bag(path: Path, shots: list[dict[str, np.ndarray]], *, motion: bool = True) -> None:
    """An mcap file with three cameras (two compressed, RIGHT raw) and odometry."""
    Writer = pytest.importorskip("mcap.writer").Writer

    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("ros2", library="test")
        kinds = {"FRONT": "sensor_msgs/msg/CompressedImage", "LEFT": "sensor_msgs/msg/CompressedImage"}
        kinds |= {"RIGHT": "sensor_msgs/msg/Image", "": "nav_msgs/msg/Odometry"}
        channels = {}
        for name, kind in kinds.items():
            schema = writer.register_schema(kind, "ros2msg", b"")
            topic = f"/camera/{name.lower()}/image" if name else "/odom"
            channels[name] = writer.register_channel(topic, "cdr", schema)
        for at, shot in enumerate(shots):
            for name, pixels in shot.items():
                time = TIMES[at] + OFFSETS[name]
                data = raw_image(time, pixels) if name == "RIGHT" else compressed_image(time, pixels)
                writer.add_message(channels[name], round(time * 1e9), data, round(time * 1e9))
            if motion:
                writer.add_message(channels[""], round(TIMES[at] * 1e9), odometry(TIMES[at], POSES[at]), 0)
        writer.finish()
