"""View transforms against slow code: tables, splatting by floor, alignment of the last frame, numbers of cameras."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fastocc.geometry import CameraRig, GridSpec
from fastocc.views import (
    VIEWS,
    CameraInputs,
    LiftSplat,
    LookUp,
    bev_augmentation,
    project,
    sample_heights,
    warp_previous,
)

GRID, SIZE, STRIDE = GridSpec.named("micro"), (32, 64), 8
RIG = CameraRig.nominal(*SIZE)


def cameras(rig=RIG, batch=1, **more):
    matrices = (torch.from_numpy(one)[None].repeat(batch, *[1] * one.ndim) for one in (rig.cam2img, rig.cam2ego))
    return CameraInputs(*matrices, SIZE, **more)


def features(count=6, channels=3, batch=1):
    return torch.rand(batch, count, channels, 4, 8, generator=torch.Generator().manual_seed(0)) + 0.1


def test_look_up_takes_the_pixel_that_projection_names():
    view = LookUp(3, 4, GRID, STRIDE, heights=2).eval()
    volume = []
    view.mix = torch.nn.Identity()
    x = features()
    made = view(x, cameras())[0].view(2, 3, 20, 20)
    points = sample_heights(GRID, 2)
    pixels, depth = project(points.reshape(-1, 3), *cameras()[:2])
    for flat in np.random.default_rng(0).integers(0, 800, 60):
        z, y, x_at = np.unravel_index(flat, (2, 20, 20))
        found = []
        for camera in range(6):
            u, v = (pixels[0, camera, flat] / STRIDE).floor().int().tolist()
            if depth[0, camera, flat] > 0.1 and 0 <= u < 8 and 0 <= v < 4:
                found.append(x[0, camera, :, v, u])
        expected = torch.zeros(3) if not found else found[0]
        torch.testing.assert_close(made[z, :, y, x_at], expected)
        volume.append(len(found))
    assert max(volume) >= 1
    assert min(volume) == 0


def test_fixed_table_gives_the_same_features():
    view = LookUp(3, 4, GRID, STRIDE).eval()
    before = view(features(), cameras())[0]
    view.fix(cameras(), (4, 8))
    torch.testing.assert_close(view(features(), cameras())[0], before)


def test_cameras_that_see_nothing_of_the_grid_are_a_warning_and_zero():
    above = torch.eye(4).repeat(1, 6, 1, 1)
    above[..., 2, 3] = 100.0  # high above, looking up
    view = LookUp(3, 4, GRID, STRIDE).eval()
    with pytest.warns(UserWarning, match="zero"):
        made = view(features(), CameraInputs(cameras().cam2img, above, SIZE))[0]
    torch.testing.assert_close(made, view.mix(torch.zeros(1, 24, 20, 20)))


def test_lift_splat_sums_weighted_features_into_floored_cells():
    view = LiftSplat(3, 2, GRID, STRIDE, depth=(1.03, 9.03, 1.0)).eval()  # no point on an edge of cells
    x = features()
    made = view(x, cameras())[0]
    logits, content = view.head(x.flatten(0, 1)).unflatten(0, (1, 6)).split([8, 2], 2)
    weights, expected = logits.softmax(2), torch.zeros(2, 20, 20)
    for camera, one in enumerate(RIG.cameras):
        for v in range(4):
            for u in range(8):
                ray = np.linalg.inv(one.intrinsic) @ [(u + 0.5) * STRIDE, (v + 0.5) * STRIDE, 1]
                for bin_at in range(8):
                    point = one.cam2ego[:3, :3] @ ray * (bin_at + 1.53) + one.cam2ego[:3, 3]
                    index, inside = GRID.index(point)
                    if inside:
                        expected[:, index[1], index[0]] += (
                            weights[0, camera, bin_at, v, u] * content[0, camera, :, v, u]
                        )
    torch.testing.assert_close(made[0], expected, atol=1e-4, rtol=1e-4)


def test_kept_height_sums_to_the_collapsed_view():
    torch.manual_seed(0)
    flat, deep = (LiftSplat(3, 2, GRID, STRIDE, keep_z=keep).eval() for keep in (False, True))
    deep.load_state_dict(flat.state_dict())
    volume = deep(features(), cameras())[0].unflatten(1, (8, 2))
    torch.testing.assert_close(volume.sum(1), flat(features(), cameras())[0], atol=1e-5, rtol=1e-4)


def test_depth_bins_are_those_of_the_view():
    view = LiftSplat(3, 2, GRID, STRIDE)
    depth = torch.tensor([0.0, 0.9, 1.0, 1.49, 1.5, 44.9, 60.0])
    assert view.depth_targets(depth).tolist() == [255, 255, 0, 0, 1, 87, 255]


@pytest.mark.parametrize("name", list(VIEWS))
def test_mirrored_space_mirrors_a_view_whose_cells_are_symmetric(name):
    torch.manual_seed(0)
    view = VIEWS[name](3, 8, GRID, STRIDE).eval()
    plain = view(features(), cameras())[0]
    flipped = view(features(), cameras(bev_aug=bev_augmentation(flip_y=True)[None]))[0]
    if name not in ("bevformer", "bevdet"):  # whose queries are learned cell by cell; whose cells are truncated
        torch.testing.assert_close(flipped, plain.flip(2), atol=1e-4, rtol=1e-4)
    else:
        assert not torch.allclose(flipped, plain)


@pytest.mark.parametrize("name", list(VIEWS))
@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_any_number_of_cameras(name, count):
    names = [*RIG.names, "A", "B"][:count]
    base = [*RIG.cameras, *RIG.cameras][:count]
    rig = CameraRig(
        tuple(type(one)(label, one.intrinsic, one.cam2ego, one.size) for one, label in zip(base, names, strict=True))
    )
    view = VIEWS[name](3, 8, GRID, STRIDE).eval()
    assert view(features(count, batch=2), cameras(rig, batch=2))[0].shape == (2, 8, 20, 20)


def test_last_frame_is_aligned_by_the_motion():
    before = torch.zeros(1, 1, 20, 20)
    before[0, 0, 10, 15] = 1.0  # x = 4.4 m
    motion = torch.eye(4)[None].clone()
    motion[0, 0, 3] = 1.6  # this frame's origin lies two cells further on
    now = warp_previous(before, motion, GRID)
    assert now[0, 0, 10, 13] == pytest.approx(1.0, abs=1e-4)
    assert now.sum() == pytest.approx(1.0, abs=1e-3)
    assert warp_previous(torch.ones(1, 1, 20, 20), motion, GRID)[0, 0, :, 18:].sum() == 0


def test_temporal_attention_makes_the_last_frame_count():
    torch.manual_seed(0)
    view = VIEWS["bevformer"](3, 8, GRID, STRIDE).eval()
    previous = torch.randn(1, 8, 20, 20)
    assert not torch.allclose(view(features(), cameras())[0], view(features(), cameras(), previous)[0])


@pytest.mark.parametrize("keep_z", [False, True])
@pytest.mark.parametrize("name", ["lss", "bevdet"])
def test_gathers_of_an_exported_graph_sum_what_sorted_cells_sum(name, keep_z):
    from fastocc.views._pool import pool

    torch.manual_seed(0)
    view = VIEWS[name](3, 5, GRID, STRIDE, keep_z=keep_z).eval()
    view.fix(cameras(), (4, 8))
    rows, weights = torch.randn(6 * 4 * 8, 5), torch.rand(6, len(view.bins), 4, 8)
    made = view.padded(rows, weights)
    torch.testing.assert_close(made, pool(rows, weights, view.fixed), atol=1e-5, rtol=1e-5)
    flat, cells = torch.zeros(len(made) + 1, 5), view.cells(cameras(), (4, 8))[0]
    outer = weights.unsqueeze(-1) * rows.view(6, 1, 4, 8, 5)
    flat.index_add_(0, cells.reshape(-1), outer.reshape(-1, 5))
    torch.testing.assert_close(made, flat[:-1], atol=1e-5, rtol=1e-5)


def test_pooling_has_gradients_for_depth_and_content():
    view = VIEWS["lss"](3, 2, GRID, STRIDE)
    x = features().requires_grad_()
    view(x, cameras())[0].square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert view.head[-1].weight.grad[: len(view.bins)].abs().sum() > 0  # through the depth weights
