"""mIoU and RayIoU against slow reference code written from the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastocc.evaluation import MIoU, RayIoU, query_rays, select_origins
from fastocc.geometry import GridSpec
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError

NAMES = ["a", "b", "c", "free"]


def slow_miou(frames):
    scores = []
    for label in range(3):
        inside = union = 0
        for guess, truth, mask in frames:
            for g, t, m in zip(guess.ravel(), truth.ravel(), mask.ravel(), strict=True):
                if m and t != 255:
                    inside += g == label and t == label
                    union += g == label or t == label
        if union:
            scores.append(inside / union)
    return sum(scores) / len(scores) if scores else math.nan


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_miou_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    frames = [
        (rng.integers(0, 4, (4, 3, 2)), rng.choice([0, 1, 3, 255], (4, 3, 2)), rng.random((4, 3, 2)) < 0.7)
        for _ in range(2)
    ]
    metric = MIoU(NAMES, 3)
    for guess, truth, mask in frames:
        metric.add(guess, truth, mask)
    assert metric.compute().miou == pytest.approx(slow_miou(frames), nan_ok=True)


def test_geometric_iou_is_occupied_against_free():
    metric = MIoU(NAMES, 3)
    metric.add(np.array([0, 1, 3, 3]), np.array([1, 3, 0, 3]))
    assert metric.compute().geometric == pytest.approx(1 / 3)


def test_no_valid_class_is_nan_and_said_so():
    metric = MIoU(NAMES, 3)
    metric.add(np.array([3, 3]), np.array([3, 3]))
    score = metric.compute()
    assert math.isnan(score.miou)
    assert "undefined" in score.note


def test_mask_takes_voxels_out():
    metric = MIoU(NAMES, 3)
    metric.add(np.array([0, 1]), np.array([0, 0]), np.array([True, False]))
    assert metric.compute().miou == 1


def test_shapes_and_values_are_checked():
    with pytest.raises(InputError, match="shapes"):
        MIoU(NAMES, 3).add(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(InputError, match="predicted"):
        MIoU(NAMES, 3).add(np.array([7]), np.array([0]))


GRID = GridSpec((-4.0, -4.0, -1.0), (0.5, 0.5, 0.5), (16, 16, 6))


def slow_ray(volume, origin, direction, free):
    """(label, exit distance) voxel by voxel with plane distances in plain Python."""
    cell = [math.floor((o - low) / 0.5) for o, low in zip(origin, GRID.lower, strict=True)]
    while True:
        exits = []
        for axis in range(3):
            if direction[axis] == 0:
                exits.append(math.inf)
                continue
            plane = GRID.lower[axis] + 0.5 * (cell[axis] + (direction[axis] > 0))
            exits.append((plane - origin[axis]) / direction[axis])
        leave = min(exits)
        label = volume[tuple(cell)]
        axis = exits.index(leave)
        step = list(cell)
        step[axis] += 1 if direction[axis] > 0 else -1
        if label != free or not 0 <= step[axis] < GRID.shape[axis]:
            return label, leave
        cell = step


def slow_rayiou(pairs, origins):
    truth, guess, hits = np.zeros(4), np.zeros(4), np.zeros((3, 4))
    for predicted, labels in pairs:
        for origin in origins:
            for ray in query_rays()[::97]:
                true, got = slow_ray(labels, origin, ray, 3), slow_ray(predicted, origin, ray, 3)
                if true[0] == 3:
                    continue
                truth[true[0]] += 1
                guess[got[0]] += 1
                for at, threshold in enumerate((1, 2, 4)):
                    hits[at, true[0]] += true[0] == got[0] and abs(true[1] - got[1]) < threshold
    union = truth + guess - hits
    return float(np.nanmean(np.where(union > 0, hits / np.maximum(union, 1), np.nan)[:, :3]))


@pytest.mark.parametrize("seed", range(3))
def test_rayiou_equals_the_definition(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(GRID.shape) < 0.05, rng.integers(0, 3, GRID.shape), 3).astype(np.uint8)
    predicted = np.where(rng.random(GRID.shape) < 0.7, labels, rng.integers(0, 4, GRID.shape)).astype(np.uint8)
    origins = np.array([[0.1, 0.2, 0.3], [-1.3, 2.1, 0.7]])
    expected = slow_rayiou([(predicted, labels)], origins)
    rays = query_rays()[::97]
    monkeypatch.setattr("fastocc.evaluation._rayiou.query_rays", lambda: rays)
    metric = RayIoU(GRID, NAMES, 3)
    metric.add(predicted, labels, origins)
    assert metric.compute().rayiou == pytest.approx(expected, abs=1e-9)


def test_there_are_fourteen_thousand_and_forty_rays():
    rays = query_rays()
    assert rays.shape == (14_040, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    assert math.asin(rays[0, 2]) == pytest.approx(-math.pi / 4)


def test_a_perfect_prediction_scores_one_and_an_empty_one_zero():
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(GRID.shape) < 0.2, rng.integers(0, 3, GRID.shape), 3).astype(np.uint8)
    for predicted, expected in ((labels, 1.0), (np.full_like(labels, 3), 0.0)):
        metric = RayIoU(GRID, NAMES, 3)
        metric.add(predicted, labels, np.zeros((1, 3)))
        assert metric.compute().rayiou == expected


def test_depth_error_counts_at_the_wider_thresholds_alone():
    labels, predicted = np.full(GRID.shape, 3, np.uint8), np.full(GRID.shape, 3, np.uint8)
    labels[10], predicted[13] = 0, 0  # 1.5 m behind
    metric = RayIoU(GRID, NAMES, 3)
    metric.add(predicted, labels, np.zeros((1, 3)))
    at = metric.compute().at
    assert at[1.0] == 0
    assert 0.2 < at[2.0] < at[4.0]  # oblique rays see the gap longer than it is


def test_origins_lie_inside_and_are_at_most_eight():
    line = np.stack([np.linspace(-10, 10, 41), np.zeros(41), np.ones(41)], -1)
    chosen = select_origins(line, GRID)
    assert len(chosen) == 8
    assert np.abs(chosen[:, 0]).max() < 3
