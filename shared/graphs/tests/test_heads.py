"""Closed forms against what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold_graphs import Graph, centred_update, estimated_mix, hop_features, left_out, softmax, walked, whitening

DRAWS = np.random.default_rng(0)


def test_left_out_residuals_equal_fits_without_the_row():
    z, residual = DRAWS.normal(size=(12, 5)), DRAWS.normal(size=(12, 3))
    found = left_out(z, residual, 0.7)
    for row in range(12):
        rest = np.arange(12) != row
        missed = residual[row] - z[row] @ centred_update(z[rest], residual[rest], 0.7)
        np.testing.assert_allclose(found[row], missed, atol=1e-5)


def test_softmax_of_large_scores_is_finite():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0 + np.log(3)]])), [[0.25, 0.75]])


def test_centred_update_is_the_ridge_solution():
    z, residual = DRAWS.normal(size=(12, 5)), DRAWS.normal(size=(12, 3))
    expected = np.linalg.solve(z.T @ z + 0.7 * np.eye(5), z.T @ residual)
    np.testing.assert_allclose(centred_update(z, residual, 0.7), expected, atol=1e-6)


def test_mix_of_another_prior_is_found():
    truth, prior = np.array([0.7, 0.2, 0.1]), np.array([1, 1, 1]) / 3
    y = DRAWS.choice(3, 20_000, p=truth)
    x = np.eye(3)[y] * 2 + DRAWS.normal(size=(len(y), 3))
    like = np.exp(-((x[:, None] - 2 * np.eye(3)) ** 2).sum(axis=2) / 2) * prior
    found = estimated_mix(like / like.sum(axis=1, keepdims=True), prior)
    np.testing.assert_allclose(found, truth, atol=0.02)
    assert found.sum() == pytest.approx(1)


def test_hops_and_walks_are_their_formulas():
    graph = Graph.of(DRAWS.normal(size=(6, 2)), [[0, 1, 2, 3], [1, 2, 3, 4]])
    step, x = graph.normalized.toarray(), graph.x
    second = step @ step @ x
    second /= np.maximum(np.linalg.norm(second, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(hop_features(x, graph.normalized, (0, 2))[:, 2:], second, atol=1e-5)
    np.testing.assert_allclose(walked(x, graph.normalized, 0.5, 1), 0.5 * (step @ x) + 0.5 * x, atol=1e-6)
    weighted = graph.step(np.full(8, 0.5, np.float32)).toarray()
    looped = graph.adjacency.toarray() / 2 + np.eye(6)
    np.testing.assert_allclose(weighted, looped / np.sqrt(np.outer(looped.sum(1), looped.sum(1))), atol=1e-6)


def test_whitened_classes_are_round():
    y = np.repeat([0, 1], 500)
    z = DRAWS.normal(size=(1000, 3)) @ np.array([[3, 0, 0], [1, 1, 0], [0, 0, 0.1]]) + y[:, None] * 5
    w = whitening(z, {0: np.flatnonzero(y == 0), 1: np.flatnonzero(y == 1)}, 1e-6)
    keys = z @ w
    residual = np.concatenate([keys[y == c] - keys[y == c].mean(0) for c in (0, 1)])
    np.testing.assert_allclose(residual.T @ residual / 1000, np.eye(3), atol=0.02)
