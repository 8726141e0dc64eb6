"""The simulator: deterministic, exact, and what it promises of its scenes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from fastocc.datasets import OccDataset
from fastocc.geometry import CameraRig, GridSpec, mark_seen
from fastocc.sim import FREE, HELD_OUT_DEBRIS, Scene, Shape, SimConfig, World, render_camera, simulate
from fastocc.sim._objects import SEEN_DEBRIS
from fastocc.sim._render import Light
from ninefold.errors import ArtifactError, InputError
from ninefold.files import lock
from ninefold_testing import digests

RIG, GRID = CameraRig.nominal(32, 64), GridSpec.named("mini")


@pytest.fixture(scope="module")
def scene():
    return Scene(4, validation=True, frames=3)


def test_labels_are_two_by_two_by_two_fine_cells():
    world = World(half=8.0)
    rng = np.random.default_rng(0)
    world.classes[:] = np.where(rng.random(world.classes.shape) < 0.1, rng.integers(0, 17, world.classes.shape), FREE)
    grid = GridSpec((-4, -4, -1), (0.4, 0.4, 0.4), (20, 20, 16))
    labels, _ = world.labels(np.eye(4), grid)
    thin = {0, 1, 2, 6, 7, 8}
    bulky = {3, 4, 5, 9, 10, 15, 16}
    for x, y, z in rng.integers(0, grid.shape, (400, 3)):
        block = world.classes[20 + 2 * x :, 20 + 2 * y :, 2 * z :][:2, :2, :2].ravel()
        counts = {int(one): int((block == one).sum()) for one in block if one != FREE}
        rank = {one: 4 * count + (2 if one in thin else 1 if one in bulky else 0) for one, count in counts.items()}
        if not counts:
            assert labels[x, y, z] == FREE
        else:
            assert rank[int(labels[x, y, z])] == max(rank.values())


def test_painted_box_has_its_volume_at_any_heading():
    for yaw in (0, 30, 90):
        world = World(half=8.0)
        world.paint(Shape((0.3, -0.2, 2.0), (6.0, 3.0, 2.0), yaw), 4, 7)
        assert (world.instances == 7).sum() * 0.2**3 == pytest.approx(36, rel=0.05)


def test_same_seed_same_frame_and_other_seed_another(scene):
    again, other = Scene(4, validation=True, frames=3), Scene(5, validation=True, frames=3)
    frames = [one.frame(1, RIG, GRID) for one in (scene, again, other)]
    np.testing.assert_array_equal(frames[0].semantics, frames[1].semantics)
    np.testing.assert_array_equal(frames[0].pictures[0].rgb, frames[1].pictures[0].rgb)
    np.testing.assert_array_equal(frames[0].points, frames[1].points)
    assert (frames[0].semantics != frames[2].semantics).any()


def test_depth_and_semantics_agree_with_the_labels(scene):
    frame = scene.frame(0, RIG, GRID)
    agree = total = 0
    for camera, picture in zip(RIG.cameras, frame.pictures, strict=True):
        rows, columns = np.nonzero(picture.depth > 0)
        pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1)
        local = pixels @ np.linalg.inv(camera.intrinsic).T * picture.depth[rows, columns][:, None] * 1.0005
        index, inside = GRID.index(local @ camera.cam2ego[:3, :3].T + camera.cam2ego[:3, 3])
        labels = frame.semantics[tuple(index[inside].T)]
        agree += (labels == picture.semantics[rows, columns][inside]).sum()
        total += inside.sum()
    assert agree / total > 0.85  # the rest are label voxels that two classes share


def test_lidar_points_lie_on_occupied_cells(scene):
    frame, world, pose = scene.frame(2, RIG, GRID), scene.world(2), scene.pose(2)
    sensor = pose @ RIG.lidar.lidar2ego
    index, inside = world.grid.index(frame.points[:, :3] @ sensor[:3, :3].T + sensor[:3, 3])
    found = world.classes[tuple(index[inside].T)]
    assert (found == frame.point_labels[inside]).mean() > 0.98


def test_objects_move_between_frames_by_their_velocity(scene):
    before, after = (
        {box["instance"]: box for box in scene.frame(at, RIG, GRID, pictures=False).boxes} for at in (0, 1)
    )
    moved = [key for key in before if key in after and np.hypot(*before[key]["velocity"]) > 1]
    step = np.linalg.inv(scene.pose(1)) @ scene.pose(0)
    assert moved
    for key in moved:
        start = np.array([*before[key]["center"], 1.0]) + 0.5 * np.array([*before[key]["velocity"], 0, 0])
        np.testing.assert_allclose((step @ start)[:2], after[key]["center"][:2], atol=0.4)


def test_masks_mark_what_sensors_can_see(scene):
    frame = scene.frame(0, RIG, GRID)
    lidar, _ = GRID.index((RIG.lidar.lidar2ego)[:3, 3])
    assert frame.mask_lidar[tuple(lidar)]
    assert 0.05 < frame.mask_camera.mean() < 0.95
    front = dataclasses.replace(RIG, cameras=RIG.cameras[:1])
    seen = scene.frame(0, front, GRID, pictures=False).mask_camera
    assert not seen[:40].any()  # nothing behind the front camera
    assert (frame.mask_camera | ~seen).all()


def test_held_out_shapes_appear_in_validation_scenes_alone():
    def kinds(validation):
        return {one.kind for seed in range(8) for one in Scene(seed, validation=validation).things if one.label == 0}

    assert kinds(False) <= set(SEEN_DEBRIS)
    assert kinds(True) & set(HELD_OUT_DEBRIS)


def test_some_columns_hold_several_layers():
    layers = 0
    for seed in range(3):
        labels = Scene(seed).frame(0, RIG, GRID, pictures=False).semantics
        filled = labels != FREE
        layers += ((np.diff(filled.astype(np.int8), axis=2) == 1).sum(2) + filled[:, :, 0] >= 2).sum()
    assert layers > 50


def test_picture_of_an_empty_world_is_sky():
    camera, light = RIG.cameras[0], Light.drawn(np.random.default_rng(0))
    picture = render_camera(World(half=8.0), camera, np.eye(4), light, np.random.default_rng(0))
    assert (picture.semantics == 255).all()
    assert not picture.depth.any()


def test_written_frames_are_those_of_the_scene(street):
    dataset = OccDataset(street, split="val")
    frame, scene = dataset[1], Scene(3 * 100_003, validation=True, frames=2)
    rig = CameraRig.nominal(32, 64)
    expected = scene.frame(1, rig, dataset.grid)
    np.testing.assert_array_equal(frame.labels.semantics, expected.semantics)
    np.testing.assert_array_equal(frame.labels.mask_camera, expected.mask_camera)
    np.testing.assert_allclose(frame.cam2ego, rig.cam2ego, atol=1e-5)
    rgb = np.stack([picture.rgb for picture in expected.pictures]).transpose(0, 3, 1, 2)
    assert np.abs(frame.images.astype(int) - rgb).mean() < 6  # JPEG


def test_broken_off_simulation_goes_on_to_the_same_files(tmp_path):
    config = SimConfig(2, 1, 1, "micro", 16, 32)
    simulate(tmp_path / "whole", config)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "cut", config, advance=stop)
    assert not (tmp_path / "cut" / "annotations.json").exists()
    simulate(tmp_path / "cut", config)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_other_settings_or_foreign_files_are_refused(tmp_path):
    simulate(tmp_path / "a", SimConfig(1, 0, 1, "micro", 16, 32))
    with pytest.raises(InputError, match="seed was 0, now 1"):
        simulate(tmp_path / "a", SimConfig(1, 0, 1, "micro", 16, 32, seed=1))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="b"):
        simulate(tmp_path / "b", SimConfig(1, 0, 1, "micro", 16, 32))
    (tmp_path / "a" / "sim.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"sim\.json"):
        simulate(tmp_path / "a", SimConfig(1, 0, 1, "micro", 16, 32))


def test_boxes_are_plain_json(street):
    boxes = json.loads(next((street / "boxes").glob("val-*.json")).read_text())
    assert {"instance", "label", "kind", "center", "size", "yaw", "velocity"} <= boxes[0].keys()


def test_a_whole_simulation_is_shared_by_processes(tmp_path):
    config, steps = SimConfig(1, 0, 1, "micro", 16, 32), []
    root = simulate(tmp_path / "a", config)
    held = lock(root / "sim.json")  # as another process holds it while it writes
    try:
        assert simulate(root, config, advance=lambda: steps.append(1)) == root
        assert steps == [1]
        (root / "annotations.json").unlink()
        with pytest.raises(ArtifactError, match="in use"):
            simulate(root, config)
    finally:
        held.close()


def test_camera_mask_is_what_rays_to_all_centres_in_the_image_pass(scene):
    frame, expected = scene.frame(1, RIG, GRID, pictures=False), np.zeros(GRID.shape, bool)
    centers = GRID.centers().reshape(-1, 3).astype(np.float64)
    for camera in RIG.cameras:
        local = (centers - camera.cam2ego[:3, 3]) @ camera.cam2ego[:3, :3]
        pixel = local @ camera.intrinsic.T
        place = pixel[:, :2] / np.where(local[:, 2:] > 0.1, pixel[:, 2:], np.nan)
        chosen = ((place >= 0) & (place < camera.size[::-1])).all(1)
        rays = centers[chosen] - camera.cam2ego[:3, 3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        expected |= mark_seen(frame.semantics, GRID, camera.cam2ego[:3, 3], rays, free=FREE)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(frame.mask_camera, expected)


def test_vehicle_moves_in_every_scene_where_asked_and_others_are_as_they_were():
    still = moved = 0
    for seed in range(6):
        one, other = Scene(seed), Scene(seed, moving=True)
        still += not one.speed
        moved += 2 <= other.speed <= 8
        assert one.speed in (0.0, other.speed)
        assert [thing.pose(1.0) for thing in one.things] == [thing.pose(1.0) for thing in other.things]
    assert 0 < still < 6
    assert moved == 6


def test_folder_of_moving_scenes_is_another_simulation(tmp_path):
    config = SimConfig(1, 0, 1, "micro", 8, 16, moving=True)
    root = simulate(tmp_path / "moving", config)
    with pytest.raises(InputError, match="moving was True"):
        simulate(root, dataclasses.replace(config, moving=False))
    old = simulate(tmp_path / "old", dataclasses.replace(config, moving=False))
    assert "moving" not in json.loads((old / "sim.json").read_text())
