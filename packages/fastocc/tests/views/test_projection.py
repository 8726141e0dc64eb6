"""Projection against a formula written independently, point by point, for random rigs, flips and crops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fastocc.geometry import CameraRig
from fastocc.views import bev_augmentation, image_augmentation, project, rigid_inverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def by_hand(point, camera, flips, turn, resize, crop, mirror, size):
    """Undo the bird's-eye augmentation, look from the camera, then resize, crop and mirror the pixel."""
    x, y, z = point
    x, y = (-x if flips[0] else x), (-y if flips[1] else y)
    cos, sin = math.cos(-math.radians(turn)), math.sin(-math.radians(turn))
    x, y = cos * x - sin * y, sin * x + cos * y
    relative = np.array([x, y, z]) - camera.cam2ego[:3, 3]
    right, down, forward = (float(relative @ camera.cam2ego[:3, axis]) for axis in range(3))
    u = camera.intrinsic[0, 0] * right / forward + camera.intrinsic[0, 2]
    v = camera.intrinsic[1, 1] * down / forward + camera.intrinsic[1, 2]
    u, v = u * resize - crop[0], v * resize - crop[1]
    return (size[1] - u if mirror else u), v, forward


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, (3,), elements=st.floats(-30, 30)),
    st.integers(0, 5),
    st.tuples(st.booleans(), st.booleans()),
    st.floats(-180, 180),
    st.floats(0.3, 1.5),
    st.tuples(st.floats(-20, 40), st.floats(0, 60)),
    st.booleans(),
)
def test_projection_equals_the_formula(point, number, flips, turn, resize, crop, mirror):
    rig, size = CameraRig.nominal(), (256, 704)
    camera = rig.cameras[number]
    u, v, depth = by_hand(point, camera, flips, turn, resize, crop, mirror, size)
    image = image_augmentation(resize, crop, mirror, 0.0, size)
    pixels, depths = project(
        torch.tensor(point, dtype=torch.float64)[None],
        torch.tensor(camera.intrinsic)[None, None],
        torch.tensor(camera.cam2ego)[None, None],
        image.double()[None, None],
        bev_augmentation(*flips, turn).double()[None],
    )
    assert depths.item() == pytest.approx(depth, abs=1e-4)
    if depth > 0.5:
        np.testing.assert_allclose(pixels[0, 0, 0].numpy(), [u, v], rtol=1e-4, atol=0.05)


def test_rotated_image_keeps_its_middle_and_turns_counter_clockwise():
    matrix = image_augmentation(rotate=90, size=(100, 100)).double()
    right = matrix @ torch.tensor([60.0, 50, 1], dtype=torch.float64)
    np.testing.assert_allclose((matrix @ torch.tensor([50.0, 50, 1], dtype=torch.float64)).numpy(), [50, 50, 1])
    np.testing.assert_allclose(right.numpy(), [50, 40, 1], atol=1e-5)  # right of the middle goes above it


def test_rigid_inverse_undoes_the_pose():
    poses = torch.from_numpy(CameraRig.nominal().cam2ego)
    torch.testing.assert_close(rigid_inverse(poses) @ poses, torch.eye(4).expand(6, 4, 4), atol=1e-5, rtol=0)


def test_point_ahead_falls_in_the_middle_of_the_front_camera_and_behind_the_back_one():
    rig = CameraRig.nominal()
    point = torch.tensor([[20.0, 0.0, 1.51]])
    pixels, depth = project(point, torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None])
    np.testing.assert_allclose(pixels[0, 0, 0].numpy(), [815, 490], atol=0.01)
    assert depth[0, 0, 0] == pytest.approx(18.3)
    assert depth[0, rig.names.index("CAM_BACK"), 0] < 0
