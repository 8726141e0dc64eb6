from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from mecoin import Graph, Mecoin
from mecoin.encoders._encoder import ModuleEncoder
from mecoin.encoders._gcn import GcnEncoder, gathered
from mecoin.encoders._sgc import SgcEncoder
from mecoin.encoders._shared import ENCODERS, shared_encoder
from ninefold.errors import InputError
from sklearn.decomposition import TruncatedSVD
from torch import nn

from . import small


def test_gradients_are_those_of_dense_matrices():
    data = small.graph()
    encoder = GcnEncoder(4, epochs=1)
    encoder.fit(data, np.arange(100), np.arange(100, 120))
    module = encoder.module.requires_grad_(True)
    module(data.x, [data.normalized] * 2).square().sum().backward()
    got = {name: one.grad.clone() for name, one in module.named_parameters()}
    x, adjacency = torch.from_numpy(data.x.toarray()), torch.from_numpy(data.normalized.toarray())
    copies = {name: one.detach().clone().requires_grad_() for name, one in module.named_parameters()}
    inner = (adjacency @ (x @ copies["weight1"]) + copies["bias1"]).relu()
    (adjacency @ (inner @ copies["weight2"]) + copies["bias2"]).square().sum().backward()
    for name, one in copies.items():
        torch.testing.assert_close(got[name], one.grad, rtol=1e-3, atol=1e-4)


def test_gathered_input_gives_the_same_output():
    data = small.graph()
    encoder = GcnEncoder(4, epochs=1).fit(data, np.arange(100), np.arange(100, 120))
    with torch.no_grad():
        plain = encoder.module(data.x, [data.normalized] * 2)
        x, blocks = gathered(data.x, [data.normalized] * 2)
        assert blocks[0] is None
        torch.testing.assert_close(encoder.module(x, blocks), plain, rtol=1e-4, atol=1e-5)


def test_training_free_encoder_equals_its_formula():
    sessions = small.stream()
    first = sessions[0].graph
    encoder = small.encoder(sessions)
    idf = np.log((1 + len(first)) / (1 + (first.x.toarray() > 0).sum(0)))
    words = first.x.toarray() * idf
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    svd, hop = TruncatedSVD(16, random_state=0, n_iter=4).fit(words), first.normalized.toarray()
    expected = hop @ (hop @ (words @ svd.components_.T))
    got = encoder.embed(first)
    signs = np.sign((got * expected).sum(0))
    np.testing.assert_allclose(got, expected * signs, rtol=1e-2, atol=2e-3)


