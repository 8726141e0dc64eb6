"""Fisheye cameras against a formula written independently, in everything that projects."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fastocc import FastOccConfig, FastOccModel, OccDataset, SimConfig, simulate
from fastocc.geometry import Camera, CameraRig, GridSpec, camera_rotation, lens_row, pixel_rays
from fastocc.pictures import overlay
from fastocc.views import CameraInputs, LiftSplat, LookUp, project, sample_heights, unproject
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError

K = (0.03, -0.006, 0.001, -0.0002)
SIZE, STRIDE, GRID = (32, 64), 8, GridSpec.named("micro")


def camera(name="WIDE", yaw=0.0, focal=14.0, fisheye=K) -> Camera:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera_rotation(yaw, -5), (0.3, -0.2, 1.4)
    return Camera(name, np.array([[focal, 0, 31.0], [0, focal + 1, 15.0], [0, 0, 1]]), pose, SIZE, fisheye)


def by_hand(point, one: Camera) -> tuple[float, float, float]:
    """Column, row and angle from the axis, by angles alone (the library divides by lengths)."""
    x, y, z = (float(one.cam2ego[:3, axis] @ (np.asarray(point) - one.cam2ego[:3, 3])) for axis in range(3))
    angle, around = math.acos(z / math.sqrt(x * x + y * y + z * z)), math.atan2(y, x)
    bent = angle + sum(k * angle ** (2 * place + 3) for place, k in enumerate(one.fisheye or ()))
    inner = one.intrinsic
    return (
        inner[0, 0] * bent * math.cos(around) + inner[0, 2], inner[1, 1] * bent * math.sin(around) + inner[1, 2], angle
    )  # fmt: skip


def inputs(rig: CameraRig) -> CameraInputs:
    lens = None if rig.lens is None else torch.from_numpy(rig.lens)[None]
    return CameraInputs(torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None], SIZE, lens=lens)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(*[st.floats(-20, 20)] * 3),
    st.floats(-180, 180),
    st.tuples(st.floats(-0.02, 0.05), st.floats(-0.01, 0.01), st.floats(-0.002, 0.002), st.floats(-3e-4, 3e-4)),
)
def test_points_fall_where_the_formula_says(point, yaw, k):
    one = camera(yaw=yaw, fisheye=k)
    if np.linalg.norm(np.array(point) - one.cam2ego[:3, 3]) < 0.1:
        return
    pinhole = replace(one, name="NARROW", fisheye=None)
    given_ = inputs(CameraRig((pinhole, one)))
    pixels, depth = project(torch.tensor([point]).float(), *given_[:2], lens=given_.lens)
    column, row, angle = by_hand(point, one)
    widest = lens_row(k)[4]
    if angle < widest - 1e-3:
        assert depth[0, 1, 0] > 0
        if angle < 3.0:
            np.testing.assert_allclose(pixels[0, 1, 0], [column, row], atol=2e-2)
    elif angle > widest + 1e-3:
        assert depth[0, 1, 0] < 0
    alone = inputs(CameraRig((pinhole,)))
    plain, ahead = project(torch.tensor([point]).float(), *alone[:2])
    torch.testing.assert_close(pixels[:, :1], plain)
    torch.testing.assert_close(depth[:, :1], ahead)


def test_published_example_of_the_model():
    """OpenCV's cv2.fisheye.projectPoints (5.0) of three points."""
    points = np.array([[0.5, -0.2, 1.0], [3.0, 1.0, 1.0], [-1.0, 2.0, 0.4]])
    expected = [[459.196505, 182.465445], [701.696815, 371.473348], [119.955216, 653.425888]]
    pose = torch.eye(4)[None, None]
    inner = torch.tensor([[300.0, 0, 320], [0, 310, 240], [0, 0, 1]])[None, None]
    lens = torch.from_numpy(lens_row((0.05, -0.01, 0.002, -0.0003))).float()[None, None]
    pixels, _ = project(torch.from_numpy(points).float(), inner, pose, lens=lens)
    np.testing.assert_allclose(pixels[0, 0], expected, atol=1e-3)


