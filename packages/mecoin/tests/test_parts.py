"""Each part of the method against an independent formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mecoin.encoders._gcn import Gcn
from mecoin.memory._smu import Smu, refine
from mecoin.paper._interaction import Head, Interaction, Mram, memory_loss, update_loss
from mecoin.paper._keys import Constructed, MeCs, Published, distances, edge_loss, graphinfo_projection
from mecoin.paper._learner import class_prototypes
from ninefold_graphs import whitening
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from .small import graph

DRAWS = np.random.default_rng(0)


def normal(*shape):
    return DRAWS.normal(size=shape).astype(np.float32)


def test_mecs_equals_attention_written_out():
    mecs = MeCs(6, 5, 2, torch.Generator().manual_seed(0))
    z, m = normal(4, 6), normal(3, 5)
    query, key, value = (getattr(mecs, name).detach().numpy() for name in ("query", "key", "value"))
    expected = np.zeros((4, 6))
    for row in range(4):
        weights = np.array([np.exp((z[row] @ query) @ (m[p] @ key) / 6**0.5) for p in range(3)])
        expected[row] = sum(weights[p] / weights.sum() * (m[p] @ value) for p in range(3))
    got = mecs.attend(torch.from_numpy(z), torch.from_numpy(m)).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("edge", [0.0, 0.1])
def test_gradients_reach_all_three_projections(edge):
    made = Constructed(Published(edge=edge, steps=1))
    z = normal(60, 8)
    made.fit(z, {0: np.arange(30), 1: np.arange(30, 60)}, seed=0)
    made.mecs.requires_grad_(True)
    target = torch.from_numpy(np.repeat([0, 1], 30))
    made._loss(torch.from_numpy(made.features(z)), target, made.attended).backward()
    for name in ("query", "key", "value", "readout"):
        assert getattr(made.mecs, name).grad.abs().max() > 0, name


def test_training_moves_the_projections():
    z, support = normal(60, 8), {0: np.arange(30), 1: np.arange(30, 60)}
    short, long = Constructed(Published(steps=1)), Constructed(Published(steps=40))
    short.fit(z, support, 0)
    long.fit(z, support, 0)
    for name in ("query", "key", "value"):
        assert (getattr(short.mecs, name) - getattr(long.mecs, name)).abs().max() > 1e-3


def test_graphinfo_keeps_inner_products_on_average():
    columns = graphinfo_projection(64, 4000)
    np.testing.assert_allclose(np.linalg.norm(columns, axis=0), 1, rtol=1e-5)
    x, y = normal(64), normal(64)
    assert abs((x @ columns) @ (y @ columns) * 64 / 4000 - x @ y) < 6


def test_edge_loss_equals_the_formula():
    keys, z = normal(7, 3), normal(7, 5)

    def scaled(x):
        d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
        return d / d.mean()

    expected = np.linalg.norm(scaled(keys) - scaled(z)) / 7
    assert float(edge_loss(torch.from_numpy(keys), torch.from_numpy(z))) == pytest.approx(expected, rel=1e-4)


def test_edge_loss_has_finite_gradients_where_nodes_coincide():
    x = torch.ones(3, 2, requires_grad=True)
    distances(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_prototypes_are_those_of_scikit_learn(count):
    keys = normal(30, 4)
    expected = KMeans(count, n_init=4, random_state=0).fit(keys).cluster_centers_
    got = class_prototypes(keys, count)
    np.testing.assert_allclose(np.sort(got, axis=0), np.sort(expected, axis=0), rtol=1e-4, atol=1e-5)


def test_equal_nodes_give_one_prototype():
    assert class_prototypes(np.ones((5, 3), np.float32), 3).shape == (1, 3)


@given(st.integers(1, 6), st.integers(0, 99))
def test_nearest_is_that_of_all_distances(count, seed):
    draws = np.random.default_rng(seed)
    keys, prototypes = (draws.normal(size=(n, 3)).astype(np.float32) for n in (9, count))
    place, far = Smu(prototypes, np.arange(count)).nearest(keys)
    every = np.linalg.norm(keys[:, None] - prototypes[None], axis=2)
    np.testing.assert_allclose(far, every.min(axis=1), atol=1e-3)
    np.testing.assert_allclose(every[np.arange(9), place], every.min(axis=1), atol=1e-3)


def test_whitened_nearest_means_are_linear_discriminants():
    y = np.repeat([0, 1, 2], 40)
    z = (normal(120, 5) @ normal(5, 5) + 2 * normal(3, 5)[y]).astype(np.float32)
    support = {code: np.flatnonzero(y == code) for code in range(3)}
    transform = whitening(z, support, shrinkage=0.0)
    means = np.stack([(z[rows] @ transform).mean(0) for rows in support.values()])
    place = Smu(means, np.arange(3)).nearest(z @ transform)[0]
    lda = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(3, 1 / 3)).fit(z, y)
    assert (place == lda.predict(z)).mean() > 0.99


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Mean over rows of KL(p || q), written out."""
    return (p * (p / q).log()).sum(1).mean()