def test_encoder_is_trained_once(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    first = small.stream()[0]
    made = shared_encoder(first, "gcn", hidden=8, epochs=20)
    monkeypatch.setattr(GcnEncoder, "fit", lambda *_: 1 / 0)
    again = shared_encoder(first, "gcn", hidden=8, epochs=20)
    np.testing.assert_array_equal(made.embed(first.graph), again.embed(first.graph))
    with pytest.raises(ZeroDivisionError):
        shared_encoder(first, "gcn", hidden=8, epochs=21)
    with pytest.raises(InputError, match="base session"):
        shared_encoder(small.stream()[1])


def test_trained_encoder_tells_base_classes_apart():
    first = small.stream()[0]
    train, held = first.graph.positions(first.train), first.graph.positions(first.validation)
    encoder = GcnEncoder(16, epochs=60).fit(first.graph, train, held)
    logits = encoder.classifier(torch.from_numpy(encoder.embed(first.graph)[held]))
    assert (encoder.classes[logits.argmax(1)] == first.validation_truth).mean() > 0.8


def test_dense_features_need_no_idf():
    data = small.graph()
    dense = type(data)(data.x.toarray(), data.edge_index, data.y, data.classes, data.ids)
    encoder = SgcEncoder(8).fit(dense, np.arange(9), np.arange(9))
    assert (encoder.weights == 1).all()
    assert encoder.embed(dense).shape == (len(dense), 8)


@pytest.mark.parametrize("kind", ["sgc", "gcn"])
def test_encoder_that_is_fitted_anew_forgets_what_it_embedded(kind):
    made = {"sgc": lambda: SgcEncoder(8), "gcn": lambda: GcnEncoder(8, epochs=10)}[kind]
    data, places = small.graph(), np.arange(100)
    cut = data.induced(np.arange(150))
    encoder = made().fit(data, places, places)
    encoder.embed(data)
    encoder.fit(cut, places, places)
    np.testing.assert_array_equal(encoder.embed(data), made().fit(cut, places, places).embed(data))


@pytest.mark.parametrize("width", [1, 2])
def test_few_columns_of_numbers_all_count(width):
    x = np.random.default_rng(0).normal(size=(30, width))
    data = Graph.of(x, [[0, 1], [1, 2]])
    z = SgcEncoder(8, hops=0).fit(data, np.arange(9), np.arange(9)).embed(data)
    assert z.shape == (30, width)
    np.testing.assert_allclose(z @ z.T, data.x @ data.x.T, atol=1e-5)


def test_words_are_weighed_alike_in_sparse_and_dense_matrices():
    data = small.graph()
    dense = Graph(data.x.toarray(), data.edge_index, data.y, data.classes, data.ids)
    encoder = SgcEncoder(8).fit(data, np.arange(9), np.arange(9))
    np.testing.assert_allclose(encoder.embed(dense), encoder.embed(data), atol=1e-5)
    numbers = SgcEncoder(8).fit(dense, np.arange(9), np.arange(9))
    np.testing.assert_allclose(numbers.embed(data), numbers.embed(dense), rtol=1e-4, atol=1e-5)
    for one in (encoder, numbers):
        again = SgcEncoder()
        again.load(one.arrays())
        np.testing.assert_array_equal(again.embed(dense), one.embed(dense))


def test_few_epochs_are_not_thrown_away():
    data, places = small.graph(), np.arange(100)
    none, some = (GcnEncoder(8, epochs=count).fit(data, places, places) for count in (0, 9))
    assert not np.array_equal(none.embed(data), some.embed(data))


def weighted(scale=1.0):
    """A graph whose edges within a class weigh much more than the others."""
    data = small.graph()
    ends = data.y[data.edge_index]
    return replace(data, weight=scale * np.where(ends[0] == ends[1], 5.0, 0.1).astype(np.float32))


@pytest.mark.parametrize("kind", ["sgc", "gcn"])
def test_edge_weights_count_and_their_unit_does_not(kind):
    data, nodes = weighted(), np.arange(len(small.graph()))
    made = ENCODERS[kind](8).fit(data, nodes[::2], nodes[1::4])
    z = made.embed(data)
    assert np.abs(z - made.embed(small.graph())).max() > 1e-3
    np.testing.assert_allclose(made.embed(weighted(1000.0)), z, atol=1e-4)


def test_encoders_that_ignore_edge_weights_are_refused():
    nodes = np.arange(len(small.graph()))
    with pytest.raises(InputError, match="encoder: got gat, which ignores edge weights, expected sgc or gcn"):
        ENCODERS["gat"](8, epochs=1).fit(weighted(), nodes[::2], nodes[1::4])

    class Ignores(nn.Module):
        def forward(self, x, edge_index):
            return x

    class Takes(nn.Module):
        def forward(self, x, edge_index, edge_weight=None):
            return x * edge_weight.mean()

    with pytest.raises(InputError, match="encoder: got a module without the argument edge_weight"):
        ModuleEncoder(Ignores()).fit(weighted(), nodes, nodes)
    data = weighted()
    np.testing.assert_allclose(ModuleEncoder(Takes()).fit(data, nodes, nodes).embed(data), data.x.toarray(), rtol=1e-5)


def test_model_learns_from_edge_weights_too():
    data, held = weighted(), np.arange(len(small.graph())) % 4 == 0
    one, other = (
        Mecoin(encoder="sgc", hidden=8).fit_base(g, ~held, held).predict_proba(g) for g in (data, small.graph())
    )
    assert np.abs(one - other).max() > 1e-3
