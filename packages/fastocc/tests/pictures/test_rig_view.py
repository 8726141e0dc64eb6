"""A rig as a table and a drawing: angles, fields of view and coverage are those of the rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fastocc import Camera, CameraRig, GridSpec
from fastocc.geometry import camera_rotation
from fastocc.pictures import rig_views
from ninefold_testing import run_here

GRID = GridSpec.named("micro")


def camera(yaw, pitch=0.0, **more):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera_rotation(yaw, pitch), (0, 0, 1.5)
    return Camera("one", np.array([[320.0, 0, 320], [0, 320, 240], [0, 0, 1]]), pose, (480, 640), **more)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (90, -30), (-110, 10), (180, 5)])
def test_angles_are_those_of_the_camera(yaw, pitch):
    (view,), _ = rig_views(CameraRig((camera(yaw, pitch),)), GRID)
    assert abs((view.yaw - yaw + 180) % 360 - 180) < 1e-6
    assert view.pitch == pytest.approx(pitch)
    assert view.width == pytest.approx(90)


def test_columns_are_counted_where_a_camera_looks():
    ahead, left = camera(0), replace(camera(90), name="left")
    views, counts = rig_views(CameraRig((ahead, left)), GRID)
    assert counts.shape == GRID.shape[:2]
    assert counts[-1, 10] == 1  # straight ahead
    assert counts[10, -1] == 1  # to the left
    assert counts[0, 0] == 0  # behind to the right
    assert counts[-1, -1] == 2  # both see the corner between them
    assert 0 < views[0].share < 0.5


def test_fisheye_wider_than_a_half_circle_and_edges_beyond_a_lens_are_measured():
    wide = replace(
        camera(0, fisheye=(0.0, 0.0, 0.0, 0.0)), intrinsic=np.array([[180.0, 0, 320], [0, 180, 240], [0, 0, 1]])
    )
    (view,), _ = rig_views(CameraRig((wide,)), GRID)
    assert view.width == pytest.approx(2 * np.rad2deg(320 / 180), abs=0.1)
    (view,), _ = rig_views(CameraRig((camera(0, distortion=(-0.5, 0.0, 0.0, 0.0)),)), GRID)
    assert 60 < view.width < 90


def test_command_lists_cameras_and_draws_a_page(tmp_path):
    CameraRig.nominal(90, 160).to_yaml(tmp_path / "rig.yaml")
    words = ("rig", tmp_path / "rig.yaml", "-o", tmp_path / "rig.html")
    done = run_here("fastocc.cli", *map(str, words))
    assert done.returncode == 0, done.stderr
    assert "CAM_BACK_LEFT" in done.stdout
    assert "data:image" in (tmp_path / "rig.html").read_text()
    done = run_here("fastocc.cli", *map(str, words[:-1]), str(tmp_path / "rig.png"))
    assert done.returncode == 2
    assert ".html" in done.stderr
