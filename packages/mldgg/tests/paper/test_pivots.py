"""Pivot passing against a dense reference, the regulariser against its formula, refinement against its definition."""

from __future__ import annotations

import logging

import pytest
import torch
from mldgg.paper._pivots import PivotLearner, choose_pivots, pivot_graph, pivot_pass, refine, structure_loss


def some(n=12, p=5, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator), torch.arange(p)


def test_similarity_is_the_mean_cosine_of_heads_where_it_is_above_epsilon():
    z, pivots = some()
    torch.manual_seed(0)
    learner = PivotLearner(4, heads=3, epsilon=0.2)
    b = learner(z, pivots)
    for i in range(12):
        for p in range(5):
            cosines = [torch.cosine_similarity(w * z[i], w * z[p], dim=0) for w in learner.weight]
            value = torch.stack(cosines).mean()
            expected = value if value > 0.2 else torch.zeros(())
            torch.testing.assert_close(b[i, p], expected, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(learner(z, pivots), b)


def test_pivot_passing_equals_its_dense_reference():
    z, _ = some()
    b = torch.relu(torch.randn(12, 5, generator=torch.Generator().manual_seed(1)))
    b[3] = 0
    dense = torch.zeros(12, 12)
    for i in range(12):
        for j in range(12):
            for p in range(5):
                if b[i].sum() > 0:
                    dense[i, j] += b[i, p] / b[i].sum() * b[j, p] / b[:, p].sum()
    fallback = torch.full_like(z, 7.0)
    passed = pivot_pass(b, z, fallback)
    expected = dense @ z
    assert (b.sum(dim=1) == 0)[3]
    expected[b.sum(dim=1) == 0] = 7.0
    torch.testing.assert_close(passed, expected, atol=1e-5, rtol=1e-5)


def test_more_pivots_than_nodes_are_clipped_and_logged(caplog):
    with caplog.at_level(logging.INFO, logger="mldgg"):
        assert choose_pivots(4, 9, seed=0).tolist() == [0, 1, 2, 3]
    assert "9 pivots asked for, 4 nodes" in caplog.text
    assert choose_pivots(100, 10, seed=1).tolist() == choose_pivots(100, 10, seed=1).tolist()
    assert choose_pivots(100, 10, seed=1).tolist() != choose_pivots(100, 10, seed=2).tolist()


def test_regulariser_without_draws_is_its_formula():
    z, pivots = some()
    b = torch.relu(torch.randn(12, 5, generator=torch.Generator().manual_seed(1))) + 0.01
    r = z[pivots]
    edges = torch.zeros(5, 5)
    for i in range(12):
        edges += torch.outer(b[i], b[i]) / b[i].sum() * 5 / 12  # pivots over nodes
    torch.testing.assert_close(pivot_graph(b), edges)
    value = sum(
        0.3 * edges[i, j] * ((r[i] - r[j]) ** 2).sum() + 0.1 * edges[i, j] ** 2 for i in range(5) for j in range(5)
    )
    found = structure_loss(b, r, smooth=0.3, sparse=0.1, draws=0, seed=0)
    torch.testing.assert_close(found, value / 25, atol=1e-5, rtol=1e-5)


def test_policy_gradient_points_where_the_expected_reward_grows():
    """With two pivots, the mean of many REINFORCE gradients is the gradient of the expected reward of the draws."""
    b = torch.tensor([[1.0, 0.4], [0.3, 0.8], [0.6, 0.5]], requires_grad=True)
    r = torch.zeros(2, 1)

    def gradient(draws):
        loss = structure_loss(b, r, smooth=0.0, sparse=0.5, draws=draws, seed=0)
        return torch.autograd.grad(loss, b)[0]

    edges = pivot_graph(b)
    chances = edges / edges.amax(dim=1, keepdim=True)
    expected = 0.5 * chances.clamp(1e-6, 1 - 1e-6).sum() / 4  # a draw's squares are its entries
    (wanted,) = torch.autograd.grad(expected, b)
    torch.testing.assert_close(gradient(6000) - gradient(0), wanted, atol=0.02, rtol=0.1)


def test_refinement_stops_when_the_structure_stands_still():
    seen = []

    def learn(z):
        return z.abs()

    def encode(b, start):
        seen.append(b)
        return b * 0.5 + start * 0.5

    first = torch.ones(3, 2)
    structures, _ = refine(first, learn, encode, rounds=5)
    assert len(structures) == 2
    assert torch.equal(structures[1], first)
    _, embeddings = refine(first, learn, lambda b, start: b * 2, rounds=3)
    assert [float(one.mean()) for one in embeddings] == [2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize("large", [False, True])
def test_gradient_is_the_same_when_memory_is_saved(large, monkeypatch):
    monkeypatch.setattr("mldgg.paper._pivots._LARGE", 0 if large else 10**9)
    torch.manual_seed(0)
    learner, (z, pivots) = PivotLearner(4), some()
    z.requires_grad_()
    (found,) = torch.autograd.grad((learner(z, pivots) ** 2).sum(), z)
    if large:
        monkeypatch.setattr("mldgg.paper._pivots._LARGE", 10**9)
        (plain,) = torch.autograd.grad((learner(z, pivots) ** 2).sum(), z)
        torch.testing.assert_close(found, plain)
    assert found.abs().sum() > 0
