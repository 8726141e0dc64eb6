"""Calibration files of ROS and Kalibr: cameras project as OpenCV does, and other models are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from fastocc.geometry import CameraRig, project_points
from ninefold.errors import InputError

OPENCV = json.loads((Path(__file__).parent / "opencv.json").read_text())
MATRIX, SIZE = np.array(OPENCV["intrinsic"]), [720, 1280]
MOUNT = {"position": [1.5, 0, 1.5], "yaw": 10}
ROS = {4: "plumb_bob", 5: "plumb_bob", 8: "rational_polynomial"}
LENSES = [(kind, name) for kind in ("distortion", "fisheye") for name in OPENCV[kind]]


def ros(kind, coefficients, **changes):
    """As `camera_calibration` saves it."""
    model = "equidistant" if kind == "fisheye" else ROS[len(coefficients)]
    count = len(coefficients)
    return {
        "image_width": SIZE[1], "image_height": SIZE[0], "camera_name": "front",
        "camera_matrix": {"rows": 3, "cols": 3, "data": MATRIX.ravel().tolist()}, "distortion_model": model,
        "distortion_coefficients": {"rows": 1, "cols": count, "data": list(coefficients)},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": np.eye(3).ravel().tolist()},
        "projection_matrix": {"rows": 3, "cols": 4, "data": np.eye(3, 4).ravel().tolist()}, **changes,
    }  # fmt: skip


def kalibr(kind, coefficients, **changes):
    """As `kalibr_calibrate_cameras` saves it."""
    one = {
        "cam_overlaps": [1], "camera_model": "pinhole", "distortion_coeffs": list(coefficients),
        "distortion_model": "equidistant" if kind == "fisheye" else "radtan", "rostopic": "/front/image_raw",
        "intrinsics": [MATRIX[0, 0], MATRIX[1, 1], MATRIX[0, 2], MATRIX[1, 2]], "resolution": SIZE[::-1], **changes,
    }  # fmt: skip
    other = {**one, "intrinsics": [500.0, 500.0, 640.0, 360.0], "T_cn_cnm1": np.eye(4).tolist()}
    return {"cam0": {key: value for key, value in other.items() if key != "T_cn_cnm1"}, "cam1": one}


def read(folder, calibration, content, **more):
    (folder / "calibration.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(content))))
    entry = {"name": "FRONT", "calibration": calibration, **MOUNT, **more}
    (folder / "rig.yaml").write_text(yaml.safe_dump({"cameras": [entry]}))
    return CameraRig.from_yaml(folder / "rig.yaml").cameras[0]


@pytest.mark.parametrize(("kind", "name"), LENSES)
def test_camera_projects_as_opencv_does(kind, name, tmp_path):
    lens = OPENCV[kind][name]
    files = [("calibration.yaml", ros(kind, lens["coefficients"]))]
    if len(lens["coefficients"]) == 4:
        files.append((["calibration.yaml", "cam1"], kalibr(kind, lens["coefficients"])))
    for calibration, content in files:
        camera = read(tmp_path, calibration, content)
        assert camera.size == tuple(SIZE)
        pixels, _ = project_points(np.array(OPENCV["points"]), camera.intrinsic, camera.lens)
        np.testing.assert_allclose(pixels, lens["pixels"], atol=0.002)


def test_distortion_of_zeros_is_a_pinhole(tmp_path):
    assert not read(tmp_path, "calibration.yaml", ros("distortion", [0.0] * 5)).lens.any()
    assert not read(
        tmp_path, ["calibration.yaml", "cam1"], kalibr("distortion", [], distortion_model="none")
    ).lens.any()


PLAIN = [-0.3, 0.1, 0.0, 0.0]
WRONG = {
    "no camera of a chain": ("calibration.yaml", kalibr("distortion", PLAIN), {}, "cam0, cam1"),
    "another camera": (["calibration.yaml", "cam7"], kalibr("distortion", PLAIN), {}, "cam7.*cam0, cam1"),
    "omnidirectional": (
        ["calibration.yaml", "cam1"], kalibr("distortion", PLAIN, camera_model="omni"), {}, "camera_model.*omni",
    ),
    "field of view model": (
        ["calibration.yaml", "cam1"], kalibr("distortion", PLAIN, distortion_model="fov"), {}, "distortion_model.*fov",
    ),
    "thin prism": ("calibration.yaml", ros("distortion", PLAIN, distortion_model="thin_prism"), {}, "thin_prism"),
    "missing matrix": ("calibration.yaml", {"image_width": 9, "image_height": 9}, {}, "camera_matrix"),
    "a list": ("calibration.yaml", [1, 2], {}, "camera_info"),
    "no file": ("missing.yaml", ros("distortion", PLAIN), {}, "missing.yaml"),
    "not a name": (7, ros("distortion", PLAIN), {}, "a file"),
    "and a size": ("calibration.yaml", ros("distortion", PLAIN), {"size": SIZE}, "calibration.*size"),
    "and a lens": ("calibration.yaml", ros("distortion", PLAIN), {"fisheye": [0, 0, 0, 0]}, "calibration.*fisheye"),
    "text for numbers": ("calibration.yaml", ros("distortion", PLAIN, image_width="wide"), {}, "numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file_is_refused_by_name(name, tmp_path):
    calibration, content, more, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        read(tmp_path, calibration, content, **more)
