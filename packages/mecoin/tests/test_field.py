"""Neighbourhoods drawn for training on graphs too large to encode at each step."""

from __future__ import annotations

import numpy as np
import torch
from mecoin.encoders import _gcn as encoders
from mecoin.encoders._field import receptive_field, sampled_field, thinned
from mecoin.encoders._gcn import GcnEncoder

from . import small


def test_with_room_for_every_edge_the_drawn_field_is_the_whole():
    data, places = small.graph(), np.array([3, 50, 7])
    widest = int(np.diff(data.normalized.indptr).max())
    rows, blocks = sampled_field(data, places, widest, np.random.default_rng(0))
    whole_rows, whole_blocks = receptive_field(data, places)
    np.testing.assert_array_equal(rows, whole_rows)
    for one, two in zip(blocks, whole_blocks, strict=True):
        np.testing.assert_array_equal(one.toarray(), two.toarray())


def test_drawn_rows_are_short_and_right_on_average():
    matrix, draws = small.graph().normalized, np.random.default_rng(1)
    counts = np.diff(matrix.indptr)
    fanout = int(np.median(counts))
    drawn = [thinned(matrix, fanout, draws) for _ in range(400)]
    for one in drawn[:5]:
        np.testing.assert_array_equal(np.diff(one.indptr), np.minimum(counts, fanout))
        assert (one.multiply(matrix != 0) != one).nnz == 0, "an edge that the graph has not"
        whole = counts <= fanout
        np.testing.assert_array_equal(one.toarray()[whole], matrix.toarray()[whole])
    mean = sum(drawn).toarray() / len(drawn)
    spread = np.std([one.toarray() for one in drawn], axis=0) / len(drawn) ** 0.5
    assert np.abs(mean - matrix.toarray()).max() < 5.5 * spread.max()


def test_large_graphs_are_trained_on_by_batches(monkeypatch):
    for name, value in {"WHOLE_GRAPH_NODES": 100, "BATCH": 32, "FANOUT": 4, "VALIDATION_NODES": 20}.items():
        monkeypatch.setattr(encoders, name, value)
    seen = []

    def watched(graph, places, *rest):
        seen.append(len(places))
        return sampled_field(graph, places, *rest)

    monkeypatch.setattr(encoders, "sampled_field", watched)
    first = small.stream()[0]
    train, held = first.graph.positions(first.train), first.graph.positions(first.validation)
    encoder = GcnEncoder(16, epochs=100).fit(first.graph, train, held)
    assert set(seen) == {32, 20}
    logits = encoder.classifier(torch.from_numpy(encoder.embed(first.graph)[held]))
    assert (encoder.classes[logits.argmax(1)] == first.validation_truth).mean() > 0.8
    again = GcnEncoder(16, epochs=100).fit(first.graph, train, held)
    for name, array in encoder.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
