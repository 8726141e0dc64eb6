"""Rivals that learn on the frozen encoder, each against its own formula in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mecoin.baselines import Cec, Dkvb, Fact, Geometer, HagMeta, Teen
from mecoin.baselines._dkvb import moved, nearest
from mecoin.baselines._fact import mixed_loss, real_loss
from mecoin.baselines._frozen import Episode, Pool, projection, squared_distances
from mecoin.baselines._geometer import Prototyper, separability, uniformity
from mecoin.baselines._hag_meta import task_weights
from mecoin.baselines._replay import dense_bytes
from mecoin.baselines._teen import calibrated

DRAWS = np.random.default_rng(0)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def tensor(*shape):
    return torch.from_numpy(DRAWS.normal(size=shape).astype(np.float32))


def run(kind, stream, encoders, sessions=3, **options):
    learner = kind(encoders["gcn"], **options)
    for session in list(stream)[:sessions]:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            learner.add_classes(session.graph, session.support)
    return learner


def pool(classes=4, each=20, width=6):
    rows = np.split(DRAWS.permutation(classes * each), classes)
    return Pool(tensor(classes * each, width), torch.ones(classes * each) * 2, [np.sort(one) for one in rows])


def test_teen_calibrates_as_published():
    new, base = DRAWS.normal(size=(2, 5)), DRAWS.normal(size=(3, 5))
    expected = np.stack(
        [
            0.5 * mu + 0.5 * sum(w * b for w, b in zip(softmax(16 * unit(base) @ unit(mu)), base, strict=True))
            for mu in new
        ]
    )
    got = calibrated(torch.from_numpy(new), torch.from_numpy(base), 0.5, 16.0)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_teen_draws_toward_base_classes_alone_and_keeps_old_ones(stream, encoders):
    one, two = (run(Teen, stream, encoders, sessions) for sessions in (2, 3))
    assert torch.equal(one.prototypes, two.prototypes[:6])
    z = torch.from_numpy(encoders["gcn"].embed(stream[2].graph))
    means = torch.stack([z[stream[2].graph.positions(stream[2].support[c])].mean(0) for c in stream[2].new.tolist()])
    torch.testing.assert_close(two.prototypes[6:], calibrated(means, one.prototypes[:4], 0.5, 16.0))


def test_an_episode_splits_rows_and_lets_some_classes_act_as_new():
    held = pool()
    episode = Episode.draw(held, np.random.default_rng(0), way=2, shot=5, queries=7)
    assert len(episode.new) == 2
    assert [len(rows) for rows in episode.support] == [5 if c in episode.new else 13 for c in range(4)]
    assert episode.target.bincount().tolist() == [7] * 4
    assert not set(np.concatenate(episode.support)) & set(episode.query)
    assert (held.target()[episode.query] == episode.target).all()
    for column, rows in enumerate(episode.support):
        assert set(rows) <= set(held.rows[column])


def test_fact_losses_mask_the_best_column():
    logits = DRAWS.normal(size=(5, 7)).astype(np.float32)
    target = np.array([0, 1, 2, 3, 0])

    def ce(rows, columns):
        return -np.log(softmax(rows)[np.arange(len(rows)), columns]).mean()

    def without(columns):
        changed = logits.copy()
        changed[np.arange(5), columns] = -np.inf
        return changed

    virtual = 4 + logits[:, 4:].argmax(1)
    expected = ce(logits, target) + 0.3 * ce(without(target), virtual)
    assert float(real_loss(torch.tensor(logits), torch.tensor(target), 4, 0.3)) == pytest.approx(expected, rel=1e-5)
    expected = ce(logits, virtual) + 0.3 * ce(without(virtual), logits[:, :4].argmax(1))
    assert float(mixed_loss(torch.tensor(logits), 4, 0.3)) == pytest.approx(expected, rel=1e-5)


def test_fact_predicts_through_virtual_prototypes(stream, encoders):
    learner, last = run(Fact, stream, encoders, episodes=5, eta=0.4), stream[2]
    z = encoders["gcn"].embed(last.graph)[last.graph.positions(last.test)] @ learner.project.weight.numpy().T
    real, virtual = learner.prototypes.numpy(), learner.reserved.numpy()
    through = softmax(16 * unit(z) @ unit(virtual).T) @ softmax(16 * unit(virtual) @ unit(real).T)
    expected = 0.6 * softmax(16 * unit(z) @ unit(real).T) + 0.4 * through
    np.testing.assert_allclose(learner.scores(last.graph, last.test), expected, rtol=1e-3, atol=1e-6)
    assert not torch.equal(learner.project.weight, torch.eye(16))
    assert virtual.shape == (20, 16)


def test_cec_adapts_weights_by_attention(stream, encoders):
    learner, last = run(Cec, stream, encoders, episodes=5), stream[2]
    attention = learner.attention
    w = learner.prototypes.numpy()
    parts = {name: getattr(attention, name).weight.numpy() for name in ("query", "key", "value", "out")}
    links = softmax((w @ parts["query"].T) @ (w @ parts["key"].T).T / 4)
    changed = w + links @ (w @ parts["value"].T) @ parts["out"].T
    changed = (changed - changed.mean(1, keepdims=True)) / np.sqrt(changed.var(1, keepdims=True) + 1e-5)
    changed = changed * attention.norm.weight.numpy() + attention.norm.bias.numpy()
    z = encoders["gcn"].embed(last.graph)[last.graph.positions(last.test)]
    np.testing.assert_allclose(learner.scores(last.graph, last.test), unit(z) @ unit(changed).T, rtol=1e-3, atol=1e-4)


def test_hag_meta_weighs_nodes_by_degree_and_score(stream, encoders):
    learner = run(HagMeta, stream, encoders, 1, episodes=5)
    z, degree = tensor(5, 16), torch.tensor([1.0, 2, 3, 10, 1])
    score = z.numpy() @ learner.scorer.weight.numpy()[0] + learner.scorer.bias.numpy()
    gamma = 1 / (1 + np.exp(-np.log(degree.numpy()) * score))
    expected = (gamma / gamma.sum()) @ z.numpy()
    np.testing.assert_allclose(learner.prototype(z, z, degree).numpy(), expected, rtol=1e-4)


def test_hag_meta_shares_loss_weights_among_tasks():
    prototypes, scorer = tensor(5, 3), torch.nn.Linear(3, 1)
    new = torch.tensor([False, True, False, True, False])
    weights = task_weights(prototypes, new, scorer).detach().numpy()
    scores = [float(scorer(prototypes[group].mean(0)).detach()) for group in (~new, new)]
    shares = softmax(np.array(scores))
    np.testing.assert_allclose(weights, np.where(new, shares[1] / 2, shares[0] / 3), rtol=1e-5)


def test_geometer_prototypes_attend_from_the_weighted_mean():
    model, z, degree = Prototyper(6), tensor(4, 6), torch.tensor([1.0, 2, 3, 4])
    plain = (degree / 10) @ z
    torch.testing.assert_close(model(z, degree), plain)  # the attention starts at zero
    torch.nn.init.normal_(model.attention.out_proj.weight)
    tokens = torch.cat([plain[None], z])
    expected = plain + model.attention(tokens, tokens, tokens)[0][0]
    torch.testing.assert_close(model(z, degree), expected)


def test_geometer_losses_are_their_formulas():
    p = DRAWS.normal(size=(4, 3))
    centred = unit(p - p.mean(0))
    largest = [max(centred[i] @ centred[j] for j in range(4) if j != i) for i in range(4)]
    assert float(uniformity(torch.from_numpy(p))) == pytest.approx(1 + np.mean(largest))
    new, old = p[:1], p[1:]
    nearest_old = min(((new[0] - one) ** 2).sum() for one in old)
    assert float(separability(torch.from_numpy(new), torch.from_numpy(old))) == pytest.approx(np.exp(-nearest_old))


def test_geometer_stores_five_nodes_a_class_and_moves_old_prototypes(stream, encoders):
    one = run(Geometer, stream, encoders, 1, episodes=5)
    two = run(Geometer, stream, encoders, 2, episodes=5, steps=3, tune_lr=1e-2)
    assert [len(ids) for ids in two.stored] == [5] * 6
    assert not torch.equal(one.prototypes, two.prototypes[:4])
    parameters = sum(one.numel() for one in two.model.parameters())
    assert two.memory_bytes() == 4 * (parameters + 6 * 16) + 6 * dense_bytes(5, stream[0].graph.width)


def test_dkvb_reads_the_mean_of_the_values_found(stream, encoders):
    learner, last = run(Dkvb, stream, encoders, codebooks=3, pairs=10, key=4, steps=5), stream[2]
    z = encoders["gcn"].embed(last.graph)[last.graph.positions(last.test)]
    total = 0
    for book in range(3):
        keys = learner.keys[book].numpy()
        far = ((z @ learner.projections[book].numpy())[:, None] - keys) ** 2
        total = total + learner.values.numpy()[book * 10 + far.sum(2).argmin(1)]
    np.testing.assert_allclose(learner.scores(last.graph, last.test), total / 3, rtol=1e-4, atol=1e-5)


def test_dkvb_keys_are_frozen_and_other_values_untouched(stream, encoders):
    options = {"codebooks": 3, "pairs": 40, "key": 4, "steps": 5}
    one, two = (run(Dkvb, stream, encoders, sessions, **options) for sessions in (1, 2))
    assert torch.equal(one.keys, two.keys)
    z = torch.from_numpy(encoders["gcn"].embed(stream[1].graph)[stream[1].graph.positions(stream[1].train)])
    idle = np.setdiff1d(np.arange(120), two.codes(z).unique().numpy())
    assert len(idle)
    assert torch.equal(one.values[idle], two.values[idle, :4])
    assert not two.values[idle, 4:].any()
    assert two.memory_bytes() == 4 * (120 * 6 + 120 * 4 + 3 * 16 * 4)


def test_dkvb_moves_keys_to_what_they_match_and_replaces_idle_ones():
    points = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    keys = torch.tensor([[1.0], [9.0], [500.0]])
    found = moved(points, keys, 0.5, np.random.default_rng(0))
    # (.5 * key + .5 * sum) / (.5 + .5 * count): (0.5 + 1.5) / 2 and (4.5 + 5) / 1
    assert found[:2, 0].tolist() == pytest.approx([1.0, 9.5])
    assert found[2, 0] in points
    assert nearest(points, keys).tolist() == [0, 0, 0, 1]


def test_distances_have_finite_gradients_at_equal_points():
    a = torch.zeros(2, 3, requires_grad=True)
    squared_distances(a, a).sum().backward()
    assert torch.isfinite(a.grad).all()
    assert torch.equal(projection(3).weight, torch.eye(3))
    x, y = tensor(4, 3), tensor(5, 3)
    torch.testing.assert_close(squared_distances(x, y), torch.cdist(x, y) ** 2, rtol=1e-4, atol=1e-4)
