"""Rigs as people write them: each mutation of a good rig is read as OpenCV would project it, or refused with a hint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fastocc.geometry import CameraRig, pixel_rays, project_points
from fastocc.views._projection import project, unproject
from ninefold.errors import InputError

OPENCV = json.loads((Path(__file__).parent / "opencv.json").read_text())
POINTS, INTRINSIC = np.array(OPENCV["points"]), np.array(OPENCV["intrinsic"])
LENSES = [(kind, name) for kind in ("distortion", "fisheye") for name in OPENCV[kind]]


def camera(**changes) -> dict:
    good = {"name": "FRONT", "size": [720, 1280], "focal": [600, 610], "center": [640, 360], "position": [1.5, 0, 1.5]}
    return {key: value for key, value in {**good, "yaw": 0, **changes}.items() if value is not None}


def read(folder: Path, entry: dict, **rest) -> CameraRig:
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump({"cameras": [entry], **rest}))
    return CameraRig.from_yaml(path)


@pytest.mark.parametrize(("kind", "name"), LENSES)
def test_lens_projects_as_opencv_does(kind, name, tmp_path):
    lens = OPENCV[kind][name]
    rig = read(tmp_path, camera(**{kind: lens["coefficients"]}))
    rig.to_yaml(tmp_path / "again.yaml")
    np.testing.assert_array_equal(CameraRig.from_yaml(tmp_path / "again.yaml").lens, rig.lens)
    one = rig.cameras[0]
    pixels, depth = project_points(POINTS, one.intrinsic, one.lens)
    np.testing.assert_allclose(pixels, lens["pixels"], atol=0.002)
    assert (depth > 0).all()
    rays = pixel_rays(np.array(lens["pixels"]), one.intrinsic, one.lens)
    np.testing.assert_allclose(rays / rays[:, 2:], POINTS / POINTS[:, 2:], atol=1e-4)
    # the same in torch, by batches, from the vehicle's frame
    inner, outer, row = (torch.from_numpy(x)[None] for x in (rig.cam2img, rig.cam2ego, rig.lens))
    ego = torch.from_numpy(POINTS @ one.cam2ego[:3, :3].T + one.cam2ego[:3, 3]).float()
    seen, depth = project(ego, inner, outer, lens=row)
    np.testing.assert_allclose(seen[0, 0], lens["pixels"], atol=0.05)
    assert (depth > 0).all()
    flat = torch.from_numpy(np.concatenate([lens["pixels"], np.ones((len(POINTS), 1))], 1)).float()
    back = unproject(flat[None], inner, row)[0, 0, 0]
    np.testing.assert_allclose(back / back[:, 2:], POINTS / POINTS[:, 2:], atol=1e-3)


def test_lenses_of_all_kinds_stand_in_one_rig(tmp_path):
    entries = [camera(name=name, **{kind: OPENCV[kind][name]["coefficients"]}) for kind, name in LENSES]
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump({"cameras": [*entries, camera(name="pinhole")]}))
    rig = CameraRig.from_yaml(tmp_path / "rig.yaml")
    inner, outer, row = (torch.from_numpy(x)[None] for x in (rig.cam2img, rig.cam2ego, rig.lens))
    pose = rig.cameras[0].cam2ego
    seen, _ = project(torch.from_numpy(POINTS @ pose[:3, :3].T + pose[:3, 3]).float(), inner, outer, lens=row)
    for at, (kind, name) in enumerate(LENSES):
        np.testing.assert_allclose(seen[0, at], OPENCV[kind][name]["pixels"], atol=0.05)
    np.testing.assert_allclose(seen[0, -1], project_points(POINTS, INTRINSIC)[0], atol=0.05)


def test_points_beyond_the_reach_of_a_distortion_are_not_seen(tmp_path):
    one = read(tmp_path, camera(distortion=[-0.3, 0.01, 0, 0])).cameras[0]
    wide = np.array([[9.0, 0, 3.0], [0, 0, -2.0], [0.5, 0, 5.0]])
    assert (project_points(wide, one.intrinsic, one.lens)[1] > 0).tolist() == [False, False, True]


# name of the mutation: the changed fields, and what the message has to say
FIELDS = {
    "pich": "pitch", "rol": "roll", "yaww": "yaw", "positon": "position", "foacl": "focal", "centre": "center",
    "sice": "size", "distorsion": "distortion", "fish_eye": "fisheye", "intrinsics": "intrinsic", "K": "intrinsic",
    "k1": "distortion", "p1": "distortion", "camera_matrix": "intrinsic", "resolution": "size", "fx": "focal",
    "distortion_coefficients": "distortion", "distortion_model": "distortion", "D": "distortion",
    "extrinsic": "position", "rpy": "pitch", "translation": "position", "quarternion": "quaternion", "width": "size",
    "ofset": "offset", "soruce": "source",
}  # fmt: skip
HALF, DOUBLE = [360, 640], [1440, 2560]
VALUES = {
    "picture at half size with the full K": ({"size": HALF}, "principal point.*Scale the intrinsic"),
    "picture at twice the size with the full K": ({"size": DOUBLE}, "principal point.*Scale the intrinsic"),
    "picture at three quarters": ({"size": [540, 960]}, "principal point.*Scale the intrinsic"),
    "width before height": ({"size": [1280, 720]}, "principal point"),
    "center as row, column": ({"center": [360, 640]}, "principal point"),
    "K transposed": ({"focal": None, "center": None, "intrinsic": INTRINSIC.T.tolist()}, "transposed"),
    "focal length below zero": ({"focal": -600}, "focal lengths > 0"),
    "K and focal": ({"center": None, "intrinsic": INTRINSIC.tolist()}, "intrinsic.*focal"),
    "pitch with a quaternion": ({"yaw": None, "pitch": 5, "quaternion": [0.5, -0.5, 0.5, -0.5]}, "pitch.*quaternion"),
    "pitch alone": ({"yaw": None, "pitch": -30}, "pitch.*yaw"),
    "yaw and rotation": ({"rotation": np.eye(3).tolist()}, "yaw and rotation"),
    "position in millimetres": ({"position": [1500, 0, 1500]}, "position.*metres"),
    "three coefficients": ({"distortion": [-0.3, 0.1, 0]}, "distortion.*4 or 5 or 8"),
    "six coefficients": ({"distortion": [-0.3, 0.1, 0, 0, 0, 0]}, "distortion.*4 or 5 or 8"),
    "coefficient not finite": ({"distortion": [float("nan"), 0, 0, 0]}, "distortion.*finite"),
    "coefficients as text": ({"distortion": "-.3 .1 0 0"}, "distortion"),
    "both lenses": ({"distortion": [-0.3, 0.1, 0, 0], "fisheye": [0, 0, 0, 0]}, "fisheye and distortion"),
    "a lens that folds at once": ({"distortion": [-40.0, 0, 0, 0]}, "rises"),
    "five coefficients of a fisheye": ({"fisheye": [0, 0, 0, 0, 0]}, "fisheye.*4 finite"),
    "yaw not a number": ({"yaw": float("nan")}, "yaw"),
}


@pytest.mark.parametrize("key", FIELDS)
def test_unknown_field_is_refused_with_the_nearest_known_one(key, tmp_path):
    with pytest.raises(InputError, match=rf"field {key}.*did you mean .*{FIELDS[key]}"):
        read(tmp_path, camera(**{key: [0.1, 0, 0, 0]}))


@pytest.mark.parametrize("name", VALUES)
def test_wrong_value_is_refused_with_a_hint(name, tmp_path):
    changes, message = VALUES[name]
    with pytest.raises(InputError, match=message):
        read(tmp_path, camera(**changes))


def test_fields_of_the_file_and_of_the_lidar_are_checked_too(tmp_path):
    with pytest.raises(InputError, match=r"field pich.*did you mean pitch"):
        read(tmp_path, camera(), lidar={"position": [1, 0, 2], "yaw": 0, "pich": 3})
    with pytest.raises(InputError, match=r"field lidars.*did you mean lidar"):
        read(tmp_path, camera(), lidars={})
    with pytest.raises(InputError, match="pitch_range"):
        read(tmp_path, camera(), lidar={"pitch_range": [-25, 15]})  # degrees
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump({"cameras": [camera()]}) + "  yaw: 90\n")
    with pytest.raises(InputError, match="yaw is given twice"):
        CameraRig.from_yaml(tmp_path / "rig.yaml")


def test_lidar_may_be_tilted(tmp_path):
    pose = read(tmp_path, camera(), lidar={"position": [1, 0, 2], "yaw": 90, "pitch": 10}).lidar.lidar2ego
    np.testing.assert_allclose(pose[:3, 0], [0, np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))], atol=1e-12)