def test_memory_loss_is_kl_of_old_rows_to_the_head_and_teaches_the_head_alone():
    rows, logits = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    loss = memory_loss(rows.softmax(1), logits)
    torch.testing.assert_close(loss, kl(rows.softmax(1), logits.softmax(1)))
    loss.backward()
    assert rows.grad is None
    assert logits.grad.abs().max() > 0


def test_update_loss_is_kl_of_the_head_to_new_rows_and_teaches_the_rows_alone():
    rows, logits = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    loss = update_loss(logits, rows)
    torch.testing.assert_close(loss, kl(logits.softmax(1), rows.softmax(1)))
    loss.backward()
    assert logits.grad is None
    assert rows.grad.abs().max() > 0


def test_losses_are_zero_without_samples():
    nothing = torch.zeros(0, 3)
    assert memory_loss(nothing, nothing) == update_loss(nothing, nothing) == 0


@pytest.mark.parametrize("distil", [True, False])
def test_loss_of_a_session_is_the_sum_of_its_terms(distil):
    rule = Interaction(memory=0.7, update=0.3, distil=distil)
    logits, target, matched = torch.randn(6, 4), torch.tensor([2, 2, 2, 3, 3, 3]), torch.tensor([2, 2, 0, 3, 1, 3])
    frozen, rows = torch.randn(2, 4).softmax(1), torch.randn(2, 4)
    target[4], fresh, old = 1, [0, 1, 3, 5], [4]  # the third is of a new class: an old row must not teach it
    want = torch.nn.functional.cross_entropy(logits, target)
    own = rows[[0, 0, 1, 1]]
    if distil:
        want = want + 0.7 * kl(frozen[[1]], logits[old].softmax(1)) + 0.3 * kl(logits[fresh].softmax(1), own.softmax(1))
    else:
        want = want + torch.nn.functional.cross_entropy(own, target[fresh])
    torch.testing.assert_close(rule.loss(logits, target, matched, frozen, rows, 2), want)


def test_grown_head_keeps_every_old_bit():
    head = Head(6, 3)
    grown = head.grown(2)
    assert torch.equal(grown.last.weight[:3], head.last.weight)
    assert torch.equal(grown.last.bias[:3], head.last.bias)
    assert torch.equal(grown.first.weight, head.first.weight)
    z = torch.randn(5, 6)
    torch.testing.assert_close(grown.eval()(z)[:, :3], head.eval()(z))


def test_old_rows_give_new_classes_no_probability():
    grown = Mram(normal(2, 3)).extended(normal(1, 5))
    np.testing.assert_allclose(grown.probabilities().sum(1), 1, rtol=1e-5)
    assert grown.probabilities()[:2, 3:].max() < 1e-9


def test_new_rows_learn_their_class_and_old_rows_stay():
    z = np.concatenate([np.eye(4, 8), np.eye(4, 8)]).astype(np.float32)
    old = Mram(np.full((2, 2), [[5.0, -5.0], [-5.0, 5.0]], np.float32))
    kept = old.rows.copy()
    head, rows = Interaction(steps=200).learn(
        Head(8, 2), old, z, np.tile([2, 2, 3, 3], 2), np.tile([2, 2, 3, 3], 2), 2, 0
    )
    assert head.last.out_features == 4
    assert rows.argmax(1).tolist() == [2, 3]
    np.testing.assert_array_equal(old.rows, kept)


