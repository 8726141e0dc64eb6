"""Sparse products against dense ones, ridge and inputs against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from mldgg import open_graph
from mldgg.paper._tensors import Masks, csr_of
from ninefold.errors import InputError
from ninefold_graphs import InputEncoder, Ridge, centred_update, hop_features, one_hot, ridge_weights

from .small import domains, ring


def test_sparse_product_and_both_derivatives_equal_the_dense_ones():
    matrix = sp.random(6, 4, 0.5, random_state=0, dtype=np.float64).astype(np.float32)
    sparse, dense = csr_of(sp.csr_matrix(matrix)), torch.tensor(matrix.toarray())
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    results = []
    for one in (sparse, dense):
        value = ((one @ z) ** 3).sum()
        (first,) = torch.autograd.grad(value, z, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), z)
        results.append((value.detach(), first.detach(), second))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_masks_stay_within_a_trajectory_and_change_between_places_and_seeds():
    z = torch.ones(50, 8)
    assert torch.equal(Masks(3, 0.5)(z, 0), Masks(3, 0.5)(z, 0))
    assert not torch.equal(Masks(3, 0.5)(z, 0), Masks(3, 0.5)(z, 1))
    assert not torch.equal(Masks(3, 0.5)(z, 0), Masks(4, 0.5)(z, 0))
    assert Masks(3, 0.5)(z, 0).unique().tolist() == [0.0, 2.0]
    assert torch.equal(Masks()(z, 0), z)


def test_centred_update_is_the_ridge_solution_around_the_source():
    draws = np.random.default_rng(0)
    z, y, source = draws.normal(size=(9, 20)), one_hot(draws.integers(0, 3, 9), 3), draws.normal(size=(20, 3))
    change = centred_update(
        torch.tensor(z), torch.tensor(y - z @ source), torch.tensor(2.0, dtype=torch.float64)
    ).numpy()
    expected = np.linalg.solve(z.T @ z + 2 * np.eye(20), z.T @ (y - z @ source))
    np.testing.assert_allclose(change, expected, atol=1e-8)
    np.testing.assert_allclose(ridge_weights(z, y, 2.0), np.linalg.solve(z.T @ z + 2 * np.eye(20), z.T @ y), atol=1e-5)


def test_strength_is_interpolated_in_logarithms_and_kept():
    ridge = Ridge(np.zeros((2, 3), np.float32), (2.0, 8.0, 32.0), 3.0)
    assert ridge.strength_at(0.2) == ridge.strength_at(1) == pytest.approx(2)
    assert ridge.strength_at(5**0.5) == pytest.approx(4)
    assert ridge.strength_at(100) == pytest.approx(32)
    np.testing.assert_array_equal(ridge.update(np.zeros((0, 2)), np.zeros(0, int)), ridge.weights)


def test_hops_are_powers_of_the_normalised_adjacency():
    graph = open_graph(ring())
    a = graph.adjacency.toarray() + np.eye(6)
    step = a / np.sqrt(np.outer(a.sum(axis=1), a.sum(axis=1)))
    blocks = [graph.x, step @ step @ graph.x]
    expected = np.concatenate([one / np.linalg.norm(one, axis=1, keepdims=True) for one in blocks], axis=1)
    np.testing.assert_allclose(hop_features(graph.x, graph.normalized, (0, 2)), expected, atol=1e-5)


def test_words_get_directions_and_measurements_are_standardised():
    graphs = list(domains().values())
    encoder = InputEncoder.fit(graphs[:2], 16)
    z = encoder(graphs[2])
    assert z.shape == (len(graphs[2]), 16)
    measured = open_graph(ring())
    columns = InputEncoder.fit([measured])(measured)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(columns.std(axis=0), 2**-0.5, atol=1e-3)  # two columns: rows of unit length in the mean
    again = InputEncoder.load(encoder.arrays())
    np.testing.assert_array_equal(again(graphs[2]), z)
    with pytest.raises(InputError, match="2 columns, expected 120"):
        encoder(measured)
