"""Pair features leave the judged edge out; the gate tells real from injected edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mldgg.datasets import inject_edges
from mldgg.meta._gates import GateRounds, fit_gates
from mldgg.structure import (
    EdgeGate,
    Guess,
    features_only,
    pair_features,
    refined_features,
    undirected_pairs,
)
from ninefold.errors import InputError
from ninefold_graphs import InputEncoder
from sklearn.metrics import roc_auc_score

from ..small import domains


def guess(width, classes=3):
    draws = np.random.default_rng(0)
    return Guess(draws.normal(size=(width, classes)), draws.normal(size=(width, classes)), draws.normal(size=classes))


def test_features_of_a_pair_are_those_of_the_graph_without_it():
    graph = domains()["north"]
    z = InputEncoder.fit([graph], 8)(graph)
    pairs, _ = undirected_pairs(graph.edge_index)
    rows = pair_features(graph.adjacency, z, pairs, guess(8))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    for k in (0, 7, 40, 101):
        i, j = pairs[:, k]
        without = graph.adjacency.tolil(copy=True)
        without[i, j] = without[j, i] = 0
        a = without.toarray()
        around = [a[n] @ unit / max(a[n].sum(), 1) for n in (i, j)]
        size = [max(np.linalg.norm(one), 1e-9) for one in around]
        shared = np.flatnonzero(a[i] * a[j])
        degree = graph.adjacency.toarray().sum(axis=1)
        union = max(((a[i] + a[j]) > 0).sum(), 1)
        across = [unit[i] @ around[1] / size[1], unit[j] @ around[0] / size[0]]
        expected = [
            unit[i] @ unit[j],
            around[0] @ around[1] / size[0] / size[1],
            np.mean(across),
            min(across),
            np.log1p(sum(1 / np.log(max(degree[w], 2)) for w in shared)),
            np.log1p(shared.size),
            shared.size / union,
            np.log1p(min(degree[i], degree[j])),
            np.log1p(max(degree[i], degree[j])),
        ]
        np.testing.assert_allclose(rows[k, :9], expected, atol=2e-5)


def test_refined_features_are_those_of_the_gated_graph_without_the_pair():
    graph = domains()["north"]
    z = InputEncoder.fit([graph], 8)(graph)
    pairs, place = undirected_pairs(graph.edge_index)
    chances = np.random.default_rng(1).random(pairs.shape[1]).astype(np.float32)
    rows = refined_features(graph.reweighted(chances[place]), z, pairs, chances, guess(8))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    gated = np.zeros((len(graph), len(graph)))
    gated[tuple(pairs)] = chances
    gated += gated.T
    for k in (0, 7, 40):
        i, j = pairs[:, k]
        without = gated.copy()
        without[i, j] = without[j, i] = 0
        around = [without[n] @ unit / max(np.linalg.norm(without[n] @ unit), 1e-9) for n in (i, j)]
        mixed = [unit[n] + 2 * near for n, near in zip((i, j), around, strict=True)]
        across = [unit[i] @ around[1], unit[j] @ around[0]]
        degrees = sorted(np.log1p(without[n].sum()) for n in (i, j))
        expected = [
            around[0] @ around[1],
            np.mean(across),
            min(across),
            mixed[0] @ mixed[1] / np.linalg.norm(mixed[0]) / np.linalg.norm(mixed[1]),
            *degrees,
            np.log(chances[k] / (1 - chances[k])),
        ]
        np.testing.assert_allclose(rows[k, :7], expected, atol=1e-4)


def test_rounds_judge_each_source_by_the_others_and_come_back_from_a_file():
    noisy = [inject_edges(graph, 1.0, seed=k)[0] for k, graph in enumerate(domains().values())]
    encoder = InputEncoder.fit(noisy[:2], 32)
    z = [encoder(graph) for graph in noisy]
    gate, judged = fit_gates(noisy[:2], z[:2], True, 0, True)
    assert len(gate.gates) == 3
    found = gate(noisy[2], z[2])
    assert found.shape == (noisy[2].edge_index.shape[1],)
    np.testing.assert_array_equal(GateRounds.load(gate.arrays())(noisy[2], z[2]), found)
    # a source's own labels change nothing in how the first round judges its edges, and something for the other source
    other = noisy[0].with_labels(np.random.default_rng(0).permutation(noisy[0].y))
    first, second = (fit_gates([one, noisy[1]], z[:2], True, 0, "features")[1] for one in (noisy[0], other))
    np.testing.assert_array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])
    assert [one.shape for one in judged] == [(graph.edge_index.shape[1],) for graph in noisy[:2]]


def test_both_orders_of_a_pair_and_all_blocks_agree(monkeypatch):
    graph = domains()["north"]
    z = InputEncoder.fit([graph], 8)(graph)
    pairs, place = undirected_pairs(graph.edge_index)
    rows = pair_features(graph.adjacency, z, pairs, guess(8))
    np.testing.assert_allclose(pair_features(graph.adjacency, z, pairs[::-1], guess(8)), rows, atol=1e-5)
    monkeypatch.setattr("mldgg.structure._pairs._CHUNK", 13)
    np.testing.assert_allclose(pair_features(graph.adjacency, z, pairs, guess(8)), rows, atol=1e-6)
    np.testing.assert_array_equal(np.sort(graph.edge_index, axis=0), pairs[:, place])


def test_gate_tells_injected_edges_on_a_graph_it_never_saw():
    noisy = [inject_edges(graph, 1.0, seed=k) for k, graph in enumerate(domains().values())]
    encoder = InputEncoder.fit([graph for graph, _ in noisy[:2]], 32)
    rows, truths = [], []
    for graph, _ in noisy:
        pairs, _ = undirected_pairs(graph.edge_index)
        rows.append(pair_features(graph.adjacency, encoder(graph), pairs))
        truths.append(graph.y[pairs[0]] == graph.y[pairs[1]])
    target, injected = noisy[2]
    pairs, place = undirected_pairs(target.edge_index)

    def auc(gate):
        return roc_auc_score(~injected, gate(rows[2])[place])

    full, own = EdgeGate.fit(rows[:2], truths[:2]), features_only(rows[:2], truths[:2])
    # which of the two is better, graphs of 150 nodes do not tell: on citation graphs a claim measures it
    assert auc(full) > 0.6
    assert auc(own) > 0.6
    again = EdgeGate.load(full.arrays())
    np.testing.assert_array_equal(again(rows[2]), full(rows[2]))


def test_gate_without_labelled_edges_is_refused():
    graph = replace(domains()["north"], edge_index=np.zeros((2, 0), np.int64))
    pairs, _ = undirected_pairs(graph.edge_index)
    rows = pair_features(graph.adjacency, np.ones((len(graph), 3)), pairs)
    with pytest.raises(InputError, match=r"edges.*none with a label at both ends"):
        EdgeGate.fit([rows], [np.zeros(0, bool)])
