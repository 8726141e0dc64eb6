"""The published network learns what any node classifier learns: it fits a small graph and tells classes apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from mldgg import Simulated
from mldgg.domains import split_support
from mldgg.paper import Published
from mldgg.paper._network import Network, is_own
from mldgg.paper._pivots import pivot_graph
from mldgg.paper._settings import settings_of
from mldgg.paper._tensors import GraphTensors
from mldgg.paper._train import loss_of, new_network

TASK = Simulated(graphs=2, nodes=400, classes=4, words=200, signal=0.35, homophily=0.8)
STEPS = 300
SMALL = {"num_pivots": 40, "rounds": 1}


def trained(graph, settings, steps=STEPS):
    """Parameters after Adam steps on all labels of one graph, without the meta-loop."""
    network = new_network(graph.width, graph.classes, settings, 0)
    params = dict(network.named_parameters())
    groups = [{"params": [one for name, one in params.items() if is_own(name) == own], "lr": rate}
              for own, rate in ((True, settings.own_lr), (False, settings.outer_lr))]  # fmt: skip
    optimizer = torch.optim.Adam([group for group in groups if group["params"]])
    nodes = torch.arange(len(graph))
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(network, params, graph, nodes, step).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("options", [{}, {"structure": False, "elbo": "mldgg"}])
def test_network_fits_a_graph_and_does_not_answer_one_class_on_an_unseen_one(options):
    source, unseen = (GraphTensors.of(graph) for graph in TASK.draw(0).values())
    network = trained(source, settings_of(**SMALL, **options))
    with torch.no_grad():
        own, other = (network.eval()(graph) for graph in (source, unseen))
    for kind in ("own", "log_proba"):
        right = (getattr(own, kind).argmax(1) == source.y).float().mean()
        assert right > 0.9, kind
        answers = getattr(other, kind).argmax(1)
        assert answers.bincount(minlength=4).max() < 0.7 * len(unseen), kind
        largest = unseen.y.bincount().max() / len(unseen)
        assert (answers == unseen.y).float().mean() > largest + 0.1, kind
    assert own.r.norm(dim=1).mean() > 0.1  # the representation does not fall to zero


def gradients(loss, params):
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True, retain_graph=True)
    pairs = zip(params.items(), found, strict=True)
    return {name: torch.zeros_like(one) if slope is None else slope for (name, one), slope in pairs}


@pytest.mark.parametrize("nodes", [200, 400, 800])
@pytest.mark.parametrize("pivots", [20, 100])
def test_labels_weigh_on_the_gnn_at_least_a_tenth_of_each_other_part(nodes, pivots):
    graph = GraphTensors.of(replace(TASK, nodes=nodes).draw(1)["north"])
    settings = settings_of(num_pivots=pivots, rounds=1, dropout=0.0)
    network = Network(graph.width, graph.classes, settings)
    params = dict(network.named_parameters())
    everyone = torch.arange(nodes)
    size = {}
    for part, left in (("labels", {"sparse": 0.0}), ("all", {})):
        network.settings = replace(settings, **left)
        found = gradients(loss_of(network, params, graph, everyone, 0), params)
        size[part] = found
    labels = sum(float(one.square().sum()) for name, one in size["labels"].items() if name.startswith("gnn.")) ** 0.5
    rest = sum(float((size["all"][name] - size["labels"][name]).square().sum())
               for name in params if name.startswith("gnn.")) ** 0.5  # fmt: skip
    assert labels > 0
    assert labels >= rest / 10


def test_reconstruction_and_bound_move_the_causal_learner_alone():
    graph = GraphTensors.of(TASK.draw(2)["north"])
    with_parts, without = settings_of(**SMALL, dropout=0.0), settings_of(**SMALL, dropout=0.0, reconstruction=0.0)
    network = Network(graph.width, graph.classes, with_parts)
    params, nodes = dict(network.named_parameters()), torch.arange(len(graph))
    one = gradients(loss_of(network, params, graph, nodes, 0), params)
    network.settings = replace(without, elbo_weight=0.0)
    other = gradients(loss_of(network, params, graph, nodes, 0), params)
    for name in params:
        if name.startswith(("gnn.", "structure.")):
            torch.testing.assert_close(one[name], other[name], atol=1e-7, rtol=1e-5, msg=name)
    assert any(not torch.equal(one[name], other[name]) for name in params if name.startswith("represent."))


@pytest.mark.parametrize("nodes", [50, 500, 5000])
def test_pivot_graph_has_entries_of_one_size_whatever_the_number_of_nodes(nodes):
    b = torch.rand(nodes, 20, generator=torch.Generator().manual_seed(0))
    assert float(pivot_graph(b).mean()) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("share", [True, False])
def test_method_tells_classes_apart_on_an_unseen_graph(share):
    graphs = Simulated(graphs=3, nodes=200, classes=3, words=120, signal=0.4).draw(0)
    target = graphs["south"]
    support = split_support(target.y, shots=5, seed=0)
    options = {**SMALL, "epochs": 60, "episodes": 1, "inner_steps": 1}
    model = Published(**options, share_gnn=share).fit([graphs["north"], graphs["east"]])
    found = model.predict_proba(target.hidden(support.support)).argmax(axis=1)
    right = (found == target.y)[support.query].mean()
    assert right > np.bincount(target.y).max() / len(target) + 0.1
    model.settings = replace(model.settings, answers="causal")
    both = model.outputs(target.hidden(support.support))
    np.testing.assert_array_equal(model.predict_proba(target.hidden(support.support)), both["causal"])
    assert not np.allclose(both["causal"], both["gnn"])
