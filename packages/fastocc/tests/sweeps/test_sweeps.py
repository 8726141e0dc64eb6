"""Labels from recordings as they lie on disk: the same as from the sweeps that were written, and each mistake named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from fastocc.datasets import Sweep, generate_labels, read_occ3d, read_points, read_semantickitti
from fastocc.geometry import GridSpec
from fastocc.sweeps import find_recordings, label_sequence, read_cloud
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import run_here

from . import recordings as given
from .recordings import GRID, RIG

NOWHERE = given.token("nowhere")
KITTI = GridSpec.named("semantickitti")


@pytest.fixture(scope="module")
def drive():
    return given.drive()


@pytest.fixture
def nuscenes(drive, tmp_path):
    given.nuscenes(tmp_path / "nuscenes", drive)
    return tmp_path / "nuscenes"


@pytest.fixture
def kitti(drive, tmp_path):
    given.kitti(tmp_path / "kitti", drive)
    return tmp_path / "kitti"


def first(found, **options):
    """Token and labels of the first frame of the first scene."""
    return next(label_sequence(found.sequences[0], GRID, **options))


def agreement(one, other):
    filled = (one["semantics"] != 17) | (other["semantics"] != 17)
    return (one["semantics"] == other["semantics"])[filled].mean()


def test_nuscenes_key_frames_get_the_labels_of_the_sweeps_that_were_written(drive, nuscenes):
    found = find_recordings(nuscenes, "train")
    assert (found.kind, [one.name for one in found.sequences]) == ("nuscenes", ["scene-0061"])
    assert list(found.sequences[0].frames.values()) == [0, 2, 4]
    sweeps = [drive.sweep(at, labelled=at % 2 == 0, boxes=True) for at in range(given.FRAMES)]
    for at, (token, made) in zip((0, 2, 4), label_sequence(found.sequences[0], GRID), strict=True):
        assert token == given.token("scene-0061", at)
        straight = generate_labels(sweeps, at, GRID, RIG)
        assert agreement(made, straight) > 0.98  # boxes between key frames are interpolated
        assert (made["mask_camera"] == straight["mask_camera"]).mean() > 0.98


def test_boxes_move_evenly_between_key_frames(drive, nuscenes):
    sweeps = find_recordings(nuscenes, "train").sequences[0].sweeps
    for at, sweep in enumerate(sweeps):
        np.testing.assert_allclose(sweep.ego2global, drive.poses[at], atol=1e-9)
        np.testing.assert_allclose(sweep.points, drive.points[at], atol=1e-6)
        written = {tuple(np.round(box[3:6], 3)): box for box in drive.boxes[at]}
        close = 0
        for box in sweep.boxes:
            truth = written.get(tuple(np.round(box[3:6], 3)))
            if truth is not None and np.linalg.norm(truth[:3] - box[:3]) < (1e-6 if at % 2 == 0 else 0.3):
                assert abs(np.sin(truth[6] - box[6])) < (1e-3 if at % 2 == 0 else 0.1)
                assert truth[7] == box[7]
                close += 1
        assert close > 0.9 * len(drive.boxes[at])


def test_nuscenes_without_lidarseg_boxes_or_sweeps_between(drive, tmp_path):
    given.nuscenes(tmp_path, drive, lidarseg=False, between=False)
    found = find_recordings(tmp_path, "val", boxes=False)
    sweeps = found.sequences[0].sweeps
    assert len(sweeps) == 3
    assert all(one.labels is None and not len(one.boxes) for one in sweeps)
    _, made = first(found, boxes=False)
    assert set(np.unique(made["semantics"])) == {0, 17}


def test_sweeps_around_a_frame_are_gathered_and_no_others(drive, nuscenes):
    found = find_recordings(nuscenes, "train")
    _, alone = first(found, around=0)
    straight = generate_labels([drive.sweep(0, labelled=True, boxes=True)], 0, GRID, RIG)
    np.testing.assert_array_equal(alone["semantics"], straight["semantics"])
    assert (first(found)[1]["semantics"] != alone["semantics"]).any()
    with pytest.raises(InputError, match="around"):
        first(found, around=-1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "v1.0-mini" / "sample_annotation.json").unlink(), "sample_annotation.json: is not there"),
        (lambda root: next((root / "samples/LIDAR_TOP").glob("scene-0061*")).unlink(), "pcd.bin: is not there"),
        (lambda root: next((root / "sweeps/LIDAR_TOP").glob("scene-0061*")).unlink(), "pcd.bin: is not there"),
        (lambda root: next((root / "samples/LIDAR_TOP").glob("scene-0061*")).write_bytes(b"1234"), "5 a point"),
        (lambda root: next((root / "lidarseg/v1.0-mini").glob("*")).write_bytes(b""), "labels for"),
        (lambda root: altered(root, "sample_annotation", size=[1.0, -2.0, 1.0]), "size"),
        (lambda root: altered(root, "sample_annotation", size=[1.0]), "box"),
        (lambda root: altered(root, "sample_annotation", instance_token=NOWHERE), "instance_token"),
        (lambda root: altered(root, "sample_annotation", rotation=[0, 0, 0, 0]), "rotation in sample_annotation"),
        (lambda root: altered(root, "sample_data", width=0), "width"),
        (lambda root: altered(root, "sample_data", width="160"), "width"),
        (lambda root: altered(root, "sample_data", filename="../../x.bin"), "path"),
        (lambda root: altered(root, "ego_pose", token=NOWHERE), "row|ego_pose_token"),
    ],
)  # fmt: skip
def test_mistakes_in_nuscenes_are_named(nuscenes, change, message):
    change(nuscenes)
    with pytest.raises((ArtifactError, InputError), match=message):
        [list(label_sequence(one, GRID)) for split in ("train", "val")
         for one in find_recordings(nuscenes, split).sequences]  # fmt: skip


def altered(root, table, **changes):
    """Change every row of a table."""
    path = root / "v1.0-mini" / f"{table}.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**row, **changes} for row in rows]))


def test_kitti_gets_voxels_in_the_lidars_frame_which_the_loader_reads(drive, kitti, tmp_path):
    found = find_recordings(kitti, "train", every=2)
    assert (found.kind, found.format.name, found.classes) == ("kitti", "semantickitti", True)
    assert list(found.sequences[0].frames) == ["000000", "000002", "000004"]
    sweeps = [
        Sweep(
            drive.points[at].astype(float), given.kitti_classes(drive, at), np.eye(4),
            drive.poses[at] @ given.LIDAR2EGO, np.zeros((0, 9)),
        )
        for at in range(2)
    ]  # fmt: skip
    rig = found.sequences[0].rigs["000000"]
    straight = generate_labels(sweeps, 0, KITTI, rig, boxes=False, free=0, unknown=255)
    words = ["labels", str(kitti), "--around", "1", "-o", str(tmp_path / "made")]
    done = run_here("fastocc.cli", *words)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "made" / "sequences" / "00" / "voxels" / "000000.label"
    read = read_semantickitti(path, path.with_suffix(".invalid")).semantics
    seen = straight["mask_lidar"] > 0
    assert (read[seen] == straight["semantics"][seen]).mean() > 0.999
    assert (read[~seen] == 255).mean() > 0.999
    assert len(np.unique(read[seen])) > 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: (one / "poses.txt").unlink(), "poses.*no file"),
        (lambda one: (one / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n"), "1 rows for 5 sweeps"),
        (lambda one: (one / "calib.txt").write_text("P2: 1\n"), "calibration"),
        (lambda one: (one / "labels/000000.label").write_bytes(b"1234"), "1 labels for"),
        (lambda one: np.full(len((one / "labels/000000.label").read_bytes()) // 4, 7, "<u4").tofile(
            one / "labels/000000.label"), "raw label"),
        (lambda one: (one / "velodyne/000001.bin").write_bytes(b"12345678"), "4 a point"),
        (lambda one: (one / "velodyne/000001.bin").rename(one / "velodyne/last.bin"), "got last"),
        (lambda one: shutil.rmtree(one / "velodyne"), "velodyne"),
    ],
)  # fmt: skip
def test_mistakes_in_kitti_are_named(kitti, change, message):
    change(kitti / "dataset" / "sequences" / "00")
    with pytest.raises((ArtifactError, InputError), match=message):
        list(find_recordings(kitti, "train").sequences[0].sweeps)


def test_sweeps_of_a_sequence_are_read_once_each_and_only_those_around_a_frame(kitti, monkeypatch):
    read = []
    monkeypatch.setattr(
        "fastocc.sweeps._kitti.read_points", lambda path, width: read.append(path.stem) or read_points(path, width)
    )
    (sequence,) = find_recordings(kitti, "train", every=4).sequences
    assert (list(sequence.frames), read) == (["000000", "000004"], [])
    list(label_sequence(sequence, GRID, around=1))
    assert read == ["000000", "000001", "000003", "000004"]
    read.clear()
    list(label_sequence(sequence, GRID, around=4))
    assert read == sorted(set(read))
    with pytest.raises(IndexError):
        sequence.sweeps[len(sequence.sweeps)]
    assert len(sequence.sweeps[1:3]) == 2


def test_kitti_without_point_labels_needs_a_class_for_its_voxels(drive, tmp_path):
    given.kitti(tmp_path / "kitti", drive, labels=False)
    words = ["labels", str(tmp_path / "kitti"), "--around", "0", "--ground", "0"]
    refused = run_here("fastocc.cli", *words, "-o", str(tmp_path / "a"))
    assert refused.returncode == 2
    assert "--unknown" in refused.stderr
    done = run_here("fastocc.cli", *words, "--unknown", "building", "-o", str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    read = read_semantickitti(tmp_path / "b" / "sequences" / "00" / "voxels" / "000000.label").semantics
    assert set(np.unique(read)) == {0, 13}


def test_a_bag_with_tf_gives_the_labels_of_its_clouds(drive, tmp_path):
    given.bag(tmp_path / "drive.mcap", drive)
    found = find_recordings(tmp_path / "drive.mcap", every=2)
    assert list(found.sequences[0].frames) == ["0000000100000000000", "0000000101000000000", "0000000102000000000"]
    sweeps = [drive.sweep(at, labelled=False, boxes=False) for at in range(given.FRAMES)]
    straight = generate_labels(sweeps, 0, GRID, RIG, boxes=False)
    np.testing.assert_allclose(found.sequences[0].sweeps[3].lidar2ego, given.LIDAR2EGO, atol=1e-9)
    _, made = first(found, rig=RIG, boxes=False)
    assert agreement(made, straight) > 0.995
    with pytest.raises(InputError, match=r"cameras.*--rig"):
        first(found)


def test_what_a_bag_lacks_can_be_given(drive, tmp_path):
    given.bag(tmp_path / "bare.mcap", drive, motion=False, sensor=False)
    with pytest.raises(InputError, match=r"motion.*--poses"):
        find_recordings(tmp_path / "bare.mcap")
    rows = []
    for at, pose in enumerate(drive.poses):
        w, x, y, z = given.quaternion(pose[:3, :3])
        rows.append(" ".join(map(str, [100 + 0.5 * at, *pose[:3, 3], x, y, z, w])))
    (tmp_path / "poses.txt").write_text("\n".join(rows))
    with pytest.raises(InputError, match=r"LiDAR's pose.*lidar"):
        find_recordings(tmp_path / "bare.mcap", poses=tmp_path / "poses.txt")
    (tmp_path / "poses.txt").write_text("\n".join(rows[:3]))
    with pytest.raises(InputError, match=r"motion.*got none at 101\.500 s"):
        find_recordings(tmp_path / "bare.mcap", poses=tmp_path / "poses.txt", rig=RIG)
    (tmp_path / "poses.txt").write_text("\n".join(rows))
    RIG.to_yaml(tmp_path / "rig.yaml")
    words = ["labels", "bare.mcap", "--grid", "micro", "--poses", "poses.txt", "--rig", "rig.yaml", "-o", "made"]
    done = run_here("fastocc.cli", *(str(tmp_path / one) if "." in one or one == "made" else one for one in words))
    assert done.returncode == 0, done.stderr
    made = read_occ3d(tmp_path / "made" / "gts" / "bare" / "0000000100000000000" / "labels.npz", GRID)
    assert (made.semantics != 17).sum() > 50
    with pytest.raises(InputError, match="topic"):
        find_recordings(tmp_path / "bare.mcap", topic="/other")
    (tmp_path / "torn.mcap").write_bytes((tmp_path / "bare.mcap").read_bytes()[:3000])
    with pytest.raises(ArtifactError, match=r"torn\.mcap"):
        find_recordings(tmp_path / "torn.mcap")


@pytest.mark.parametrize("kind", [7, 8])
@pytest.mark.parametrize("rows", [1, 3])
def test_clouds_are_read_whatever_lies_between_their_numbers(kind, rows):
    points = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    time, frame, found = read_cloud(given.cloud(12.25, points, "top", kind=kind, rows=rows), "here")
    assert (time, frame) == (12.25, "top")
    np.testing.assert_allclose(found, points, atol=1e-7)


def test_wrong_clouds_are_named():
    whole = given.cloud(1.0, np.ones((4, 3)))
    for at in range(0, len(whole), 7):
        with pytest.raises(InputError):
            read_cloud(whole[:at], "here")
    with pytest.raises(InputError, match="field y"):
        read_cloud(whole.replace(b"y\0", b"q\0"), "here")
    with pytest.raises(InputError, match=r"field x.*type 9"):
        read_cloud(given.cloud(1.0, np.ones((4, 3))).replace(b"\x04\0\0\0\x07", b"\x04\0\0\0\x09"), "here")


def test_a_folder_without_sweeps_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"mcap.*v1\.0-.*sequences.*annotations\.json"):
        find_recordings(tmp_path)
    for wrong in ({"every": 0}, {"topic": "/x"}):
        with pytest.raises(InputError, match="|".join(wrong)):
            find_recordings(tmp_path, **wrong)
