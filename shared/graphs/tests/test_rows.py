"""Rows in half precision, made column by column, stand in for the array that they are made instead of."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from ninefold_graphs import Graph, HopRows, InputEncoder, _rows, _words, hop_features

DRAWS = np.random.default_rng(0)
X = sp.random_array((300, 60), density=0.2, rng=DRAWS, format="csr")
GRAPH = Graph.of(X, DRAWS.integers(0, 300, (2, 1200)))
HOPS = (0, 2)


@pytest.mark.parametrize(("large", "apart"), [(200_000, 1e-6), (100, 2e-3)])
def test_products_rows_and_mean_are_those_of_the_array(large, apart, monkeypatch):
    monkeypatch.setattr(_rows, "LARGE", large)
    monkeypatch.setattr(_words, "LARGE", large)
    monkeypatch.setattr(_rows, "_CHUNK", 70)
    encoder = InputEncoder.fit([GRAPH], 40)
    array = hop_features(encoder(GRAPH), GRAPH.normalized, HOPS, constant=True)
    rows = HopRows.of(encoder.by_columns(GRAPH), GRAPH.normalized, HOPS)
    assert rows.sums.dtype == (np.float32 if large > 300 else np.float16)
    weights, some = DRAWS.normal(size=(81, 3)).astype(np.float32), DRAWS.random(300) < 0.1
    for shift in (np.zeros(80, np.float32), array[:, :-1].mean(axis=0)):
        moved, wanted = rows.around(shift), array - np.append(shift, 0)
        np.testing.assert_allclose(moved[some], wanted[some], atol=apart)
        np.testing.assert_allclose(moved @ weights, wanted @ weights, atol=10 * apart)
        np.testing.assert_allclose(np.asarray(moved), wanted, atol=apart)
    np.testing.assert_allclose(rows.mean(), array[:, :-1].mean(axis=0), atol=apart)
    assert rows.shape == array.shape


def test_words_by_columns_are_made_when_they_are_read(monkeypatch):
    monkeypatch.setattr(_words, "LARGE", 100)
    encoder = InputEncoder.fit([GRAPH], 40)
    columns = encoder.by_columns(GRAPH)
    assert columns.shape == (300, 40)
    np.testing.assert_allclose(columns[:, 5:17], encoder(GRAPH)[:, 5:17], atol=1e-6)
