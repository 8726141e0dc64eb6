"""What is refused at the door, and what comes out of it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from mldgg import open_graph, to_pyg
from ninefold.errors import InputError

from ..small import TINY, ring


def changed(**parts):
    made = ring()
    for name, value in parts.items():
        setattr(made, name, value)
    return made


def test_pyg_data_goes_in_and_out_unchanged():
    from torch_geometric.data import Data

    graph = TINY.draw(0)["north"]
    data = to_pyg(graph, dense=False)
    assert isinstance(data, Data)
    again = open_graph(data, "north", classes=graph.classes)
    np.testing.assert_array_equal(again.edge_index, graph.edge_index)
    np.testing.assert_array_equal(again.y, graph.y)
    assert (again.x != graph.x).nnz == 0


@pytest.mark.parametrize(
    "form", [lambda x: torch.tensor(x), lambda x: sp.csr_matrix(x), lambda x: torch.tensor(x).to_sparse()]
)
def test_features_of_each_form_are_the_same(form):
    x = np.array([[1.0, 0, 2], [0, 0, 3], [4, 0, 0], [0, 5, 0], [0, 0, 0], [1, 1, 1]], np.float32)
    made = open_graph(changed(x=form(x))).x
    np.testing.assert_array_equal(made.toarray() if sp.issparse(made) else made, x)


def test_edge_out_of_range_is_named():
    edges = ring().edge_index.copy()
    edges[1, 3] = 99
    with pytest.raises(InputError, match=r"edge_index in graph 'g': got \d+ -> 99 at edge 3"):
        open_graph(changed(edge_index=edges), "g")


def test_float_edges_are_refused():
    with pytest.raises(InputError, match=r"edge_index.*dtype float64.*integers"):
        open_graph(changed(edge_index=ring().edge_index.astype(float)))


def test_directed_graph_is_refused_and_symmetrised_on_request():
    edges = ring().edge_index[:, :6]
    with pytest.raises(InputError, match=r"directed graph: 6 edges have no reverse.*symmetrise=True"):
        open_graph(changed(edge_index=edges))
    np.testing.assert_array_equal(
        open_graph(changed(edge_index=edges), symmetrise=True).edge_index, open_graph(ring()).edge_index
    )


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_feature_is_named_by_node_and_column(value, sparse):
    x = ring().x.copy()
    x[4, 1] = value
    with pytest.raises(InputError, match=r"x at node 4, column 1 in graph 'g'"):
        open_graph(changed(x=sp.csr_matrix(x) if sparse else x), "g")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"x": None}, "x: got none"),
        ({"x": np.zeros((6, 0))}, "shape"),
        ({"edge_index": np.zeros((3, 4), int)}, r"expected \(2, E\)"),
        ({"y": np.zeros(5, int)}, r"y: got shape \(5,\), expected \(6,\)"),
        ({"y": np.zeros(6)}, "integer class ids"),
        ({"y": np.array([0, 1, 0, 1, 0, -2])}, "y at node 5"),
        ({"x": np.array([["a"]] * 6)}, "numbers"),
    ],
)
def test_bad_parts_are_named(parts, message):
    with pytest.raises(InputError, match=message):
        open_graph(changed(**parts))


def test_isolated_nodes_loops_and_repetitions_are_fine():
    edges = np.array([[0, 1, 1, 0, 2], [1, 0, 0, 1, 2]])
    graph = open_graph(changed(edge_index=edges))
    np.testing.assert_array_equal(graph.edge_index, [[0, 1], [1, 0]])
    assert graph.adjacency.shape == (6, 6)


def test_adjacency_has_the_order_of_the_edges():
    graph = TINY.draw(0)["east"]
    coo = graph.adjacency.tocoo()
    np.testing.assert_array_equal(np.stack([coo.row, coo.col]), graph.edge_index)
