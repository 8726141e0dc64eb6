"""Doubly robust estimates by simulation, and the size of an online test."""

import numpy as np
import pytest
from ninefold.errors import InputError
from recsys.evaluation import doubly_robust, events_needed, ips
from recsys.evaluation._propensity import Estimate


def world(draw: np.random.Generator, n: int, error: float, shift: float) -> tuple[Estimate, Estimate, float]:
    """(doubly robust, IPS, truth): three actions, two contexts; a model wrong by `error`, propensities by `shift`."""
    truth = np.array([[0.1, 0.3, 0.5], [0.6, 0.4, 0.2]])
    logging, policy = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]), np.array([[0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])
    context = draw.integers(0, 2, n)
    action = (draw.random(n)[:, None] > np.cumsum(logging[context], axis=1)).sum(axis=1)
    reward = (draw.random(n) < truth[context, action]).astype(float)
    model = truth + error
    propensity = np.clip(logging + shift * np.array([1, 0, -1]), 0.05, 1)
    given = reward, policy[context, action], propensity[context, action]
    expected = (policy * model).sum(axis=1)[context]
    return (
        doubly_robust(*given, model[context, action], expected),
        ips(*given),
        float((policy * truth).sum(axis=1).mean()),
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw, runs = np.random.default_rng(0), 1000
    held = sum(
        robust.low <= truth <= robust.high for robust, _, truth in (world(draw, 400, 0.1, 0.0) for _ in range(runs))
    )
    assert 0.93 <= held / runs <= 0.97


def test_one_of_model_and_propensities_may_be_wrong():
    draw = np.random.default_rng(1)
    right_model = [
        (robust.mean - truth, plain.mean - truth)
        for robust, plain, truth in (world(draw, 2000, 0.0, 0.1) for _ in range(60))
    ]
    robust, plain = np.abs(np.mean(right_model, axis=0))
    assert robust < 0.01 < plain
    right_weights = [robust.mean - truth for robust, _, truth in (world(draw, 2000, 0.3, 0.0) for _ in range(60))]
    assert abs(np.mean(right_weights)) < 0.01


def test_a_good_model_narrows_the_interval():
    robust, plain, _ = world(np.random.default_rng(2), 2000, 0.0, 0.0)
    assert robust.high - robust.low < 0.9 * (plain.high - plain.low)


def test_as_many_users_as_are_needed_find_the_lift():
    n, draw = events_needed(0.2, 0.2), np.random.default_rng(0)
    a, b = draw.binomial(n, 0.2, 4000) / n, draw.binomial(n, 0.24, 4000) / n
    middle = (a + b) / 2
    found = np.abs(b - a) / np.sqrt(2 * middle * (1 - middle) / n) > 1.959964
    assert 0.78 < found.mean() < 0.82
    assert events_needed(0.2, 0.1) > 3 * n
    with pytest.raises(InputError, match="lift"):
        events_needed(0.2, 0.0)


def test_bad_predictions_are_named():
    ones = np.ones(3)
    with pytest.raises(InputError, match="predicted"):
        doubly_robust(ones, ones, ones, np.ones(2), ones)
    with pytest.raises(InputError, match="expected"):
        doubly_robust(ones, ones, ones, ones, np.array([0, np.nan, 1]))
