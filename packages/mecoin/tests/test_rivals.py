"""Every rival on the one interface, and each against its own formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mecoin import Graph
from mecoin.baselines import BASELINES, ErGnn, Ewc, FineTune, Lwf, Mas
from mecoin.baselines._gradient import SHOT, Batch, distillation, grown, nearest_to_mean
from ninefold.errors import InputError


def made(kind, encoders, seed=0, **options):
    options = ({"steps": 3} if hasattr(kind, "steps") else {}) | options
    return kind(encoders[kind.encoder_kind], seed=seed, **options)


def run(learner, stream, sessions=3):
    for session in list(stream)[:sessions]:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            learner.add_classes(session.graph, session.support)
    return learner


@pytest.mark.parametrize("name", list(BASELINES))
def test_learns_predicts_and_repeats(name, stream, encoders):
    kind, last = BASELINES[name], stream[2]
    learner = run(made(kind, encoders), stream)
    scores = learner._scores(last.graph, last.graph.positions(last.test))
    assert scores.shape == (len(last.test), 8)
    assert np.isfinite(scores).all()
    assert set(learner.classes) == set(range(8))
    assert learner.memory_bytes() > 0
    again = run(made(kind, encoders), stream)
    assert np.array_equal(scores, again._scores(last.graph, last.graph.positions(last.test)))


@pytest.mark.parametrize("name", list(BASELINES))
def test_fewer_labels_than_five_are_enough(name, stream, encoders):
    learner, last = made(BASELINES[name], encoders), stream[2]
    for session in stream:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            few = {code: nodes[: 1 + place] for place, (code, nodes) in enumerate(session.support.items())}
            learner.add_classes(session.graph, few)
    scores = learner._scores(last.graph, last.graph.positions(last.test))
    assert scores.shape == (len(last.test), 8)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", list(BASELINES))
def test_labels_outside_the_support_change_nothing(name, stream, encoders):
    last, learner = stream[2], made(BASELINES[name], encoders)
    draws = np.random.default_rng(0)
    for session in stream:
        told = np.isin(session.graph.ids, np.concatenate([session.train, session.validation]))
        y = np.where(told, session.graph.y, draws.integers(0, 8, len(session.graph)))
        graph = session.graph.with_labels(y)
        if session.index == 0:
            learner.fit_base(graph, session.support, session.validation)
        else:
            learner.add_classes(graph, session.support)
    clean = run(made(BASELINES[name], encoders), stream)
    assert np.array_equal(
        learner._scores(graph, graph.positions(last.test)), clean._scores(last.graph, last.graph.positions(last.test))
    )


@pytest.mark.parametrize("name", list(BASELINES))
def test_the_shared_encoder_is_never_changed(name, stream, encoders):
    encoder = encoders[BASELINES[name].encoder_kind]
    before = {key: value.copy() for key, value in encoder.arrays().items()}
    run(made(BASELINES[name], encoders), stream, 2)
    assert all(np.array_equal(before[key], value) for key, value in encoder.arrays().items())


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_known_class_is_refused(name, stream, encoders):
    learner = run(made(BASELINES[name], encoders), stream, 1)
    with pytest.raises(InputError, match="not known yet"):
        learner.add_classes(stream[0].graph, {0: stream[0].support[0]})


def test_every_tuned_rival_tries_equally_many_settings():
    sizes = {name: len(kind.grid) for name, kind in BASELINES.items() if kind.grid[0]}
    assert len(set(sizes.values())) == 1, sizes
    for kind in BASELINES.values():
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
    rows = learner.module(batch.x, batch.blocks)
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
        old = encoders["gcn"].classifier(encoders["gcn"].module(batch.x, batch.blocks))
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


@pytest.mark.parametrize("kind", [Ewc, Mas])
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


@pytest.mark.parametrize(("kind", "strength"), [(Ewc, 1e7), (Mas, 1e5)])
def test_ties_hold_parameters_back(kind, strength, stream, encoders):
    def moved(value):
        learner = run(made(kind, encoders, strength=value, steps=10), stream, 2)
        now, before = learner.module.bias2, encoders["gcn"].module.bias2
        return float((now - before).abs().sum().detach())

    assert moved(strength) < moved(0.0)


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


def test_er_gnn_stores_central_nodes():
    z = np.array([[0.0, 0], [10, 0], [1, 0], [-1, 0]], np.float32)
    assert nearest_to_mean(z, 2).tolist() == [2, 0]  # the mean is 2.5


def test_stored_nodes_are_five_a_class_and_their_bytes_count(stream, encoders):
    learner = run(made(ErGnn, encoders), stream)
    assert [len(ids) for ids in learner.stored] == [SHOT] * 8
    graph, head = stream[0].graph, 4 * (16 * 8 + 8)
    assert learner.memory_bytes() == head + 8 * SHOT * (4 * graph.width + 8)


def test_sessions_of_another_seed_differ(stream, encoders):
    one, other = (run(made(FineTune, encoders, seed=seed), stream, 2) for seed in (0, 1))
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize("name", ["SGC-NCM", "SGC-LDA"])
def test_a_support_node_without_edges_and_features_gives_finite_scores(name, stream, encoders):
    learner, first, second = made(BASELINES[name], encoders), stream[0], stream[1]
    learner.fit_base(first.graph, first.support, first.validation)
    graph = Graph.of(second.graph.x.toarray() * 0, [], ids=second.graph.ids)
    learner.add_classes(graph, second.support)  # prototypes of zero norm
    assert np.isfinite(learner._scores(second.graph, second.graph.positions(second.test))).all()
