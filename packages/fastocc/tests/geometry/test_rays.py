"""Ray casting against marching in tiny steps and against exact distances."""

from __future__ import annotations

import numpy as np
import pytest
from fastocc.geometry import GridSpec, mark_seen, raycast
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError

GRID = GridSpec((-4.0, -4.0, -1.0), (0.5, 0.5, 0.25), (16, 16, 12))


def march(volume, origin, direction, step=1e-4, far=20.0):
    """First occupied voxel along a ray by tiny steps, or None."""
    points = origin + np.arange(0, far, step)[:, None] * direction
    index, inside = GRID.index(points)
    cells = index[inside]
    filled = volume[tuple(cells.T)] != 9
    if not filled.any():
        return None
    at = int(filled.argmax())
    return tuple(cells[at]), np.flatnonzero(inside)[at] * step


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_first_hit_equals_marching(seed):
    rng = np.random.default_rng(seed)
    volume = np.where(rng.random(GRID.shape) < 0.03, 1, 9).astype(np.uint8)
    origin = rng.uniform(-6, 6, 3) * (1, 1, 0.3)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    hits, expected = raycast(volume, GRID, origin, direction, free=9), march(volume, origin, direction)
    assert hits.hit[0] == (expected is not None)
    if expected is not None:
        cell, distance = expected
        assert hits.entry[0] == pytest.approx(distance, abs=2e-4)
        assert np.unravel_index(hits.cell[0], GRID.shape) == cell
        assert hits.leave[0] > hits.entry[0]


def test_miss_keeps_the_last_voxel_inside():
    volume = np.full(GRID.shape, 9, np.uint8)
    hits = raycast(volume, GRID, np.array([0.1, 0.1, 0.1]), np.array([[1.0, 0, 0]]), free=9)
    assert not hits.hit[0]
    assert np.unravel_index(hits.cell[0], GRID.shape)[0] == 15
    assert hits.leave[0] == pytest.approx(3.9)


def test_ray_beside_the_grid_meets_nothing():
    hits = raycast(np.ones(GRID.shape, np.uint8), GRID, np.array([0, 0, 9.0]), np.array([[1.0, 0, 0]]), free=9)
    assert hits.cell[0] == -1


def test_far_limit_ends_the_ray():
    volume = np.full(GRID.shape, 9, np.uint8)
    volume[14] = 1
    ray = {"origins": np.array([0.1, 0.1, 0.1]), "directions": np.array([[1.0, 0, 0]]), "free": 9}
    assert raycast(volume, GRID, **ray).hit[0]
    assert not raycast(volume, GRID, **ray, far=1.0).hit[0]


def test_seen_voxels_end_at_the_first_occupied_one():
    volume = np.full(GRID.shape, 9, np.uint8)
    volume[12] = 1
    seen = mark_seen(volume, GRID, np.array([0.1, 0.1, 0.1]), np.array([[1.0, 0, 0]]), free=9)
    assert np.flatnonzero(seen.any((1, 2))).tolist() == [8, 9, 10, 11, 12]
    assert seen.sum() == 5


def test_threads_do_not_change_the_result():
    rng = np.random.default_rng(0)
    volume = np.where(rng.random(GRID.shape) < 0.05, 1, 9).astype(np.uint8)
    rays = rng.normal(size=(5000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    for one, two in zip(*(raycast(volume, GRID, np.zeros(3), rays, free=9, threads=n) for n in (1, 2)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_transposed_volume_is_refused():
    with pytest.raises(InputError, match="volume"):
        raycast(np.zeros((12, 16, 16), np.uint8), GRID, np.zeros(3), np.array([[1.0, 0, 0]]), free=9)
