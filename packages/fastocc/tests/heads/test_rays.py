"""Supervision from LiDAR rays: where the points lie, what is asked of the logits there, and what the loss is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from fastocc.geometry import GridSpec
from fastocc.heads import RayQueries, query_logits, ray_loss, sample_queries
from ninefold.errors import InputError

GRID = GridSpec((-4.0, -3.0, -1.0), (0.5, 0.5, 0.5), (16, 12, 6))
SENSOR = np.array([0.2, 0.1, 1.2])


@pytest.fixture
def cloud():
    """Returns near and far, in the grid and beyond it."""
    return np.random.default_rng(0).uniform([-7, -5, -1], [7, 5, 2.5], (400, 3))


def sampled(points, seed=1, **options):
    return sample_queries(points, SENSOR, GRID, np.random.default_rng(seed), rays=500, **options)


def by_formula(logits, point):
    """Trilinear weights written out, coordinates clamped to the outermost centres."""
    place = (np.array(point) - GRID.lower) / GRID.voxel - 0.5
    place = np.clip(place, 0, np.array(GRID.shape) - 1)
    low = np.minimum(np.floor(place).astype(int), np.array(GRID.shape) - 2)
    share, made = place - low, 0.0
    for corner in itertools.product((0, 1), repeat=3):
        weight = np.prod(np.where(corner, share, 1 - share))
        made = made + weight * logits[tuple(low + corner)]
    return made


def test_logits_at_points_equal_the_formula():
    rng = np.random.default_rng(2)
    logits = torch.from_numpy(rng.normal(size=(2, *GRID.shape, 3)))
    points = rng.uniform(GRID.lower, GRID.upper, (2, 40, 3))
    found = query_logits(logits, torch.from_numpy(points), GRID)
    for batch, at in itertools.product(range(2), range(40)):
        np.testing.assert_allclose(found[batch, at], by_formula(logits[batch].numpy(), points[batch, at]), atol=1e-10)


def test_a_voxels_centre_has_its_own_logits():
    logits = torch.randn(1, *GRID.shape, 4, generator=torch.Generator().manual_seed(0))
    centers = torch.from_numpy(GRID.centers()).reshape(1, -1, 3)
    torch.testing.assert_close(query_logits(logits, centers, GRID), logits.reshape(1, -1, 4), atol=2e-5, rtol=0)


def test_points_lie_on_rays_free_ones_before_the_return_and_occupied_ones_behind(cloud):
    found = sampled(cloud, free=3)
    points = found.points.numpy().astype(float)
    state = found.occupied.numpy().reshape(4, 500)
    ways = (cloud - SENSOR) / np.linalg.norm(cloud - SENSOR, axis=1, keepdims=True)
    reach = np.linalg.norm(cloud - SENSOR, axis=1)
    far = np.linalg.norm(points - SENSOR, axis=1)
    nearest = (((points - SENSOR) / far[:, None]) @ ways.T).argmax(1)  # which return's ray
    apart = np.linalg.norm(np.cross(points - SENSOR, ways[nearest]), axis=1)
    counts = found.occupied.numpy() != 255
    assert apart[counts].max() < 1e-5
    over = (far - reach[nearest]).reshape(4, 500)
    assert ((over[0] >= -1e-5) & (over[0] <= 0.25 + 1e-5)).all()  # half a voxel
    assert (over[1:][state[1:] == 0] < -0.5 + 1e-5).all()
    assert set(np.unique(state[0])) == {1, 255}
    assert set(np.unique(state[1:])) == {0, 255}
    assert GRID.index(points[counts])[1].all()
    assert (state[1:] == 0).mean() > 0.5


def test_free_points_in_a_voxel_with_a_return_do_not_count(cloud):
    wall = np.array([[3.6, 0.1, 1.2]])
    between = np.array([[0.2 + x, 0.1, 1.2] for x in (0.8, 1.3, 1.8, 2.3)])
    alone, crowded = (
        sample_queries(one, SENSOR, GRID, np.random.default_rng(0), rays=300, free=4)
        for one in (wall, np.concatenate([wall, between]))
    )
    inside = [
        GRID.index(one.points.numpy()[one.occupied.numpy() == 0].astype(float))[0][:, 0].tolist()
        for one in (alone, crowded)
    ]
    held = set(GRID.index(between)[0][:, 0].tolist())
    assert held & set(inside[0])
    assert not held & set(inside[1])


def test_classes_belong_to_returns_alone_and_follow_them(cloud):
    classes = np.arange(len(cloud)).astype(np.uint8) % 7
    found = sampled(cloud, classes=classes, behind=0.0)
    marks = found.classes.numpy().reshape(3, 500)
    assert (marks[1:] == 255).all()
    at = np.linalg.norm(found.points.numpy()[:500, None] - cloud[None], axis=2).argmin(1)
    np.testing.assert_array_equal(marks[0], classes[at])


def test_same_random_state_same_points_and_no_ray_in_the_grid_none_that_counts(cloud):
    for one, two in zip(sampled(cloud), sampled(cloud), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(sampled(cloud).points, sampled(cloud, seed=2).points)
    outside = sample_queries(
        np.array([[30.0, 0, 0], [31, 0, 0]]), np.array([20.0, 0, 0]), GRID, np.random.default_rng(0), rays=5
    )
    for empty in (outside, sampled(np.zeros((0, 3)))):
        assert (empty.occupied == 255).all()
        logits = torch.randn(1, *GRID.shape, 4, requires_grad=True)
        losses = ray_loss(logits, RayQueries(*(one[None] for one in empty)), GRID, 3)
        sum(losses.values()).backward()
        assert [float(one) for one in losses.values()] == [0, 0]
        assert not logits.grad.any()


@pytest.mark.parametrize("free", [3, 0, 4])  # last, first, and none among the logits (sigmoid)
def test_loss_equals_the_formula(free):
    rng = np.random.default_rng(3)
    logits = torch.from_numpy(rng.normal(size=(1, *GRID.shape, 4))).float()
    points = torch.from_numpy(rng.uniform(GRID.lower, GRID.upper, (1, 30, 3))).float()
    state = torch.from_numpy(rng.choice([0, 1, 1, 255], (1, 30)).astype(np.uint8))
    marks = torch.from_numpy(rng.choice([1, 2, 255], (1, 30)).astype(np.uint8))
    losses = ray_loss(logits, RayQueries(points, state, marks), GRID, free)
    others = [one for one in range(4) if one != free]
    sums, kinds = {0: [], 1: []}, []
    for at in range(30):
        row = by_formula(logits[0].numpy(), points[0, at].numpy())
        score = row[others].max() - (row[free] if free < 4 else 0)
        target = int(state[0, at])
        if target == 255:
            continue
        sums[target].append(np.log1p(np.exp(-score if target else score)))
        if target == 1 and int(marks[0, at]) != 255:
            shares = np.exp(row[others])
            kinds.append(-np.log(np.exp(row[int(marks[0, at])]) / shares.sum()))
    assert float(losses["rays"]) == pytest.approx((np.mean(sums[0]) + np.mean(sums[1])) / 2, rel=1e-4)
    assert float(losses["classes"]) == pytest.approx(np.mean(kinds), rel=1e-4)


def test_descent_on_the_loss_makes_a_wall_and_free_space_before_it():
    y, z = (one.ravel() for one in np.meshgrid(np.arange(-1, 1, 0.1), np.arange(0, 1.8, 0.1)))
    wall = np.column_stack([np.full(y.size, 3.1), y, z])
    logits = torch.zeros(1, *GRID.shape, 3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.1)
    for step in range(60):
        queries = sample_queries(
            wall, SENSOR, GRID, np.random.default_rng(step), rays=200, classes=np.full(len(wall), 1, np.uint8)
        )
        losses = ray_loss(logits, RayQueries(*(one[None] for one in queries)), GRID, 2)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    found = logits.detach()[0].argmax(-1)
    (x, row, level), _ = GRID.index(np.array([3.2, 0.1, 1.1]))
    assert found[x, row, level] == 1
    assert (found[9 : x - 1, row, level] == 2).all()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"points": np.zeros((3, 2))}, "points"), ({"points": np.full((3, 3), np.nan)}, "points"),
        ({"origin": np.zeros(2)}, "origin"), ({"classes": np.zeros(5, np.uint8)}, "classes"),
        ({"rays": -1}, "rays"), ({"free": -1}, "free"), ({"margin": -1.0}, "margin"), ({"behind": np.nan}, "behind"),
    ],
)  # fmt: skip
def test_wrong_sweeps_are_named(change, name):
    given = {"points": np.ones((3, 3)), "origin": SENSOR, "grid": GRID, "rng": np.random.default_rng(0), **change}
    with pytest.raises(InputError, match=name):
        sample_queries(**given)


def test_wrong_shapes_and_classes_are_named():
    logits, points = torch.zeros(1, *GRID.shape, 3), torch.zeros(1, 2, 3)
    with pytest.raises(InputError, match="logits"):
        query_logits(logits[:, 1:], points, GRID)
    with pytest.raises(InputError, match="points"):
        query_logits(logits, points[0], GRID)
    state, marks = torch.ones(1, 2, dtype=torch.uint8), torch.full((1, 2), 9, dtype=torch.uint8)
    with pytest.raises(InputError, match=r"classes.*9.*at most 1"):
        ray_loss(logits, RayQueries(points, state, marks), GRID, 2)
