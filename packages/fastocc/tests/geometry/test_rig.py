"""Rigs: YAML round trip, resizing, and every mistake named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fastocc.geometry import Camera, CameraRig, camera_rotation, quaternion_matrix
from ninefold.errors import InputError

THREE = """
cameras:
  - {name: FRONT, size: [900, 1600], focal: 1265, center: [815, 490], position: [1.7, 0, 1.5], yaw: 0}
  - {name: LEFT, size: [900, 1600], focal: [1200, 1210], position: [1.5, 0.5, 1.5], yaw: 80, pitch: -5}
  - {name: RIGHT, size: [900, 1600], focal: 1200, position: [1.5, -0.5, 1.5], quaternion: [0.5, -0.5, 0.5, -0.5]}
lidar: {position: [0.9, 0, 1.8], beams: 16}
"""


def test_three_camera_rig_is_read_and_comes_back(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(THREE)
    rig = CameraRig.from_yaml(path)
    assert rig.names == ["FRONT", "LEFT", "RIGHT"]
    assert rig.lidar.beams == 16
    np.testing.assert_allclose(rig.cam2ego[0, :3, 2], [1, 0, 0], atol=1e-6)  # looks ahead
    np.testing.assert_allclose(rig.cam2ego[2, :3, :3], camera_rotation(0), atol=1e-6)
    rig.to_yaml(tmp_path / "again.yaml")
    again = CameraRig.from_yaml(tmp_path / "again.yaml")
    np.testing.assert_array_equal(again.cam2img, rig.cam2img)
    np.testing.assert_array_equal(again.cam2ego, rig.cam2ego)


def test_pitch_up_and_roll_right_have_their_signs():
    assert camera_rotation(0, pitch=10)[2, 2] > 0  # the optical axis points up
    assert camera_rotation(0, roll=10)[2, 0] < 0  # the image's right side goes down


def test_resized_camera_sees_the_same_point_scaled_and_cropped():
    camera = CameraRig.nominal().cameras[0]
    small = camera.resized(96, 256)
    point = np.array([1.0, 0.5, 10.0])
    full, cut = camera.intrinsic @ point / 10, small.intrinsic @ point / 10
    np.testing.assert_allclose(cut[:2], [full[0] * 0.16, full[1] * 0.16 - 48])
    with pytest.raises(InputError, match="CAM_FRONT"):
        camera.resized(200, 256)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: 3", "list"),
        (": :", "YAML"),
        ("cameras: [{size: [9, 16]}]", "name"),
        ("cameras: [{name: A, size: [9, 16], focal: 5, position: [0, 0, 0]}]", "A.*|rotation"),
        ("cameras: [{name: A, size: [9, 16], focal: x, position: [0, 0, 0], yaw: 0}]", "focal"),
        ("cameras: [{name: A, size: [9, 16], focal: 5, position: [0, 0], yaw: 0}]", "position"),
        ("cameras: [{name: A, size: [9, 16], focal: 0, position: [0, 0, 0], yaw: 0}]", "singular"),
        (
            "cameras: [{name: A, size: [9, 9], focal: 5, position: [0, 0, 0], rotation: [[2,0,0],[0,1,0],[0,0,1]]}]",
            "rotation",
        ),
        (
            (
                "cameras: [{name: A, size: [9, 16], focal: 5, position: [0, 0, 0], yaw: 0},"
                " {name: A, size: [9, 16], focal: 5, position: [0, 0, 0], yaw: 0}]"
            ),
            "A twice",
        ),
    ],
)
def test_wrong_rig_is_named(tmp_path, text, message):
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        CameraRig.from_yaml(path)


def test_nan_intrinsic_names_its_camera():
    camera = CameraRig.nominal().cameras[2]
    bad = dataclasses.replace(camera, intrinsic=camera.intrinsic * np.nan)
    with pytest.raises(InputError, match=r"CAM_FRONT_RIGHT.*NaN"):
        CameraRig((bad,))


def test_missing_camera_and_mixed_sizes_are_named():
    rig = CameraRig.nominal()
    with pytest.raises(InputError, match="CAM_TOP"):
        rig.select(["CAM_FRONT", "CAM_TOP"])
    mixed = CameraRig((rig.cameras[0], Camera("B", rig.cameras[1].intrinsic, rig.cameras[1].cam2ego, (450, 800))))
    with pytest.raises(InputError, match="sizes"):
        _ = mixed.image_size


def test_quaternion_of_zero_length_is_refused():
    with pytest.raises(InputError, match="quaternion"):
        quaternion_matrix([0, 0, 0, 0])
