"""Inner and outer loop: the guard against a fake meta loop, second order, training that stops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from mldgg.paper._network import Network
from mldgg.paper._settings import settings_of
from mldgg.paper._tensors import GraphTensors
from mldgg.paper._train import ExplodedError, Trainer, episode_gradient, loss_of, trajectory
from ninefold_graphs import Graph, InputEncoder

from ..small import QUICK, domains

SMALL = settings_of(**QUICK, dropout=0.3)


def tensors():
    graphs = list(domains().values())[:2]
    encoder = InputEncoder.fit(graphs, 12)
    made = (Graph.of(encoder(g), g.edge_index, g.y, classes=g.classes, name=g.name) for g in graphs)
    return [GraphTensors.of(graph) for graph in made]


def pieces(settings=SMALL):
    graph = tensors()[0]
    torch.manual_seed(0)
    network = Network(graph.width, graph.classes, settings)
    params = {name: one.detach().clone() for name, one in network.named_parameters()}
    return network, params, graph, torch.arange(0, 20), torch.arange(20, 120)


@pytest.mark.parametrize("order", [1, 2])
def test_without_inner_rate_the_outer_gradient_is_the_plain_query_gradient(order):
    settings = settings_of(num_pivots=20, hidden_channels=16, dropout=0.3, rounds=1)
    network, params, graph, support, query = pieces(settings)
    loss, found = episode_gradient(network, params, graph, support, query, steps=3, rate=0.0, order=order, seed=5)
    start = {name: one.clone().requires_grad_() for name, one in params.items()}
    plain = loss_of(network, start, graph, query, 5)
    expected = torch.autograd.grad(plain, list(start.values()), allow_unused=True)
    assert float(loss) == pytest.approx(float(plain.detach()), rel=1e-6)
    for name, gradient in zip(start, expected, strict=True):
        if gradient is not None:
            torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-6)
    _, moved = episode_gradient(network, params, graph, support, query, steps=3, rate=1e-3, order=order, seed=5)
    assert max(float((moved[name] - found[name]).abs().max()) for name in found) > 1e-5


def test_second_order_is_the_derivative_through_the_inner_steps():
    """On a loss with a known curvature, against a numerical derivative; first order is not."""

    def inner(params):
        return ((params["a"] ** 2 * params["b"]).sum() - params["a"].sum()) ** 2 / 10

    def query(params):
        return (params["a"] ** 3 + params["b"] * params["a"]).sum()

    start = {"a": torch.tensor([0.3, -0.7], dtype=torch.float64), "b": torch.tensor([1.1, 0.4], dtype=torch.float64)}

    def outer(shift):
        params = {"a": start["a"] + torch.tensor([shift, 0.0]), "b": start["b"]}
        return float(query(trajectory(params, inner, steps=3, rate=0.3)).detach())

    numeric = (outer(1e-5) - outer(-1e-5)) / 2e-5
    for order, exact in ((2, True), (1, False)):
        leaves = {name: one.clone().requires_grad_() for name, one in start.items()}
        fast = trajectory(leaves, inner, steps=3, rate=0.3, order=order)
        where = leaves if order == 2 else fast
        found = float(torch.autograd.grad(query(fast), where["a"])[0][0])
        assert (abs(found - numeric) < 1e-6) == exact


def test_second_order_of_the_network_is_a_numerical_derivative():
    settings = settings_of(**QUICK, draws=0, sparse=0.0, rounds=0, dropout=0.0)
    network, params, graph, support, query = pieces(settings)
    network = network.double()
    params = {name: one.double() for name, one in params.items()}
    wide = GraphTensors(
        graph.name,
        graph.x.double(),
        _Dense(graph),
        graph.y,
        graph.classes,
    )

    def outer(values):
        return episode_gradient(network, values, wide, support, query, steps=2, rate=0.1, order=2, seed=1)

    _, found = outer(params)
    name, place = "gnn.second", (3, 4)

    def shifted(step):
        moved = params[name].clone()
        moved[place] += step
        return float(outer({**params, name: moved})[0])

    numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5
    assert float(found[name][place]) == pytest.approx(numeric, rel=1e-4, abs=1e-8)


class _Dense:
    """A double-precision stand-in for the sparse hop matrix."""

    def __init__(self, graph):
        self.matrix = (graph.hop @ torch.eye(len(graph))).double()

    def __matmul__(self, dense):
        return self.matrix @ dense


def test_inner_loss_that_explodes_names_graph_and_step():
    with pytest.raises(ExplodedError, match=r"graph 'here' is .* at step 2"):
        trajectory({"a": torch.ones(1)}, lambda p: (p["a"] ** 4).sum(), steps=9, rate=5.0, graph="here")


def test_training_stops_at_an_explosion_and_keeps_the_last_good_parameters():
    settings = settings_of(**{**QUICK, "epochs": 3})
    trainer, kept = Trainer(tensors(), settings, shared=True, seed=0), {}

    def each(epoch, loss):
        kept.update({name: one.clone() for name, one in trainer.shared.items()})
        trainer.settings = replace(settings, inner_lr=1e6)

    with pytest.warns(UserWarning, match=r"inner loss of graph 'north'.*at step \d.*epoch 1: training stopped"):
        trainer.run(each)
    assert trainer.epoch == 1
    assert all(torch.equal(one, kept[name]) and torch.isfinite(one).all() for name, one in trainer.shared.items())


def test_another_seed_trains_another_network():
    made = []
    for seed in (0, 1):
        trainer = Trainer(tensors(), settings_of(**{**QUICK, "epochs": 0}), shared=True, seed=seed)
        trainer.run()
        made.append(trainer.shared["gnn.first"])
    assert not torch.equal(*made)
