"""Infos and frames: poses at the LiDAR's time, both info versions, refusal of code in pickles, images as promised."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from fastocc.datasets import OccDataset, read_annotations, read_infos, read_kitti
from fastocc.geometry import yaw_matrix
from ninefold.errors import ArtifactError, InputError


def pose(yaw, *shift):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = yaw_matrix(yaw), shift
    return matrix


LIDAR2EGO = pose(-90, 0.94, 0, 1.84)
CAM2LIDAR = pose(20, 0.3, 0.8, -0.3)
INTRINSIC = np.array([[1000.0, 0, 800], [0, 1000, 450], [0, 0, 1]])


def version_11(tmp_path, **changes):
    entry = {
        "token": "t0", "scene_token": "s0", "ego2global": pose(30, 100, 50, 0).tolist(),
        "lidar_points": {"lidar_path": "a.bin", "lidar2ego": LIDAR2EGO.tolist()},
        "images": {"CAM_FRONT": {"img_path": "x.jpg", "cam2img": INTRINSIC.tolist(),
                                 "cam2ego": pose(77, 9, 9, 9).tolist(),  # of the camera's own time: not to be used
                                 "lidar2cam": np.linalg.inv(CAM2LIDAR).tolist()}},
        "instances": [{"bbox_3d": [10.0, 2.0, 0.5, 4.0, 2.0, 1.5, 0.3], "bbox_label_3d": 0}],
    }  # fmt: skip
    path = tmp_path / "infos.pkl"
    with path.open("wb") as file:
        pickle.dump({"metainfo": {}, "data_list": [{**entry, **changes}]}, file)
    return path


def version_1(tmp_path):
    entry = {
        "token": "t0", "lidar_path": "a.bin", "lidar2ego_translation": [0.94, 0, 1.84],
        "lidar2ego_rotation": [np.cos(np.pi / 4), 0, 0, -np.sin(np.pi / 4)], "ego2global_translation": [0, 0, 0],
        "ego2global_rotation": [1, 0, 0, 0], "gt_boxes": np.zeros((0, 7)), "occ_gt_final_path": "occ.npy",
        "cams": {"CAM_FRONT": {"data_path": "x.jpg", "cam_intrinsic": INTRINSIC,
                               "sensor2lidar_rotation": CAM2LIDAR[:3, :3],
                               "sensor2lidar_translation": CAM2LIDAR[:3, 3]}},
    }  # fmt: skip
    path = tmp_path / "infos.pkl"
    with path.open("wb") as file:
        pickle.dump({"infos": [entry], "metadata": {}}, file)
    return path


@pytest.mark.parametrize("make", [version_1, version_11])
@pytest.mark.parametrize("name", ["surroundocc", "openocc-v2"])
def test_camera_pose_leads_into_the_frame_of_the_labels(tmp_path, make, name):
    (frame,) = read_infos(make(tmp_path), name)
    expected = CAM2LIDAR if name == "surroundocc" else LIDAR2EGO @ CAM2LIDAR
    np.testing.assert_allclose(frame.cameras["CAM_FRONT"].cam2label, expected, atol=1e-9)


def test_raw_box_of_version_11_keeps_its_centre(tmp_path):
    (frame,) = read_infos(version_11(tmp_path), "surroundocc")
    np.testing.assert_allclose(frame.boxes[0, :7], [10, 2, 0.5, 4, 2, 1.5, 0.3])
    (turned,) = read_infos(version_11(tmp_path), "openocc-v2")
    np.testing.assert_allclose(turned.boxes[0, :3], [2.94, -10, 2.34], atol=1e-9)
    assert turned.boxes[0, 6] == pytest.approx(0.3 - np.pi / 2)


class Harmful:
    def __reduce__(self):
        return os.system, ("echo harm > harmed",)


def test_pickle_that_asks_for_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "evil.pkl").open("wb") as file:
        pickle.dump({"infos": [Harmful()]}, file)
    with pytest.raises(ArtifactError, match=r"evil\.pkl.*refused"):
        read_infos(tmp_path / "evil.pkl", "occ3d")
    assert not (tmp_path / "harmed").exists()


def test_info_fields_that_miss_are_named(tmp_path):
    with pytest.raises(InputError, match=r"cam2img.*frame 0 of .*infos\.pkl"):
        read_infos(version_11(tmp_path, images={"CAM_FRONT": {}}), "surroundocc")
    with (tmp_path / "none.pkl").open("wb") as file:
        pickle.dump({"x": 1}, file)
    with pytest.raises(InputError, match="data_list"):
        read_infos(tmp_path / "none.pkl", "surroundocc")


def test_camera_that_fires_late_is_moved_by_both_ego_poses(tmp_path):
    moved = {"translation": [11.0, 5, 0], "rotation": [1, 0, 0, 0]}  # the camera fires a metre further on
    here = {"translation": [10.0, 5, 0], "rotation": [1, 0, 0, 0]}
    sensor = {"translation": [1.5, 0, 1.5], "rotation": [0.5, -0.5, 0.5, -0.5]}
    camera = {"img_path": "a.jpg", "intrinsics": INTRINSIC.tolist(), "extrinsic": sensor, "ego_pose": moved}
    entry = {"timestamp": 0, "ego_pose": here, "gt_path": "gt.npz", "camera_sensor": {"CAM_FRONT": camera}}
    about = {"train_split": [], "val_split": ["s"], "scene_infos": {"s": {"t": entry}}}
    (tmp_path / "annotations.json").write_text(json.dumps(about))
    (frame,) = read_annotations(tmp_path, "val")
    np.testing.assert_allclose(frame.cameras["CAM_FRONT"].cam2label[:3, 3], [2.5, 0, 1.5], atol=1e-9)
    del camera["extrinsic"]
    (tmp_path / "annotations.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"extrinsic.*frame t"):
        read_annotations(tmp_path, "val")


def test_kitti_projection_is_p2_times_tr(tmp_path):
    folder = tmp_path / "sequences" / "08"
    (folder / "voxels").mkdir(parents=True)
    np.zeros(256 * 256 * 32, np.uint16).tofile(folder / "voxels" / "000005.label")
    inner = np.array([[700.0, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]])
    velo = np.array([[0, -1.0, 0, 0.01], [0, 0, -1, -0.07], [1, 0, 0, -0.3]])
    lines = [f"{key}: " + " ".join(map(str, matrix.ravel())) for key, matrix in (("P2", inner), ("Tr", velo))]
    (folder / "calib.txt").write_text("\n".join(lines) + "\n")
    (frame,) = read_kitti(tmp_path, "val")
    camera = frame.cameras["CAM_2"]
    point = np.array([12.0, 3.0, -1.0, 1.0])
    expected = inner @ np.vstack([velo, [0, 0, 0, 1]]) @ point
    found = camera.intrinsic @ (np.linalg.inv(camera.cam2label) @ point)[:3]
    np.testing.assert_allclose(found / found[2], expected / expected[2], rtol=1e-9)
    (folder / "calib.txt").write_text("P2: 1 2\n")
    with pytest.raises(InputError, match=r"calib\.txt"):
        read_kitti(tmp_path, "val")


def test_images_are_scaled_and_lose_their_top_with_their_intrinsics(street):
    full, small = OccDataset(street), OccDataset(street, size=(12, 32))
    one, other = full[0], small[0]
    assert other.images.shape == (6, 3, 12, 32)
    np.testing.assert_allclose(other.cam2img[:, 0], one.cam2img[:, 0] / 2)
    np.testing.assert_allclose(other.cam2img[:, 1, 2], one.cam2img[:, 1, 2] / 2 - 4)
    with pytest.raises(InputError, match="size"):
        OccDataset(street, size=(64, 64))[0]


def test_broken_images_and_cameras_are_named(street, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(street, root)
    data = OccDataset(root)
    path = root / data.infos[0].cameras["CAM_BACK"].path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="CAM_BACK"):
        _ = data[0]
    path.unlink()
    with pytest.raises(ArtifactError, match="CAM_BACK"):
        _ = data[0]
    with pytest.raises(InputError, match="CAM_TOP"):
        _ = OccDataset(street, cameras=["CAM_TOP"])[0]
    with pytest.raises(InputError, match="twice"):
        OccDataset(street, cameras=["CAM_BACK", "CAM_BACK"])
    (root / "annotations.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"annotations\.json"):
        OccDataset(root)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"split": "test"}, "split"), ({"format": "kitti"}, "format"), ({"format": "openocc-v1"}, "infos")],
)
def test_wrong_arguments_are_named(street, arguments, message):
    with pytest.raises(InputError, match=message):
        OccDataset(street, **arguments)


def test_lidar_origins_are_those_of_the_scene(street):
    data = OccDataset(street)
    origins = data.lidar_origins(0)
    assert len(origins) == 2
    np.testing.assert_allclose(origins[0], [0.94, 0, 1.84], atol=1e-6)
    step = np.linalg.inv(data.infos[0].ego2global) @ data.infos[1].ego2global
    np.testing.assert_allclose(origins[1], (step @ [0.94, 0, 1.84, 1])[:3], atol=1e-6)


def test_limit_takes_frames_evenly(street):
    assert [one.token for one in OccDataset(street, split="train", limit=2).infos] == ["train-0000-00", "train-0001-01"]