def test_rays_of_pixels_lead_back_to_them():
    one = camera()
    pixels = torch.stack(torch.meshgrid(torch.arange(64) + 0.5, torch.arange(32) + 0.5, indexing="xy"), -1)
    rig = inputs(CameraRig((one,)))
    rays = unproject(torch.cat([pixels, torch.ones(32, 64, 1)], -1), rig.cam2img, rig.lens)[0, 0]
    known = ~rays[..., 0].isnan()
    assert 0.9 < known.float().mean() <= 1
    points = rays[known] @ rig.cam2ego[0, 0, :3, :3].T * 3 + rig.cam2ego[0, 0, :3, 3]
    found, depth = project(points, *rig[:2], lens=rig.lens)
    torch.testing.assert_close(found[0, 0], pixels[known], atol=2e-3, rtol=0)
    torch.testing.assert_close(depth[0, 0], torch.full_like(depth[0, 0], 3), atol=1e-4, rtol=0)
    again = pixel_rays(pixels.numpy().astype(float), one.intrinsic, one.lens)
    np.testing.assert_allclose(again[known.numpy()], rays[known].numpy(), atol=1e-4)


def test_look_up_and_splat_use_the_lens():
    rig = CameraRig((camera(), camera("BACK", 180.0)))
    view = LookUp(3, 4, GRID, STRIDE, heights=2)
    table = view.table(inputs(rig), (4, 8))[0]
    points = sample_heights(GRID, 2).reshape(-1, 3)
    hits = 0
    for flat in range(0, 800, 7):
        column, row, angle = by_hand(points[flat], rig.cameras[0])
        near = min(abs(value / STRIDE - round(value / STRIDE)) for value in (column, row)) < 1e-3
        if near or abs(angle - rig.cameras[0].lens[4]) < 1e-3:
            continue
        inside = 0 <= column < 64 and 0 <= row < 32 and angle < rig.cameras[0].lens[4]
        expected = int(row // STRIDE) * 8 + int(column // STRIDE) if inside else 32
        assert table[0, flat] == expected
        hits += inside
    assert hits > 20
    splat = LiftSplat(3, 4, GRID, STRIDE, depth=(1.0, 6.0, 1.0))
    cells = splat.cells(inputs(rig), (4, 8))[0, 0]
    checked = 0
    for bin_, row, column in np.ndindex(5, 4, 8):
        point = rig.cameras[0].cam2ego[:3, 3] + (bin_ + 1.5) * ray_by_hand(column * 8 + 4, row * 8 + 4, rig.cameras[0])
        x, y, z = (point - GRID.lower) / GRID.voxel
        inside = 0 <= x < 20 and 0 <= y < 20 and 0 <= z < 8
        assert cells[bin_, row, column] == (int(y) * 20 + int(x) if inside else 400)
        checked += inside
    assert checked > 20


def ray_by_hand(column: float, row: float, one: Camera) -> np.ndarray:
    """The direction of a pixel in the ego frame, its angle by bisection."""
    a, b = (column - one.intrinsic[0, 2]) / one.intrinsic[0, 0], (row - one.intrinsic[1, 2]) / one.intrinsic[1, 1]
    low, high = 0.0, float(one.lens[4])
    for _ in range(60):
        middle = (low + high) / 2
        bent = middle + sum(k * middle ** (2 * place + 3) for place, k in enumerate(one.fisheye or ()))
        low, high = (middle, high) if bent < math.hypot(a, b) else (low, middle)
    around = math.atan2(b, a)
    return one.cam2ego[:3, :3] @ [math.sin(low) * math.cos(around), math.sin(low) * math.sin(around), math.cos(low)]


@pytest.mark.parametrize(
    ("view", "head"),
    [("lut", "c2h"), ("bevformer", "c2h"), ("lut", "cascade"), ("lut", "fastocc2d"), ("lss", "c2h"), ("bevdet", "c2h")],
)
def test_networks_see_through_the_lens(view, head):
    """A lens whose radius is the tangent is a pinhole: the same voxels, but where bins are distances."""
    torch.manual_seed(0)
    config = FastOccConfig.preset("micro", cameras=1, view=view, head=head)
    model = FastOccModel(config).eval()
    tangent = camera(focal=160.0, fisheye=(1 / 3, 2 / 15, 17 / 315, 62 / 2835))
    bevs = []
    for one in (tangent, replace(tangent, fisheye=None), replace(tangent, fisheye=(-0.5, 0, 0, 0))):
        rig = inputs(CameraRig((one,)))
        images = torch.rand(1, 1, 3, *SIZE, generator=torch.Generator().manual_seed(1)) * 255
        with torch.no_grad():
            bevs.append(model(images, rig.cam2img, rig.cam2ego, lens=rig.lens).logits)
    assert torch.isfinite(bevs[2]).all()
    same = torch.isclose(bevs[0], bevs[1], atol=1e-4).float().mean()
    assert same > (0.98 if view in ("lut", "bevformer") else 0.5)
    assert not torch.allclose(bevs[2], bevs[1], atol=1e-4) or head == "c2h"


def test_overlay_shows_a_voxel_at_its_pixel():
    one = camera()
    semantics = np.full(GRID.shape, 17, np.uint8)
    semantics[16, 14, 3] = 4
    middle = np.array(GRID.lower) + (np.array([16, 14, 3]) + 0.5) * GRID.voxel
    column, row, _ = by_hand(middle, one)
    drawn = overlay(
        np.zeros((3, *SIZE), np.uint8), semantics, GRID, one.intrinsic, one.cam2ego,
        tuple(FastOccConfig.preset("micro").labels.classes), 17, lens=one.lens,
    )  # fmt: skip
    rows, columns = np.nonzero(drawn.any(-1))
    assert abs(columns.mean() + 0.5 - column) < 1
    assert abs(rows.mean() + 0.5 - row) < 1


def test_rig_with_a_fisheye_is_kept_simulated_and_trained(tmp_path):
    rig = CameraRig((camera(), camera("BACK", 180.0), replace(camera("LEFT", 90.0), fisheye=None)))
    rig.to_yaml(tmp_path / "rig.yaml")
    assert CameraRig.from_yaml(tmp_path / "rig.yaml").cameras[0].fisheye == K
    simulate(tmp_path / "street", SimConfig(1, 1, 1, "micro", *SIZE), rig)
    data = OccDataset(tmp_path / "street", split="train")
    frame = data[0]
    assert frame.lens is not None
    np.testing.assert_allclose(frame.lens, rig.lens, atol=1e-6)
    from fastocc.evaluation import predict_frame
    from fastocc.training import TrainConfig, train

    config = FastOccConfig.preset("micro", cameras=3)
    model = train(tmp_path / "run", config, TrainConfig.for_preset("micro", steps=2), data)
    blind = replace(frame, lens=None)
    assert blind.lens is None
    assert predict_frame(model, data, 0).shape == GRID.shape
    points, labels = data.points(0) or (None, None)
    assert points is not None
    from fastocc.datasets import segmentation_from_points

    cells = segmentation_from_points(points, labels, frame.cam2img, frame.cam2ego, SIZE, STRIDE, frame.lens)
    flat = segmentation_from_points(points, labels, frame.cam2img, frame.cam2ego, SIZE, STRIDE)
    assert (cells[2] == flat[2]).all()
    assert (cells[0] != flat[0]).any()


@pytest.mark.parametrize("k", [[1, 2, 3], [-99, 0, 0, 0], [float("nan"), 0, 0, 0], "wide"])
def test_lens_that_is_none_is_named(k, tmp_path):
    import yaml

    rig = {"name": "WIDE", "size": [32, 64], "focal": 14, "position": [0, 0, 1], "yaw": 0, "fisheye": k}
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump({"cameras": [rig]}))
    with pytest.raises(InputError, match="fisheye"):
        CameraRig.from_yaml(tmp_path / "rig.yaml")
