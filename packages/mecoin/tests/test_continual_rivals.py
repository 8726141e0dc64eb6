"""Continual rivals of the experiments on the one interface, and each against its own formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mecoin_experiments.baselines import CONTINUAL, ErGnn, Ewc, FineTune, Gem, Lwf, Mas, Twp
from mecoin_experiments.baselines._gradient import Batch, distillation, grown
from mecoin_experiments.baselines._replay import SHOT, covering, nearest_to_mean, projected
from ninefold.errors import InputError
from scipy.optimize import minimize


def made(kind, encoders, seed=0, **options):
    return kind(encoders["gcn"], seed=seed, **({"steps": 3} | options))


def _encoded(encoder, batch):
    inner = (batch.x.to_dense() @ encoder.module.weight1 + encoder.module.bias1).relu()
    return batch.near.to_dense() @ (inner @ encoder.module.weight2) + encoder.module.bias2


def run(learner, stream, sessions=3):
    for session in list(stream)[:sessions]:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            learner.add_classes(session.graph, session.support)
    return learner


@pytest.mark.parametrize("name", list(CONTINUAL))
def test_learns_predicts_and_repeats(name, stream, encoders):
    kind, last = CONTINUAL[name], stream[2]
    learner = run(made(kind, encoders), stream)
    scores = learner._scores(last.graph, last.graph.positions(last.test))
    assert scores.shape == (len(last.test), 8)
    assert np.isfinite(scores).all()
    assert set(learner.classes) == set(range(8))
    assert learner.memory_bytes() > 0
    again = run(made(kind, encoders), stream)
    assert np.array_equal(scores, again._scores(last.graph, last.graph.positions(last.test)))


@pytest.mark.parametrize("name", list(CONTINUAL))
def test_fewer_labels_than_five_are_enough(name, stream, encoders):
    learner, last = made(CONTINUAL[name], encoders), stream[2]
    for session in stream:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            few = {code: nodes[: 1 + place] for place, (code, nodes) in enumerate(session.support.items())}
            learner.add_classes(session.graph, few)
    scores = learner._scores(last.graph, last.graph.positions(last.test))
    assert scores.shape == (len(last.test), 8)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", list(CONTINUAL))
def test_labels_outside_the_support_change_nothing(name, stream, encoders):
    last, learner = stream[2], made(CONTINUAL[name], encoders)
    draws = np.random.default_rng(0)
    for session in stream:
        told = np.isin(session.graph.ids, np.concatenate([session.train, session.validation]))
        y = np.where(told, session.graph.y, draws.integers(0, 8, len(session.graph)))
        graph = session.graph.with_labels(y)
        if session.index == 0:
            learner.fit_base(graph, session.support, session.validation)
        else:
            learner.add_classes(graph, session.support)
    clean = run(made(CONTINUAL[name], encoders), stream)
    assert np.array_equal(
        learner._scores(graph, graph.positions(last.test)), clean._scores(last.graph, last.graph.positions(last.test))
    )


@pytest.mark.parametrize("name", list(CONTINUAL))
def test_the_shared_encoder_is_never_changed(name, stream, encoders):
    encoder = encoders["gcn"]
    before = {key: value.copy() for key, value in encoder.arrays().items()}
    run(made(CONTINUAL[name], encoders), stream, 2)
    assert all(np.array_equal(before[key], value) for key, value in encoder.arrays().items())


@pytest.mark.parametrize("name", list(CONTINUAL))
def test_a_known_class_is_refused(name, stream, encoders):
    learner = run(made(CONTINUAL[name], encoders), stream, 1)
    with pytest.raises(InputError, match="not known yet"):
        learner.add_classes(stream[0].graph, {0: stream[0].support[0]})


def test_every_tuned_rival_tries_equally_many_settings():
    sizes = {name: len(kind.grid) for name, kind in CONTINUAL.items() if kind.grid[0]}
    assert len(set(sizes.values())) == 1, sizes
    for kind in CONTINUAL.values():
        assert all(hasattr(kind, name) for setting in kind.grid for name in setting)


def test_an_unknown_option_is_refused(encoders):
    with pytest.raises(InputError, match="option of EWC: got strenth, expected a class attribute that is a number"):
        Ewc(encoders["gcn"], strenth=1.0)


def test_a_gradient_rival_asks_for_an_encoder_that_can_be_trained(stream, encoders):
    with pytest.raises(InputError, match="gcn"):
        run(FineTune(encoders["sgc"]), stream, 1)


def test_base_scores_are_the_encoders_own_classifier(stream, encoders):
    learner, session = run(made(FineTune, encoders), stream, 1), stream[0]
    z = encoders["gcn"].embed(session.graph)[session.graph.positions(session.test)]
    weight, bias = (encoders["gcn"].arrays()[f"classifier.{part}"] for part in ("weight", "bias"))
    np.testing.assert_allclose(
        learner._scores(session.graph, session.graph.positions(session.test)), z @ weight.T + bias, rtol=1e-4, atol=1e-4
    )


def test_a_batch_gives_the_rows_of_the_whole_graph(stream, encoders):
    learner, graph = run(made(FineTune, encoders), stream, 1), stream[1].graph
    places = np.array([3, 50, 7])
    batch = Batch.of(graph, places, np.zeros(3))
    rows = learner.encode(batch)
    torch.testing.assert_close(rows, learner.embed(graph)[places], rtol=1e-4, atol=1e-5)


def test_a_grown_head_keeps_its_rows():
    head = torch.nn.Linear(3, 2)
    wider = grown(head, 2)
    assert torch.equal(wider.weight[:2], head.weight)
    assert torch.equal(wider.bias[:2], head.bias)
    assert wider.out_features == 4


def test_distillation_is_its_formula():
    draws = np.random.default_rng(0)
    old, new = draws.normal(size=(2, 5, 3)).astype(np.float32)

    def soft(x):
        powers = np.exp(x / 2)
        return powers / powers.sum(axis=1, keepdims=True)

    expected = 4 * (soft(old) * np.log(soft(old) / soft(new))).sum(axis=1).mean()
    assert float(distillation(torch.tensor(old), torch.tensor(new), 2.0)) == pytest.approx(expected, rel=1e-5)


def test_lwf_keeps_old_answers_on_the_new_nodes(stream, encoders):
    def moved(strength):
        learner, session = run(made(Lwf, encoders, strength=strength, steps=20, lr=1e-2), stream, 2), stream[1]
        batch = Batch.of(session.graph, session.graph.positions(session.train), np.zeros(10))
        old = encoders["gcn"].classifier(_encoded(encoders["gcn"], batch))
        return float(distillation(old, learner.logits(batch)[:, :4], 2.0).detach())

    assert moved(100.0) < 0.5 * moved(0.0)


def test_ewc_importance_is_the_mean_squared_gradient(stream, encoders):
    learner, session = run(made(Ewc, encoders), stream, 1), stream[0]
    places = session.graph.positions(session.train)[:3]
    found = learner.measure(session.graph, places, np.array([0, 1, 2]))
    bias = np.zeros(4)  # of the head: (p - onehot)^2
    for place, column in zip(places, (0, 1, 2), strict=True):
        p = learner.head(learner.embed(session.graph)[[place]]).softmax(1).detach().numpy()[0]
        bias += (p - np.eye(4)[column]) ** 2 / 3
    np.testing.assert_allclose(found["head.bias"].numpy(), bias, rtol=1e-3, atol=1e-7)


def test_mas_importance_is_the_mean_gradient_of_the_squared_norm(stream, encoders):
    learner, session = run(made(Mas, encoders), stream, 1), stream[0]
    places = session.graph.positions(session.train)[:3]
    found = learner.measure(session.graph, places, np.zeros(3, int))
    logits = learner.head(learner.embed(session.graph)[places]).detach().numpy()
    np.testing.assert_allclose(found["head.bias"].numpy(), np.abs(2 * logits).mean(0), rtol=1e-3)


def test_twp_importance_has_the_loss_and_the_topology(stream, encoders):
    learner, session = run(made(Twp, encoders), stream, 1), stream[0]
    graph, places = session.graph, session.graph.positions(session.train)[:3]
    learner.topology = 0.0
    plain = learner.measure(graph, places, np.array([0, 1, 2]))
    learner.topology = 2.0
    both = learner.measure(graph, places, np.array([0, 1, 2]))
    z = learner.module(graph.x, [graph.normalized] * 2)
    total = sum(
        (z[place] @ torch.tanh(z[other])) ** 2 / 3 for place in places for other in graph.normalized[[place]].indices
    )
    expected = torch.autograd.grad(total, learner.module.bias2)[0].abs()
    got = (both["gcn.bias2"] - plain["gcn.bias2"]) / 2
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5)
    assert torch.equal(both["head.bias"], plain["head.bias"])


def test_twp_keeps_the_importance_of_the_new_session_small(stream, encoders):
    def importance(beta):
        learner, session = run(made(Twp, encoders, beta=beta, steps=20, strength=0.0), stream, 2), stream[1]
        places = session.graph.positions(session.train)
        found = learner.measure(session.graph, places, 4 + np.repeat([0, 1], 5))
        return float(sum(one.sum() for one in found.values()))

    assert importance(1e-2) < 0.5 * importance(0.0)


def test_twp_descends_the_size_of_its_gradients_as_dense_matrices_do(stream, encoders):
    learner, session = run(made(Twp, encoders, strength=0.0, beta=0.5), stream, 1), stream[1]
    graph, places = session.graph, session.graph.positions(session.train)
    learner.begin(graph, {code: graph.positions(ids) for code, ids in session.support.items()})
    batch = Batch.of(graph, places, np.arange(len(places)) % 4)
    got = torch.autograd.grad(learner.loss(batch), list(learner.named().values()))

    x, hop = torch.from_numpy(graph.x.toarray()), torch.from_numpy(graph.normalized.toarray())
    own = {name: value.detach().clone().requires_grad_() for name, value in learner.named().items()}
    inner = (hop @ (x @ own["gcn.weight1"]) + own["gcn.bias1"]).relu()
    z = hop @ (inner @ own["gcn.weight2"]) + own["gcn.bias2"]
    task = torch.nn.functional.cross_entropy(z[places] @ own["head.weight"].T + own["head.bias"], batch.target)
    attention = ((z[places] @ torch.tanh(z).T)[hop[places] > 0] ** 2).sum() / len(places)
    total = task
    for part in (task, attention):
        found = torch.autograd.grad(part, list(own.values()), create_graph=True, allow_unused=True)
        total = total + 0.5 * sum(one.abs().sum() for one in found if one is not None)
    expected = torch.autograd.grad(total, list(own.values()))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", [Ewc, Mas, Twp])
def test_ties_equal_the_sum_over_sessions(kind, stream, encoders):
    class Recorded(kind):
        def measure(self, graph, places, target):
            found = super().measure(graph, places, target)
            now = {name: value.detach().clone() for name, value in self.named().items()}
            self.history = [*getattr(self, "history", []), (found, now)]
            return found

    learner = run(Recorded(encoders["gcn"], steps=3), stream)
    with torch.no_grad():
        for parameter in (*learner.module.parameters(), *learner.head.parameters()):
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))

    each = sum(
        (importance[name] * (learner.named()[name][: len(then[name])] - then[name]) ** 2).sum()
        for importance, then in learner.history
        for name in importance
    )
    parameters = [learner.module.bias2, learner.head.weight]
    expected = torch.autograd.grad(learner.strength / 2 * each, parameters)
    for one in learner.named().values():
        one.grad = torch.ones_like(one)  # of the loss; the ties' is added
    learner.project()
    for parameter, slope in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, 1 + slope, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("kind", "strength"), [(Ewc, 1e7), (Mas, 1e5), (Twp, 1e6)])
def test_ties_hold_parameters_back(kind, strength, stream, encoders):
    def moved(value):
        learner = run(made(kind, encoders, strength=value, steps=10), stream, 2)
        now, before = learner.module.bias2, encoders["gcn"].module.bias2
        return float((now - before).abs().sum().detach())

    assert moved(strength) < moved(0.0)


def test_gem_gives_the_nearest_gradient_that_raises_no_loss():
    draws = torch.Generator().manual_seed(0)
    gradient, old = torch.randn(6, generator=draws), torch.randn(3, 6, generator=draws)
    moved = projected(gradient, old)
    assert (old @ moved > -1e-4).all()
    wanted, rows = gradient.double().numpy(), old.double().numpy()
    expected = minimize(
        lambda v: ((v - wanted) ** 2).sum(),
        wanted,
        constraints={"type": "ineq", "fun": lambda v: rows @ v},
        method="SLSQP",
        options={"ftol": 1e-12},
    ).x
    np.testing.assert_allclose(moved.numpy(), expected, atol=1e-4)


def test_gem_leaves_a_gradient_that_harms_nobody():
    gradient = torch.tensor([1.0, 1.0])
    assert torch.equal(projected(gradient, torch.tensor([[1.0, 0.0], [0.0, 2.0]]), margin=0.5), gradient)
    parallel = projected(gradient, torch.tensor([[-1.0, 0.0], [-1.0, 0.0]]))
    torch.testing.assert_close(parallel, torch.tensor([0.0, 1.0]), atol=1e-5, rtol=0)


def test_er_gnn_weighs_by_the_number_of_stored_nodes(stream, encoders):
    learner, session = run(made(ErGnn, encoders), stream, 1), stream[1]
    with torch.no_grad():
        learner.begin(session.graph, session.support)
        learner.head = grown(learner.head, 2)
        batch = Batch.of(session.graph, session.graph.positions(session.train), np.repeat([4, 5], 5))
        fresh = torch.nn.functional.cross_entropy(learner.logits(batch), batch.target)
        stored = torch.nn.functional.cross_entropy(learner.logits(learner.memory), learner.memory.target)
        assert len(learner.memory) == 20
        assert float(learner.loss(batch)) == pytest.approx(float(20 / 30 * fresh + 10 / 30 * stored), rel=1e-5)


def test_er_gnn_stores_central_or_covering_nodes():
    z = np.array([[0.0, 0], [10, 0], [1, 0], [-1, 0]], np.float32)
    assert nearest_to_mean(z, 2).tolist() == [2, 0]  # the mean is 2.5
    others = np.array([[0.0, 1], [1, 1], [-1, 1], [0, 2]], np.float32)
    assert covering(z, others, 1).tolist() == [1]
    assert covering(z, others[:0], 3).tolist() == [0, 1, 2]


def test_stored_nodes_are_five_a_class_and_their_bytes_count(stream, encoders):
    learner = run(made(Gem, encoders), stream)
    assert [len(ids) for ids in learner.stored] == [SHOT] * 8
    assert [list(columns) for columns in learner.sessions] == [[0, 1, 2, 3], [4, 5], [6, 7]]
    graph, head = stream[0].graph, 4 * (16 * 8 + 8)
    assert learner.memory_bytes() == head + 8 * SHOT * (4 * graph.width + 8)


def test_sessions_of_another_seed_differ(stream, encoders):
    one, other = (run(made(FineTune, encoders, seed=seed), stream, 2) for seed in (0, 1))
    assert not torch.equal(one.head.weight, other.head.weight)
