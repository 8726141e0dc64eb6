"""Edge weights are used, or refused by name, in each way in."""

from __future__ import annotations

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from ninefold.errors import InputError
from ninefold_graphs import Graph, from_pyg, read_edge_list, read_folder, read_npz, to_pyg

DRAWS = np.random.default_rng(0)
NODES = 12
EDGES = np.array([[0, 1, 2, 3, 4, 5, 5], [1, 2, 3, 4, 5, 6, 0]])
WEIGHTS = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 3.0, 0.0])


def expected(scale: float = 1.0) -> np.ndarray:
    """D^-1/2 (A + I) D^-1/2 of weights of mean one, from networkx."""
    linked = nx.Graph()
    linked.add_nodes_from(range(NODES))
    linked.add_weighted_edges_from(zip(*EDGES.tolist(), (WEIGHTS * scale).tolist(), strict=True))
    dense = nx.to_numpy_array(linked, nodelist=range(NODES))
    dense = dense / (dense.sum() / (2 * WEIGHTS.size)) + np.eye(NODES)
    root = dense.sum(axis=1) ** -0.5
    return root[:, None] * dense * root


def pyg(**parts: object) -> SimpleNamespace:
    both = np.concatenate([EDGES, EDGES[::-1]], axis=1)
    return SimpleNamespace(x=np.eye(NODES), edge_index=both, **parts)


TWICE = np.concatenate([WEIGHTS, WEIGHTS])


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("door", ["of", "edge_weight", "edge_attr", "column", "tensor"])
def test_weights_are_those_of_the_normalised_adjacency(door, kind, scale):
    weight = WEIGHTS * scale if kind is not np.int64 else WEIGHTS * scale * 2
    weight, twice = weight.astype(kind), np.tile(weight, 2).astype(kind)
    made = {
        "of": lambda: Graph.of(np.eye(NODES), EDGES, weight=weight),
        "edge_weight": lambda: from_pyg(pyg(edge_weight=twice)),
        "edge_attr": lambda: from_pyg(pyg(edge_attr=twice)),
        "column": lambda: from_pyg(pyg(edge_attr=twice[:, None])),
        "tensor": lambda: from_pyg(pyg(edge_weight=torch.from_numpy(twice).requires_grad_(kind is not np.int64))),
    }[door]()
    np.testing.assert_allclose(made.normalized.toarray(), expected(scale), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.where(np.arange(14) == 3, -1.0, 1.0), r"weight of edge 3 \(3 -> 4\): got -1.0.*distances or signs"),
        (np.where(np.arange(14) == 3, np.nan, 1.0), r"weight of edge 3 \(3 -> 4\): got nan"),
        (np.where(np.arange(14) == 3, np.inf, 1.0), r"weight of edge 3 \(3 -> 4\): got inf"),
        (np.ones(13), "got shape .13,., dtype float64, expected 14 numbers"),
        (np.array(["near"] * 14), "expected 14 numbers, one an edge"),
    ],
)
def test_wrong_weights_are_refused_by_name(wrong, message):
    for name in ("edge_weight", "edge_attr"):
        with pytest.raises(InputError, match=message):
            from_pyg(pyg(**{name: wrong}))


def test_several_attributes_or_types_of_edges_are_refused_by_name():
    with pytest.raises(InputError, match=r"data.edge_attr.*got 3 attributes of each edge.*set data.edge_weight"):
        from_pyg(pyg(edge_attr=np.ones((14, 3))))
    with pytest.raises(InputError, match=r"data.edge_type.*got 2 types of edges"):
        from_pyg(pyg(edge_type=np.arange(14) % 2))
    with pytest.raises(InputError, match=r"edges of types a/cites/a, a/writes/b.*to_homogeneous"):
        from_pyg(pyg(edge_types=[("a", "cites", "a"), ("a", "writes", "b")]))
    assert from_pyg(pyg(edge_weight=TWICE, edge_attr=np.ones((14, 3)))).weight is not None  # the choice is made


def test_repeated_edges_add_up_and_the_larger_direction_counts():
    made = Graph.of(np.eye(3), [[0, 0, 1, 1], [1, 1, 0, 2]], weight=[1.0, 2.0, 1.5, 4.0])
    assert dict(zip(map(tuple, made.edge_index.T.tolist()), made.weight.tolist(), strict=True)) == {
        (0, 1): 3.0, (1, 0): 3.0, (1, 2): 4.0, (2, 1): 4.0,
    }  # fmt: skip


