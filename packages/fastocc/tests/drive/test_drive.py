"""From recordings to voxels: folders, videos and bags give the same frames, and a killed run goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fastocc.drive import (
    DriveSettings,
    Recording,
    Trajectory,
    bindings,
    match_frames,
    open_recording,
    read_picture,
    read_poses,
    read_trajectory,
    run_drive,
    voxel_file,
)
from fastocc.geometry import CameraRig
from fastocc.models import FastOccConfig, FastOccModel
from ninefold.errors import ArtifactError, InputError, MissingExtraError, NinefoldError
from ninefold_testing import run_here

from . import recordings as made

SETTINGS = DriveSettings()


@pytest.fixture(scope="module")
def rig(tmp_path_factory) -> CameraRig:
    return CameraRig.from_yaml(made.rig_file(tmp_path_factory.mktemp("rig")))


@pytest.fixture(scope="module")
def shots(rig) -> list[dict[str, np.ndarray]]:
    return made.pictures(rig)


@pytest.fixture(scope="module")
def model() -> FastOccModel:
    """Weights that are drawn, for six cameras, whose voxels depend on the images."""
    return drawn(FastOccConfig.preset("micro"))


def drawn(config: FastOccConfig) -> FastOccModel:
    """Drawn weights with normalised features: without that, images would hardly matter."""
    torch.manual_seed(0)
    model = FastOccModel(config)
    for layer in model.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    if model.history is not None:
        torch.nn.init.normal_(model.history.mix[-1].weight, std=0.3)
    nominal = CameraRig.nominal(*config.image_size)
    images = torch.randint(0, 256, (1, 6, 3, *config.image_size))
    model(images, torch.from_numpy(nominal.cam2img)[None], torch.from_numpy(nominal.cam2ego)[None])
    return model.eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory, shots) -> Path:
    root = tmp_path_factory.mktemp("folders")
    made.write_folders(root, shots)
    return root


@pytest.fixture(scope="module")
def bag(tmp_path_factory, shots) -> Path:
    path = tmp_path_factory.mktemp("bag") / "drive.mcap"
    made.write_bag(path, shots)
    return path


def open_drive(path: Path, rig: CameraRig, given: dict | None = None) -> Recording:
    return open_recording(path, rig, given or {}, SETTINGS.rate)


def voxels(path: Path, count: int = len(made.TIMES)) -> np.ndarray:
    return np.stack([np.load(voxel_file(path, at))["semantics"] for at in range(count)])


def test_bag_of_three_cameras_becomes_voxels_and_a_page_in_one_command(bag, model, shots, rig, tmp_path):
    model.save_pretrained(tmp_path / "model")
    rig_path = made.rig_file(tmp_path)
    words = ("run", tmp_path / "model", bag, "--rig", rig_path, "-o", tmp_path / "out", "--json")
    done = run_here("fastocc.cli", *map(str, words))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["recording"] == "a ROS 2 bag"
    assert facts["frames"] == 4
    assert facts["ego motion"] == "known"
    assert facts["largest time difference in s"] == 0.02
    page = (tmp_path / "out" / "drive.html").read_text()
    assert '"timeline": true' in page
    assert '"frame 3, 0.30 s"' in page
    small = rig.resized(32, 64)
    narrow = FastOccModel(replace(model.config, cameras=3)).eval()
    narrow.load_state_dict(model.state_dict())
    images = []
    for name in rig.names:
        from PIL import Image

        images.append(np.asarray(Image.fromarray(shots[2][name]).resize((64, 32), Image.Resampling.BILINEAR)))
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[None]
    with torch.no_grad():
        alone = narrow(stacked, torch.from_numpy(small.cam2img)[None], torch.from_numpy(small.cam2ego)[None])
    assert np.array_equal(voxels(tmp_path / "out")[2], alone.semantics[0].numpy())
    assert not np.array_equal(voxels(tmp_path / "out")[0], voxels(tmp_path / "out")[2])


def test_shipped_weights_say_that_they_know_simulated_streets_only(folders, tmp_path):
    words = ("run", "demo", folders, "--rig", made.rig_file(tmp_path), "--limit", "1", "-o", tmp_path / "out", "--json")
    done = run_here("fastocc.cli", *map(str, words))
    assert done.returncode == 0, done.stderr
    assert "simulated streets only" in json.loads(done.stdout)["warning"]
    assert "simulated streets only" in (tmp_path / "out" / "drive.html").read_text()


def test_folders_videos_and_bags_give_the_same_voxels(bag, folders, shots, model, rig, tmp_path):
    av = pytest.importorskip("av")
    given = {name: {"offset": 100 + offset} for name, offset in made.OFFSETS.items()}
    for name in rig.names:
        with av.open(str(tmp_path / f"{name}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=10)
            stream.height, stream.width, stream.pix_fmt = 64, 128, "bgr0"
            for shot in shots:
                picture = av.VideoFrame.from_ndarray(shot[name], format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    results = []
    for kind, path in (("folders", folders), ("videos", tmp_path), ("a ROS 2 bag", bag)):
        out = tmp_path / "out" / kind
        result = run_drive(out, model, rig, open_drive(path, rig, given), SETTINGS)
        assert result.kind.startswith(kind)
        assert (result.frames, result.fresh, result.left_out) == (4, 4, 0)
        results.append(voxels(out))
    assert not np.array_equal(results[0][0], results[0][1])
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


class _StopError(Exception):
    pass


def stopping(after: int):
    """A progress that raises after some frames, as a kill would."""
    count = 0

    def advance() -> None:
        nonlocal count
        count += 1
        if count > after:
            raise _StopError

    return lambda _total: advance


@pytest.mark.parametrize("history", [1, 3])
def test_killed_run_goes_on_to_the_same_voxels(history, bag, model, rig, tmp_path, monkeypatch):
    model = drawn(replace(model.config, history=history))
    monkeypatch.setattr("fastocc.drive._run._KEPT", 2)
    whole = run_drive(tmp_path / "whole", model, rig, open_drive(bag, rig), SETTINGS)
    assert whole.moving
    with pytest.raises(_StopError):
        run_drive(tmp_path / "cut", model, rig, open_drive(bag, rig), SETTINGS, progress=stopping(2))
    assert not (tmp_path / "cut" / "drive.html").exists()
    again = run_drive(tmp_path / "cut", model, rig, open_drive(bag, rig), SETTINGS)
    assert 0 < again.fresh < 4
    assert np.array_equal(voxels(tmp_path / "whole"), voxels(tmp_path / "cut"))
    lines = [(one / "metrics.jsonl").read_text() for one in (tmp_path / "whole", tmp_path / "cut")]
    assert lines[0] == lines[1]
    assert (tmp_path / "whole" / "drive.html").read_text() == (tmp_path / "cut" / "drive.html").read_text()
    finished = run_drive(tmp_path / "cut", model, rig, open_drive(bag, rig), SETTINGS)
    assert finished.fresh == 0


def test_state_matters_only_where_motion_is_known(bag, shots, model, rig, tmp_path):
    model = drawn(replace(model.config, history=2))
    made.write_bag(tmp_path / "still.mcap", shots, motion=False)
    moving = run_drive(tmp_path / "moving", model, rig, open_drive(bag, rig), SETTINGS)
    alone = run_drive(tmp_path / "alone", model, rig, open_drive(tmp_path / "still.mcap", rig), SETTINGS)
    assert (moving.moving, alone.moving) == (True, False)
    pair = voxels(tmp_path / "moving"), voxels(tmp_path / "alone")
    assert np.array_equal(pair[0][0], pair[1][0])
    assert not np.array_equal(pair[0][1:], pair[1][1:])
    rows = [f"{time} {pose[0, 3]} 0 0 0 0 0 1" for time, pose in zip(made.TIMES, made.POSES, strict=True)]
    (tmp_path / "poses.txt").write_text("# time x y z qx qy qz qw\n" + "\n".join(rows))
    recording = open_drive(tmp_path / "still.mcap", rig)
    run_drive(tmp_path / "file", model, rig, recording, SETTINGS, trajectory=read_trajectory(tmp_path / "poses.txt"))
    assert np.array_equal(voxels(tmp_path / "file"), pair[0])


def test_other_settings_are_refused_in_the_same_folder(bag, model, rig, tmp_path):
    run_drive(tmp_path / "out", model, rig, open_drive(bag, rig), replace(SETTINGS, limit=1))
    with pytest.raises(InputError, match="frames was 1, now 4"):
        run_drive(tmp_path / "out", model, rig, open_drive(bag, rig), SETTINGS)


def test_frames_are_matched_to_the_nearest_within_the_tolerance():
    times = {"a": np.arange(5) * 0.1, "b": np.arange(5) * 0.1 + 0.03, "c": np.array([0.0, 0.19, 0.42])}
    frames, worst, left_out = match_frames(times, DriveSettings(tolerance=0.04))
    assert [one["a"] for one in frames] == [0, 2, 4]
    assert [one["c"] for one in frames] == [0, 1, 2]
    assert worst.round(3).tolist() == [0.03, 0.03, 0.03]
    assert left_out == 2
    assert len(match_frames(times, DriveSettings(tolerance=0.3, fps=5))[0]) == 3
    with pytest.raises(InputError, match=r"at least 0\.03 s apart.*within 0\.01 s"):
        match_frames(times, DriveSettings(tolerance=0.01))


def test_trajectory_turns_and_moves_between_its_poses():
    turned = np.array([[0, -1, 0, 2.0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    line = Trajectory(np.array([1.0, 0.0]), np.stack([turned, np.eye(4)]))
    half = line.at(0.5, 0.0)
    assert half is not None
    assert np.allclose(half[:3, 3], [1, 0, 0])
    assert np.allclose(half[:2, 0], [np.cos(np.pi / 4), np.sin(np.pi / 4)])
    assert line.at(1.2, 0.1) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 2 3", r"poses\.txt, line 1"), ("0 0 0 0 0 0 0 0", r"line 1.*quaternion"), ("", "no row")],
)
def test_poses_that_are_none_are_named_with_their_line(text, message, tmp_path):
    (tmp_path / "poses.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_trajectory(tmp_path / "poses.txt")


def test_sources_in_the_rig_name_topics_and_folders(bag, folders, rig, tmp_path):
    text = made.RIG.replace("name: FRONT,", "name: AHEAD, source: /camera/front/image,")
    path = made.rig_file(tmp_path, text)
    named = CameraRig.from_yaml(path)
    assert len(open_drive(bag, named, bindings(path)).times["AHEAD"]) == 4
    text = text.replace("/camera/front/image", "FRONT")
    assert len(open_drive(folders, named, bindings(made.rig_file(tmp_path, text))).times["AHEAD"]) == 4
    with pytest.raises(InputError, match=r"AHEAD.*no topic of that name.*source.*camera/front"):
        open_drive(bag, named)


def test_what_is_wrong_is_named_with_its_place(bag, folders, shots, rig, model, tmp_path):
    with pytest.raises(InputError, match=r"FRONT.*no pictures"):
        open_drive(tmp_path, rig)
    with pytest.raises(InputError, match=r"drive\.txt"):
        (tmp_path / "drive.txt").write_text("")
        open_drive(tmp_path / "drive.txt", rig)
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(bag.read_bytes()[: bag.stat().st_size // 2])
    with pytest.raises(ArtifactError, match=r"cut\.mcap"):
        open_drive(cut, rig)
    with pytest.raises(InputError, match=r"FRONT.*64 x 128.*32 x 64"):
        run_drive(tmp_path / "o", model, rig.resized(32, 64), open_drive(bag, rig.resized(32, 64)), SETTINGS)
    broken = tmp_path / "broken"
    made.write_folders(broken, shots)
    victim = sorted((broken / "LEFT").iterdir())[1]
    victim.write_bytes(victim.read_bytes()[:200])
    (named,) = run_drive(tmp_path / "p", model, rig, open_drive(broken, rig), SETTINGS).skipped
    assert victim.name in named
    assert "LEFT" in named
    (broken / "LEFT" / "last.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"last\.png"):
        open_drive(broken, rig)


@pytest.mark.parametrize(("module", "extra"), [("av", "video"), ("mcap.reader", "bags"), ("rerun", "rerun")])
def test_missing_extra_is_one_line(module, extra, bag, rig, model, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    if extra == "video":
        for name in rig.names:
            (tmp_path / f"{name}.mp4").write_bytes(b"")
    with pytest.raises(MissingExtraError, match=rf"fastocc\[{extra}\]"):
        recording = open_drive(tmp_path if extra == "video" else bag, rig)
        run_drive(tmp_path / "out", model, rig, recording, SETTINGS, rerun=True)


PEER = {  # as the package rosbags writes them
    "sensor_msgs/msg/CompressedImage": (
        "000100000c0000000065cd1d0900000063616d6572615f7800000000050000006a706567000000000700000000010203040506"
    ),
    "sensor_msgs/msg/Image": (
        "000100000c0000000065cd1d0400000063616d00020000000300000005000000626772380000000009000000120000000001"
        "02030405060708090a0b0c0d0e0f1011"
    ),
    "tf2_msgs/msg/TFMessage": (
        "00010000020000000300000001000000040000006d617000050000006f646f6d00000000000000000000f03f000000000000"
        "0040000000000000084000000000000000000000000000000000333333333333e33f9a9999999999e93f0400000001000000"
        "050000006f646f6d000000000a000000626173655f6c696e6b00000000000000000000000000104000000000000000400000"
        "00000000084000000000000000000000000000000000333333333333e33f9a9999999999e93f"
    ),
}


def test_messages_of_another_writer_are_read():
    images = {kind: read_picture(kind, bytes.fromhex(text), "") for kind, text in PEER.items() if "Image" in kind}
    assert images["sensor_msgs/msg/CompressedImage"] == bytes(range(7))
    assert np.asarray(images["sensor_msgs/msg/Image"])[1].tolist() == [[11, 10, 9], [14, 13, 12], [17, 16, 15]]
    first, second = read_poses("tf2_msgs/msg/TFMessage", bytes.fromhex(PEER["tf2_msgs/msg/TFMessage"]), "")
    assert (first.parent, first.child, second.child) == ("map", "odom", "base_link")
    assert abs(second.time - 4.000000001) < 1e-8
    assert np.allclose(second.pose[:2], [[0.28, -0.96, 0, 4], [0.96, 0.28, 0, 2]])


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_damaged_messages_are_typed_errors(at, shots):
    rng = np.random.default_rng(at)
    for kind, good in (
        ("sensor_msgs/msg/Image", made.raw_image(1.0, shots[0]["LEFT"])),
        ("nav_msgs/msg/Odometry", made.odometry(1.0, np.eye(4))),
        ("tf2_msgs/msg/TFMessage", made.odometry(1.0, np.eye(4))),
    ):
        data = bytearray(good)
        data[at] = rng.integers(0, 256)
        data = data[: rng.integers(at + 1, at + 40)]
        read = read_picture if kind.endswith("Image") else read_poses
        with pytest.raises(NinefoldError, match="here"):
            read(kind, bytes(data), "here")
