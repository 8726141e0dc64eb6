"""A damaged picture costs its frame, not the drive: it is skipped, counted and named, also after a kill."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fastocc.drive import DriveSettings, Recording, open_recording, run_drive, voxel_file
from fastocc.geometry import CameraRig
from fastocc.models import FastOccConfig, FastOccModel
from ninefold.errors import ArtifactError, InputError
from PIL import Image

from . import recordings as made

SETTINGS, FRAMES = DriveSettings(rate=10.0), 200
DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "cut in its header": lambda data: data[:9],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"<html>404</html>",
    "bits flipped in its header": lambda data: data[:16] + bytes(255 - one for one in data[16:40]) + data[40:],
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory) -> CameraRig:
    return CameraRig.from_yaml(made.rig_file(tmp_path_factory.mktemp("rig")))


@pytest.fixture(scope="module")
def model() -> FastOccModel:
    return FastOccModel(FastOccConfig.preset("micro")).eval()


def folders(root, rig, frames):
    """A folder of JPEG files a camera, numbered."""
    rng = np.random.default_rng(0)
    for name in rig.names:
        (root / name).mkdir(parents=True)
        for at in range(frames):
            pixels = np.kron(rng.integers(0, 256, (8, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{at:06d}.jpg")
    return root


@pytest.fixture(scope="module")
def long_drive(tmp_path_factory, rig):
    """200 frames; two of them have a damaged picture."""
    root = folders(tmp_path_factory.mktemp("long"), rig, FRAMES)
    for at, (name, damage) in {40: ("LEFT", "cut"), 137: ("RIGHT", "zeros")}.items():
        path = root / name / f"{at:06d}.jpg"
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    return root


def drive_of(root, rig) -> Recording:
    return open_recording(root, rig, {}, SETTINGS.rate)


def test_drive_with_damaged_pictures_ends_with_the_others(long_drive, rig, model, tmp_path):
    result = run_drive(tmp_path / "out", model, rig, drive_of(long_drive, rig), SETTINGS)
    assert (result.frames, len(result.skipped)) == (198, 2)
    for said, (file, camera) in zip(result.skipped, [("000040.jpg", "LEFT"), ("000137.jpg", "RIGHT")], strict=True):
        assert file in said
        assert camera in said
    there = [at for at in range(FRAMES) if voxel_file(tmp_path / "out", at).exists()]
    assert there == [at for at in range(FRAMES) if at not in (40, 137)]
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows if "skipped" in row] == [40, 137]
    assert "2 skipped: damaged pictures" in (tmp_path / "out" / "drive.html").read_text()


def test_killed_run_goes_on_behind_a_damaged_picture(long_drive, rig, model, tmp_path, monkeypatch):
    from fastocc.drive import _run

    write = _run.write_prediction

    def killed(path, volume, force=False):
        if path.name == "000042.npz":
            raise KeyboardInterrupt
        write(path, volume, force=force)

    monkeypatch.setattr(_run, "write_prediction", killed)
    with pytest.raises(KeyboardInterrupt):
        run_drive(tmp_path / "out", model, rig, drive_of(long_drive, rig), SETTINGS)
    monkeypatch.setattr(_run, "write_prediction", write)
    result = run_drive(tmp_path / "out", model, rig, drive_of(long_drive, rig), SETTINGS)
    assert (result.frames, result.fresh, len(result.skipped)) == (198, 158, 2)


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_kind_of_damage_is_skipped_and_named(damage, rig, model, tmp_path):
    root = folders(tmp_path / "drive", rig, 3)
    victim = root / "FRONT" / "000001.jpg"
    victim.write_bytes(DAMAGES[damage](victim.read_bytes()))
    result = run_drive(tmp_path / "out", model, rig, drive_of(root, rig), SETTINGS)
    assert result.frames == 2
    assert "000001.jpg" in result.skipped[0]


def test_drive_of_damaged_pictures_only_is_refused(rig, model, tmp_path):
    root = folders(tmp_path / "drive", rig, 2)
    for path in (root / "FRONT").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(ArtifactError, match=r"no frame.*000000\.jpg"):
        run_drive(tmp_path / "out", model, rig, drive_of(root, rig), SETTINGS)


def test_pictures_of_another_size_are_a_mistake_and_end_the_drive(rig, model, tmp_path):
    root = folders(tmp_path / "drive", rig, 2)
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(root / "LEFT" / "000001.jpg")
    with pytest.raises(InputError, match=r"LEFT.*32 x 64"):
        run_drive(tmp_path / "out", model, rig, drive_of(root, rig), SETTINGS)


def test_damaged_packets_of_a_video_cost_their_frames_only(rig, model, tmp_path):
    av, rng, packets = pytest.importorskip("av"), np.random.default_rng(0), []
    for name in rig.names:
        with av.open(str(tmp_path / f"{name}.mkv"), "w") as container:
            stream = container.add_stream("mjpeg", rate=10)
            stream.height, stream.width, stream.pix_fmt = 64, 128, "yuvj420p"
            for _ in range(6):
                pixels = np.kron(rng.integers(0, 256, (8, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                    packets.append((name, bytes(packet)))
                    container.mux(packet)
            container.mux(stream.encode(None))
    victim, path = [data for name, data in packets if name == "LEFT"][3], tmp_path / "LEFT.mkv"
    assert path.read_bytes().count(victim) == 1
    path.write_bytes(path.read_bytes().replace(victim, b"x" * len(victim)))
    result = run_drive(tmp_path / "out", model, rig, drive_of(tmp_path, rig), SETTINGS)
    assert result.frames == 5
    assert "picture 3 of 6 (camera LEFT)" in result.skipped[0]


@pytest.mark.parametrize("camera", ["FRONT", "LEFT"])
def test_damaged_message_of_a_bag_costs_its_frame_only(camera, rig, model, tmp_path):
    path = tmp_path / "drive.mcap"
    shots = made.pictures(rig)
    cut = made.compressed_image
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "compressed_image", lambda time, pixels: _spoiled(cut, time, pixels, shots[1][camera]))
        made.write_bag(path, shots)
    result = run_drive(tmp_path / "out", model, rig, drive_of(path, rig), SETTINGS)
    assert (result.frames, len(result.skipped)) == (3, 1)
    assert camera in result.skipped[0]


def _spoiled(write, time, pixels, victim):
    data = write(time, pixels)
    return data[:-60] + bytes(60) if pixels is victim else data