def test_weights_follow_a_graph_that_is_cut_hidden_or_given_back():
    graph = Graph.of(np.eye(NODES), EDGES, weight=WEIGHTS)
    part = graph.induced(np.arange(5))
    assert part.weight.tolist() == [1.0, 1.0, 2.0, 2.0, 0.5, 0.5, 4.0, 4.0]
    np.testing.assert_array_equal(graph.hidden(np.zeros(NODES, bool)).weight, graph.weight)
    np.testing.assert_array_equal(from_pyg(to_pyg(graph)).weight, graph.weight)
    gate = DRAWS.random(graph.edge_index.shape[1]).astype(np.float32)
    np.testing.assert_allclose(graph.reweighted(gate).data, graph.adjacency.data * gate, rtol=1e-6)
    plain = Graph.of(np.eye(NODES), EDGES)
    assert plain.weight is None
    assert plain.digest != graph.digest
    with pytest.raises(InputError, match="weight: got shape"):
        Graph(graph.x, graph.edge_index, graph.y, (), weight=WEIGHTS)


def test_weights_of_a_third_column(tmp_path):
    rows = "".join(f"n{a}{{0}}n{b}{{0}}{w}\n" for (a, b), w in zip(EDGES.T, WEIGHTS, strict=True))
    for mark, comma in ((",", "."), (";", ","), ("\t", ","), (" ", "."), (";", ".")):
        home = tmp_path / f"{ord(mark)}{ord(comma)}"
        home.mkdir()
        text = "\ufeff" + rows.format(mark).replace(".", comma)
        (home / "edges.csv").write_text(text, encoding="utf-8")
        (home / "labels.csv").write_text("".join(f"n{node}{mark}{'ab'[node % 2]}\n" for node in range(NODES)))
        (home / "features.csv").write_text("".join(f"n{node}{mark}0{comma}5{mark}1\n" for node in range(NODES)))
        listed, _ = read_edge_list(home / "edges.csv", home / "labels.csv")
        held = read_folder(home)[home.name]
        for made in (listed, held):
            np.testing.assert_allclose(made.normalized.toarray(), expected(), atol=1e-5)
        assert held.x[0].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("n0,n1,friend", "weight of edge n0 - n1 in .*line 2: got 'friend'.*types of edges"),
        ("n0,n1,-2", "weight of edge n0 - n1 in .*line 2: got -2.*distances or signs"),
        ("n0,n1,", "weight of edge n0 - n1 in .*line 2: got an empty cell"),
        ("n0,n1", "line in .*line 2: got 2 columns, expected 3 as in the first line"),
        ("n0,n1,1,2", "line in .*line 2: got 4 columns, expected 2, or 3 with a weight"),
    ],
)
def test_third_column_that_is_no_weight_is_refused_by_name(tmp_path, line, message):
    (tmp_path / "edges.csv").write_text(f"n1,n2,1.5\n{line}\n")
    (tmp_path / "labels.csv").write_text("n0,a\nn1,b\n")
    with pytest.raises(InputError, match=message):
        read_edge_list(tmp_path / "edges.csv", tmp_path / "labels.csv")


def test_weights_of_an_npz_file(tmp_path):
    adjacency = sp.csr_array((WEIGHTS, EDGES), shape=(NODES, NODES))
    parts = {"labels": np.arange(NODES) % 2}
    for name, matrix in (("adj", adjacency), ("attr", sp.csr_array(np.eye(NODES)))):
        parts |= {f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr", "shape")}
    np.savez(tmp_path / "graph.npz", **parts)
    kept = WEIGHTS > 0
    dense = read_npz(tmp_path / "graph.npz")
    assert dense.weight.sum() == pytest.approx(2 * WEIGHTS.sum())
    assert dense.edge_index.shape[1] == 2 * kept.sum()


def test_header_of_features_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "edges.csv").write_text("a,b\n")
    (tmp_path / "labels.csv").write_text("a,x\nb,y\n")
    for first in ("id,f1", "node_id,age", "Name,word"):
        (tmp_path / "features.csv").write_text(f"{first}\na,1\nb,2\n")
        with pytest.raises(InputError, match=r"features.csv, line 1: got column names .* \(remove that line\)"):
            read_edge_list(tmp_path / "edges.csv", tmp_path / "labels.csv", tmp_path / "features.csv")
