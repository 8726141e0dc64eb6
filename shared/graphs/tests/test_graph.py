from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from ninefold.errors import InputError
from ninefold_graphs import Graph, from_pyg, read_edge_list, to_pyg

X = np.eye(4, dtype=np.float32)


def test_normalized_adjacency_equals_the_formula():
    made = Graph.of(X, [[0, 1, 1], [1, 2, 3]])
    dense = np.eye(4)
    for one, two in ((0, 1), (1, 2), (1, 3)):
        dense[one, two] = dense[two, one] = 1
    degree = dense.sum(1)
    np.testing.assert_allclose(made.normalized.toarray(), dense / np.sqrt(np.outer(degree, degree)), rtol=1e-6)


def test_edges_are_made_symmetric_and_distinct_without_loops():
    made = Graph.of(X, [[0, 0, 1, 2], [1, 1, 0, 2]])
    assert made.edge_index.T.tolist() == [[0, 1], [1, 0]]


def test_labels_of_any_kind_are_codes_of_sorted_names():
    made = Graph.of(X, np.zeros((2, 0), int), ["b", None, "a", "b"])
    assert made.classes == ("a", "b")
    assert made.y.tolist() == [1, -1, 0, 1]
    assert Graph.of(X, np.zeros((2, 0), int), [7, -1, 900, 7]).classes == (7, 900)


def test_induced_graph_keeps_ids_and_inner_edges():
    made = Graph.of(X, [[0, 1, 2], [1, 2, 3]], ids=[10, 11, 12, 13]).induced(np.array([1, 3, 2]))
    assert made.ids.tolist() == [11, 12, 13]
    assert sorted(map(tuple, made.ids[made.edge_index].T.tolist())) == [(11, 12), (12, 11), (12, 13), (13, 12)]
    assert made.positions([13, 11]).tolist() == [2, 0]


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_missing_feature_is_named_by_row_and_column(kind):
    x = X.copy()
    x[2, 1] = np.nan
    with pytest.raises(InputError, match="x at node 2, column 1"):
        Graph.of(kind(x), [[0], [1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges": [[0], [4]]}, r"0 -> 4.*\[0, 4\)"),
        ({"edges": [[0.5], [1]]}, "dtype float64, expected integers"),
        ({"edges": [0, 1, 2]}, "shape"),
        ({"labels": ["a"]}, "one for each of 4 nodes"),
        ({"labels": ["a", 1, "b", 2]}, "one kind"),
        ({"ids": [1, 2, 2, 3]}, "2 twice"),
        ({"x": np.zeros(4)}, "shape"),
        ({"x": [["a"]]}, "numbers"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Graph.of(**{"x": X, "edges": [[0], [1]], **arguments})


def test_node_of_another_graph_is_refused_with_the_remedy():
    with pytest.raises(InputError, match=r"node 9 and 1 more.*ids="):
        Graph.of(X, [[0], [1]]).positions([0, 9, 8])


def test_pyg_data_goes_in_and_out():
    made = Graph.of(X, [[0, 1], [1, 2]], ["a", "b", "b", None], ids=[5, 6, 7, 8])
    data = to_pyg(made)
    again = from_pyg(data)
    assert again.ids.tolist() == [5, 6, 7, 8]
    np.testing.assert_array_equal(again.edge_index, made.edge_index)
    assert again.y.tolist() == made.y.tolist()
    data.y = None
    assert from_pyg(data).y.tolist() == [-1] * 4
    data.x = None
    with pytest.raises(InputError, match="x: got none"):
        from_pyg(data)


def test_labels_may_be_a_tensor():
    made = Graph.of(X, [], torch.tensor([5, 2, 5, -1]))
    assert made.classes == (2, 5)
    assert made.y.tolist() == [1, 0, 1, -1]


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_features_of_pyg_stay_sparse(layout):
    data = pytest.importorskip("torch_geometric.data")
    x = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    sparse = getattr(x, layout)()
    graph = from_pyg(data.Data(x=sparse, edge_index=torch.tensor([[0, 1], [1, 2]]), y=torch.tensor([0, 1, 1])))
    assert not isinstance(graph.x, np.ndarray)
    np.testing.assert_array_equal(graph.x.toarray(), x.numpy())


def test_class_names_come_back_from_pyg():
    made = Graph.of(X, [[0], [1]], ["news", None, "art", "news"])
    data = to_pyg(made)
    again = from_pyg(data)
    assert again.classes == ("art", "news")
    np.testing.assert_array_equal(again.y, made.y)
    data.class_names = ["art"]
    with pytest.raises(InputError, match=r"data\.class_names: got 1 names, expected 2"):
        from_pyg(data)


def test_tensors_may_hang_on_a_gradient():
    data = to_pyg(Graph.of(X, [[0], [1]], [0, 1, 0, 1]))
    data.x.requires_grad_()
    assert len(from_pyg(data)) == 4
    assert len(Graph.of(data.x, data.edge_index, data.y, ids=data.node_ids)) == 4


def test_repr_of_a_graph_is_one_line_without_arrays():
    graph = Graph.of(np.zeros((2000, 3)), [[0, 1], [1, 2]], ["a", "b", *[None] * 1998], weight=[1, 2], name="mine")
    assert repr(graph) == (
        "<Graph 'mine': 2,000 nodes, 4 weighted directed edges, 3 features, 2 classes, 2 labelled nodes>"
    )


def test_a_column_of_text_is_refused_with_the_remedy(tmp_path):
    for name, text in (("edges", "a,b\n"), ("labels", "a,x\nb,y\n"), ("features", "a,1,PL\nb,2,DE\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    message = r"feature 2 of node a in .*, line 1: got 'PL', expected a number \(write a category as one column of 0"
    with pytest.raises(InputError, match=message):
        read_edge_list(tmp_path / "edges.csv", tmp_path / "labels.csv", tmp_path / "features.csv")