def test_rows_of_small_base_classes_learn_their_own_class():
    """Forty classes, some with a hundred times as many nodes as others: a plain batch hardly holds the small ones."""
    sizes = np.geomspace(1000, 10, 40).astype(int)
    target = np.repeat(np.arange(40), sizes)
    z = np.eye(40, 64, dtype=np.float32)[target] + 0.1 * normal(len(target), 64)
    empty = Mram(np.zeros((0, 0), np.float32))
    _, rows = Interaction().learn(None, empty, z, target, target, 40, 0)
    assert rows.argmax(1).tolist() == list(range(40))


def test_refinement_moves_towards_unlabelled_nodes_and_not_for_labels_alone():
    old = Smu(np.array([[-5.0, 0.0]], np.float32), np.array([0]))
    cloud = np.concatenate([normal(200, 2) * 0.5 + [5, 0], normal(200, 2) * 0.5 - [5, 0]]).astype(np.float32)
    keys = np.concatenate([np.array([[4.0, 1.5]], np.float32), cloud])
    new = Smu(keys[:1], np.array([1]))
    moved = refine(old, new, keys, [np.array([0])]).prototypes
    assert np.linalg.norm(moved - [5, 0]) < 0.2
    np.testing.assert_array_equal(refine(old, new, keys[:1], [np.array([0])]).prototypes, keys[:1])


def test_refinement_does_not_follow_many_nodes_that_may_be_of_an_old_class():
    old, new = Smu(np.array([[-1.0, 0.0]], np.float32), np.array([0])), np.array([[1.0, 0.0]], np.float32)
    between = np.tile(np.array([[0.1, 0.0]], np.float32), (500, 1))  # a share of .55
    keys = np.concatenate([new, between])
    np.testing.assert_array_equal(refine(old, Smu(new, np.array([1])), keys, [np.array([0])]).prototypes, new)


def test_refinement_is_expectation_maximisation_over_all_nodes():
    """Written out with every share of every node, though all but those nearest to a new prototype are skipped."""
    draws = np.random.default_rng(3)
    centres = 3 * draws.normal(size=(5, 4))
    keys = (centres[np.arange(300) % 5] + 0.7 * draws.normal(size=(300, 4))).astype(np.float32)
    old, support = Smu(centres[:3].astype(np.float32), np.arange(3)), [np.arange(3, 25, 5), np.arange(4, 25, 5)]
    start = np.stack([keys[rows].mean(axis=0) for rows in support])
    free = np.delete(np.arange(300), np.concatenate(support))
    want = start.astype(np.float64)
    for _ in range(2):
        every = np.concatenate([old.prototypes, want])
        scores = -0.5 * ((keys[free][:, None] - every[None]) ** 2).sum(axis=2)
        shares = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))[:, 3:]
        shares[shares < 0.9] = 0
        assert (shares > 0).any(axis=0).all()
        sums = np.stack([keys[rows].sum(axis=0) for rows in support]) + shares.T @ keys[free]
        want = sums / (5 + shares.sum(axis=0))[:, None]
    got = refine(old, Smu(start, np.array([3, 4])), keys, support, rounds=2)
    np.testing.assert_allclose(got.prototypes, want, rtol=1e-4, atol=1e-4)


def test_graph_convolution_equals_pyg():
    from torch_geometric.nn import GCNConv

    data = graph()
    module = Gcn(data.width, 8).eval()
    first, second = GCNConv(data.width, 16), GCNConv(16, 8)
    with torch.no_grad():
        for layer, weight, bias in (
            (first, module.weight1, module.bias1),
            (second, module.weight2, module.bias2),
        ):
            layer.lin.weight.copy_(weight.T)
            layer.bias.copy_(bias)
        edges = torch.from_numpy(data.edge_index)
        expected = second(first(torch.from_numpy(data.x.toarray()), edges).relu(), edges)
        torch.testing.assert_close(module(data.x, [data.normalized] * 2), expected, rtol=1e-4, atol=1e-5)
