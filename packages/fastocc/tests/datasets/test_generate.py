"""Generated labels and segmentation labels against the simulator, which knows the truth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from fastocc.datasets import (
    OccDataset,
    Sweep,
    close_gaps,
    contradicted,
    fill_ground,
    generate_labels,
    read_sweeps,
    segmentation_from_points,
    segmentation_from_voxels,
)
from fastocc.geometry import CameraRig, GridSpec
from ninefold.errors import InputError

GRID = GridSpec((-8, -8, -1), (0.4, 0.4, 0.4), (40, 40, 10))
RIG = CameraRig.nominal(32, 64)


points_alone = partial(generate_labels, inward=0.0, ground=0.0)


def sweep(points, boxes=(), labels=None, shift=0.0):
    ego = np.eye(4)
    ego[0, 3] = shift
    marks = None if labels is None else np.array(labels, np.uint8)
    return Sweep(np.array(points, float).reshape(-1, 3), marks, np.eye(4), ego, np.array(boxes, float).reshape(-1, 9))


def test_labels_agree_with_the_simulators_on_what_the_lidar_hit(street):
    data = OccDataset(street, split="train")
    for tokens, sweeps in read_sweeps(street, "train").values():
        made = generate_labels(sweeps, 0, data.grid, RIG)
        at = [one.token for one in data.infos].index(tokens[0])
        truth = data.labels(at).semantics
        filled = made["semantics"] != 17
        assert filled.sum() > 100
        assert (truth[filled] != 17).mean() > 0.95
        assert (truth[filled] == made["semantics"][filled]).mean() > 0.8


def test_points_of_a_moving_box_gather_in_its_present_place():
    box_then, box_now = [2, 0, 0.5, 4, 2, 2, 0, 4, 1], [5, 0, 0.5, 4, 2, 2, 0, 4, 1]
    then = sweep([[3.5, 0.5, 0.5]], [box_then])  # 1.5 m ahead of the box's middle
    now = sweep([[6.5, -0.5, 0.5]], [box_now])
    made = points_alone([then, now], 1, GRID, RIG)["semantics"]
    filled = np.argwhere(made != 17)
    expected, _ = GRID.index(np.array([[6.5, 0.5, 0.5], [6.5, -0.5, 0.5]]))
    assert sorted(map(tuple, filled)) == sorted(map(tuple, expected))
    assert set(made[made != 17]) == {4}


def test_points_of_a_box_that_is_gone_leave_no_trail():
    then, now = sweep([[3.5, 0.5, 0.5]], [[3, 0, 0.5, 4, 2, 2, 0, 4, 1]]), sweep([[-3, 0, 0.1]])
    made = points_alone([then, now], 1, GRID, RIG)["semantics"]
    assert (made != 17).sum() == 1


def test_still_points_follow_the_ego_motion():
    made = points_alone([sweep([[4.1, 0, 0.1]]), sweep([[-7, 0, 0.1]], shift=3.0)], 1, GRID, RIG)["semantics"]
    index, _ = GRID.index(np.array([1.1, 0, 0.1]))
    assert made[tuple(index)] == 0


def test_lidar_mask_ends_at_the_point():
    made = points_alone([sweep([[4.1, 0.1, 0.1]])], 0, GRID, RIG)
    seen = made["mask_lidar"][:, 20, 2]
    assert seen[20:31].all()
    assert not seen[31:].any()


def test_commonest_label_of_a_voxel_wins():
    points = [[1.05, 0.1, 0.1], [1.1, 0.1, 0.1], [1.15, 0.1, 0.1]]
    made = points_alone([sweep(points, labels=[3, 9, 9])], 0, GRID, RIG)["semantics"]
    assert set(made[made != 17]) == {9}


def test_ground_between_beams_has_the_class_beside_it():
    semantics = np.full((40, 40, 10), 17, np.uint8)
    semantics[::5, :20, 2], semantics[::5, 20:, 3] = 11, 13  # a road, and a sidewalk one voxel higher
    semantics[10, 10, 2:9] = 15  # a pole on the road
    semantics[22, 5, 7] = 16  # a twig above it
    made = fill_ground(semantics, 17, 12.0, 0.4)
    assert (made[:36, :18, 2] != 17).all()
    assert set(np.unique(made[:36, :18, 2])) <= {11, 15}
    assert (made[:36, 22:, 3] == 13).all()
    assert (made[..., 4:] == semantics[..., 4:]).all()
    near = fill_ground(semantics, 17, 0.4, 0.4)
    assert (near[1:5:3, :18, 2] == 11).all()
    assert (near[2, :18, 2] == 17).all()
    assert (fill_ground(np.full((9, 9, 4), 17, np.uint8), 17, 12.0, 0.4) == 17).all()


def test_gaps_between_filled_voxels_take_the_commonest_label_beside_them():
    semantics = np.full((5, 5, 5), 17, np.uint8)
    semantics[2, :, :] = 15
    semantics[2, 0, :] = 16
    semantics[2, 2, 2] = semantics[2, 1, 3] = 17  # four sides filled; of the second one, one is of another class
    semantics[2, 4, 4] = 17  # a corner: two sides
    made = close_gaps(semantics, 17)
    assert (made[2, 2, 2], made[2, 1, 3], made[2, 4, 4]) == (15, 15, 17)
    assert (made != semantics).sum() == 2


def test_things_that_moved_are_found_without_boxes_and_still_ones_stay():
    y, z = (one.ravel() for one in np.meshgrid(np.arange(-0.8, 0.8, 0.1), np.arange(0, 1.6, 0.1)))
    car = [np.column_stack([np.full(y.size, x), y, z]) for x in (3.0, 5.0)]
    wall = np.column_stack([np.full(y.size, 7.0), 2 * y, z])
    behind = wall[np.abs(wall[:, 1]) > 1.5]  # what the car does not hide
    first, second = np.concatenate([car[0], behind]), np.concatenate([car[1], behind])
    moved = contradicted([first, second], [np.array([0, 0, 0.8])] * 2, GRID, 1)
    middle = (np.abs(y) < 0.4) & (np.abs(z - 0.8) < 0.4)  # the later car, two metres behind, is seen through it
    assert moved[0][: len(y)][middle].all()
    assert not moved[0][len(y) :].any()
    assert not moved[1].any()
    bare = [sweep(one) for one in (first, second)]
    made = generate_labels(bare, 1, GRID, RIG, boxes=False, ground=0.0)["semantics"]
    trail, _ = GRID.index(np.array([[3.05, 0.05, 0.3], [5.05, 0.05, 0.3]]))
    assert [made[tuple(one)] == 17 for one in trail] == [True, False]


def test_labels_of_a_simulated_street_are_nearly_whole():
    from fastocc.models import FastOccConfig
    from fastocc.sim import Scene

    spec, rig = FastOccConfig.preset("mini").spec, CameraRig.nominal(96, 256)
    scene = Scene(77, validation=True)
    frames = [scene.frame(at, rig, spec, pictures=False) for at in range(3)]
    sweeps = [
        Sweep(one.points[:, :3].astype(float), None, rig.lidar.lidar2ego, one.pose, np.zeros((0, 9))) for one in frames
    ]
    truth, seen = frames[1].semantics != 17, frames[1].mask_camera
    found = {}
    for name, options in {"whole": {}, "open ground": {"ground": 0.0}}.items():
        made = generate_labels(sweeps, 1, spec, rig, boxes=False, **options)["semantics"] != 17
        found[name] = (made & truth & seen).sum() / ((made | truth) & seen).sum()
    assert found["whole"] > 0.8
    assert found["open ground"] < found["whole"] - 0.1


@pytest.mark.parametrize(
    "change", [{"points": np.zeros((2, 2))}, {"labels": np.zeros(5, np.uint8)}, {"boxes": np.zeros((1, 7))}]
)
def test_wrong_sweeps_are_named(change):
    given = {
        "points": np.zeros((2, 3)),
        "labels": None,
        "lidar2ego": np.eye(4),
        "ego2global": np.eye(4),
        "boxes": np.zeros((0, 9)),
    }
    with pytest.raises(InputError, match=next(iter(change))):
        Sweep(**{**given, **change})


def test_nearest_point_wins_a_cell_and_empty_cells_are_ignored():
    camera = RIG.cameras[0]
    ahead = np.array([[10.0, 0, 1.5], [5.0, 0, 1.5], [-5.0, 0, 1.5]])
    made = segmentation_from_points(
        ahead, np.array([4, 7, 9], np.uint8), camera.intrinsic[None], camera.cam2ego[None], (32, 64), 8
    )
    assert sorted(made[made != 255].tolist()) == [7]


def test_both_sources_of_segmentation_labels_agree(street):
    data = OccDataset(street)
    frame, (points, labels) = data[0], data.points(0)
    size = (32, 64)
    first = segmentation_from_points(points, labels, frame.cam2img, frame.cam2ego, size, 8)
    second = segmentation_from_voxels(frame.labels.semantics, data.grid, frame.cam2img, frame.cam2ego, size, 8, 17)
    both = (first != 255) & (second != 255)
    assert both.sum() > 30
    assert (first[both] == second[both]).mean() > 0.4  # voxels of 0.8 m against points
