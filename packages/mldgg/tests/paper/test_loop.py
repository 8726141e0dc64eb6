"""Inner and outer loop: the guard against a fake meta loop, second order, several processes."""

from __future__ import annotations

import socket
import tempfile

import numpy as np
import pytest
import torch
from mldgg.encoders import GraphTensors
from mldgg.paper import ExplodedError, Network, Trainer, episode_gradient, settings_of, trajectory
from mldgg.paper._loop import loss_of
from ninefold_graphs import InputEncoder
from ninefold_testing import warm

from ..small import QUICK, domains

SMALL = settings_of("repaired", **QUICK, dropout=0.3)


def tensors():
    graphs = list(domains().values())[:2]
    encoder = InputEncoder.fit(graphs, 12)
    return [GraphTensors.of(graph, encoder(graph)) for graph in graphs]


def pieces(settings=SMALL):
    graph = tensors()[0]
    torch.manual_seed(0)
    network = Network(graph.width, graph.classes, settings)
    params = {name: one.detach().clone() for name, one in network.named_parameters()}
    return network, params, graph, torch.arange(0, 20), torch.arange(20, 120)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("variant", ["paper", "repaired"])
def test_without_inner_rate_the_outer_gradient_is_the_plain_query_gradient(order, variant):
    settings = settings_of(variant, num_pivots=20, hidden_channels=16, dropout=0.3, rounds=1)
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
    settings = settings_of("repaired", **{**QUICK, "draws": 0, "sparse": 0.0, "rounds": 0}, dropout=0.0, detached=False)
    network, params, graph, support, query = pieces(settings)
    network = network.double()
    params = {name: one.double() for name, one in params.items()}
    wide = GraphTensors(
        graph.name,
        graph.x.double(),
        _Dense(graph),
        graph.edge_index,
        graph.edge_weight.double(),
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
    settings = settings_of("repaired", **{**QUICK, "warm_epochs": 1, "epochs": 3}, inner_lr=1e6)
    trainer, kept = Trainer(tensors(), settings, shared=True, seed=0), {}

    def each(epoch, loss):
        kept.update({name: one.clone() for name, one in trainer.shared.items()})

    with pytest.warns(UserWarning, match=r"inner loss of graph 'north'.*at step \d.*epoch 1: training stopped"):
        trainer.run(each)
    assert trainer.epoch == 1
    assert all(torch.equal(one, kept[name]) and torch.isfinite(one).all() for name, one in trainer.shared.items())


def test_another_seed_trains_another_network():
    made = []
    for seed in (0, 1):
        trainer = Trainer(tensors(), settings_of("repaired", **{**QUICK, "epochs": 0}), shared=True, seed=seed)
        trainer.run()
        made.append(trainer.shared["gnn.first"])
    assert not torch.equal(*made)


PROCESS = """
import sys
import numpy as np, torch
from ninefold.distributed import joined, place
from mldgg import Simulated
from mldgg.encoders import GraphTensors
from ninefold_graphs import InputEncoder
from mldgg.paper import Trainer, settings_of

torch.set_num_threads(1)
simulated = Simulated(graphs=3, nodes=150, classes=3, words=120, signal=0.35)
graphs = list(simulated.draw(0).values())[:2]
encoder = InputEncoder.fit(graphs, 12)
options = {"warm_epochs": 4, "epochs": 2, "num_pivots": 20, "hidden_channels": 16, "dropout": 0.3}
with joined():
    tensors = [GraphTensors.of(graph, encoder(graph)) for graph in graphs]
    trainer = Trainer(tensors, settings_of("repaired", **options), shared=False, seed=1)
    trainer.run()
    flat = [part.reshape(-1).numpy() for params in (trainer.shared, *trainer.own) for part in params.values()]
    np.save(f"{sys.argv[1]}/{place()[0]}.npy", np.concatenate(flat))
"""


def together(code, *words, processes=2):
    """Run a script as torchrun does; a port that another program took in the meantime is tried anew."""
    for _ in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ring = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        with tempfile.TemporaryFile("w+") as errors:
            started = [
                warm().start(["-c", code, *words], errors.fileno(), errors.fileno(), **ring, RANK=str(rank))
                for rank in range(processes)
            ]
            statuses = [process.wait(600) for process in started]
            errors.seek(0)
            said = errors.read()
        if "address already in use" not in said.lower():
            break
    assert statuses == [0] * processes, said


def test_two_processes_equal_one(tmp_path):
    trainer = Trainer(tensors(), SMALL, shared=False, seed=1)
    trainer.run()
    expected = np.concatenate(
        [one.reshape(-1).numpy() for params in (trainer.shared, *trainer.own) for one in params.values()]
    )
    together(PROCESS, str(tmp_path))
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), expected, atol=1e-5)


def test_explosion_in_one_process_stops_all(monkeypatch):
    """The other process hears of it in the sum of gradients, so that none waits for an episode that never comes."""
    trainer = Trainer(tensors(), settings_of("repaired", **{**QUICK, "epochs": 0}), shared=True, seed=0)
    monkeypatch.setattr("mldgg.paper._train.place", lambda: (0, 2))
    monkeypatch.setattr("mldgg.paper._train.dist.all_reduce", lambda flat: flat[1].add_(1))
    with pytest.warns(UserWarning, match="graph 'of another process'.*training stopped"):
        trainer.run()
    assert trainer.epoch == 0
