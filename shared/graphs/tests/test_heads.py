"""Closed forms against what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold_graphs import Graph, assortativity, centred_update, hop_features, left_out, softmax, walked, whitening

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


@pytest.mark.parametrize("weighted", [False, True])
def test_assortativity_is_networkx_s(weighted):
    import networkx as nx

    graph = Graph.of(np.eye(40), DRAWS.integers(0, 40, (2, 90)))
    classes, once = DRAWS.integers(0, 3, 40), graph.edge_index[0] < graph.edge_index[1]
    linked = nx.Graph(graph.edge_index[:, once].T.tolist())
    nx.set_node_attributes(linked, dict(enumerate(classes.tolist())), "kind")
    weight = np.full(graph.edge_index.shape[1], 2.5) if weighted else None  # the unit of weights does not matter
    found = assortativity(graph.edge_index, classes, weight)
    assert found.value == pytest.approx(nx.attribute_assortativity_coefficient(linked, "kind"))
    assert 0 < found.error < 0.5


def test_assortativity_without_edges_labels_or_a_second_class_is_zero():
    edges = np.array([[0, 1], [1, 0]])
    for pairs, classes in ((edges[:, :0], [0, 1]), (edges, [-1, 1]), (edges, [1, 1])):
        assert assortativity(pairs, np.array(classes)).value == 0


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
