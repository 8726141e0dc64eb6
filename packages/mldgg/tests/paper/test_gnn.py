"""Layers of the published method against PyG's, and the whole method as a rival."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mldgg.paper import Published
from mldgg.paper._network import PivotGNN
from mldgg.paper._tensors import GraphTensors, Masks
from ninefold.errors import InputError
from ninefold_graphs import Graph

from ..small import QUICK, domains, shown


def tensors(width=6):
    graph = domains()["north"]
    x = np.random.default_rng(0).normal(size=(len(graph), width)).astype(np.float32)
    return GraphTensors.of(Graph.of(x, graph.edge_index, graph.y, classes=graph.classes))


def test_gcn_without_pivots_is_pygs():
    from torch_geometric.nn import GCNConv

    graph = tensors()
    edges = torch.from_numpy(domains()["north"].edge_index)
    torch.manual_seed(0)
    gnn = PivotGNN(6, 5, 3)
    layers = [GCNConv(6, 5, bias=False), GCNConv(5, 5, bias=False)]
    with torch.no_grad():
        layers[0].lin.weight.copy_(gnn.first.T)
        layers[1].lin.weight.copy_(gnn.second.T)
        expected = torch.relu(layers[1](torch.relu(layers[0](graph.x, edges)), edges))
        torch.testing.assert_close(
            gnn(graph, Masks(), gnn.begin(graph, Masks()), None, None), expected, atol=1e-5, rtol=1e-4
        )


def test_network_mixes_edges_and_pivots():
    graph = tensors()
    torch.manual_seed(0)
    gnn = PivotGNN(6, 5, 3)
    b, start = torch.rand(2, len(graph), 7)
    with torch.no_grad():
        begun = gnn.begin(graph, Masks())
        alone, mixed, refined = (gnn(graph, Masks(), begun, *one) for one in ((None, None), (b, b), (b, start)))
    assert alone.shape == mixed.shape == (len(graph), 5)
    assert not torch.allclose(alone, mixed)
    assert not torch.allclose(mixed, refined)
    masks = Masks(0, 0.5)
    loss = gnn(graph, masks, gnn.begin(graph, masks), b, b).sum()
    assert all(one is not None for one in torch.autograd.grad(loss, list(gnn.parameters()), allow_unused=True)[:2])


def test_published_method_trains_and_sees_no_query_label():
    model, target = Published(**QUICK, rounds=1).fit(domains().without("south")), domains()["south"]
    support = shown(target, 2).y >= 0
    scrambled = target.with_labels(np.where(support, target.y, (target.y + 1) % 3))
    one, other = (model.predict_proba(graph.hidden(support)) for graph in (target, scrambled))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-4)
    r, s, v = model.embed(target.hidden(support))
    assert (r.shape, s.shape, v.shape) == ((150, 16), (150, 256), (150, 128))
    weights = model.edge_weight(target.hidden(support), target.edge_index)
    assert (weights >= 0).all()
    assert weights.std() > 0


def test_all_wrong_options_are_said_at_once():
    with pytest.raises(InputError, match=r"colour is no option; inner_lr is -1.*epsilon is 2") as one:
        Published(colour=1, inner_lr=-1, epsilon=2)
    assert "see mldgg.paper" in str(one.value)
    with pytest.raises(InputError, match="elbo is 'best', not ind, mldgg"):
        Published(elbo="best")
