"""Graphs of other libraries are opened right, or refused by cause with what to do: none is misread without a word.

Each case is made from the public description of the library's objects or files.
"""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from ninefold.errors import InputError
from ninefold_graphs import from_pyg, read_folder, read_foreign

X = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [2.0, 1.0]])
PAIRS = [(0, 1), (1, 2), (2, 3)]
KINDS = ["a", "b", "a", None]
LINKED = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0.0]])


def net(kind=nx.Graph, *, x="x", y="y", weights=None, names=None):
    names = names or ["ann", "bob", "cid", "dan"]
    made = kind()
    for name, row, label in zip(names, X, KINDS, strict=True):
        made.add_node(name, **({x: row} if x else {}), **({y: label} if y and label else {}))
    for place, (a, b) in enumerate(PAIRS):
        made.add_edge(names[a], names[b], **({"weight": weights[place]} if weights else {}))
    return made


def cells(**parts):
    """An object with AnnData's attributes."""
    import pandas as pd

    given = {"X": X, "obsp": {"connectivities": sp.csr_array(LINKED)}, "obs_names": ["c0", "c1", "c2", "c3"]}
    given["obs"] = pd.DataFrame({"label": pd.Categorical(["a", "b", "a", np.nan]), "batch": list("1122")})
    return SimpleNamespace(**{**given, **parts})


def data(**parts):
    edges = np.array([(a, b) for a, b in PAIRS] + [(b, a) for a, b in PAIRS]).T
    codes = np.array([0, 1, 0, -1])
    return SimpleNamespace(**{"x": X, "edge_index": edges, "y": codes, "class_names": ["a", "b"], **parts})


RIGHT = {
    "networkx": net(),
    "networkx, other names of attributes": net(x="feat", y="label"),
    "networkx, numbers as names": net(names=[10, 20, 30, 5]),
    "networkx, multigraph": net(nx.MultiGraph),
    "networkx, lists": nx.relabel_nodes(net(), {"ann": ("tuple", 1)}),
    "anndata": cells(),
    "anndata, sparse X": cells(X=sp.csr_matrix(X)),
    "anndata, one graph under another name": cells(obsp={"spatial": sp.csr_matrix(LINKED)}),
    "anndata, distances too": cells(obsp={"distances": LINKED, "connectivities": sp.coo_array(LINKED)}),
    "pyg": data(),
    "pyg, torch": data(x=torch.from_numpy(X), edge_index=torch.from_numpy(data().edge_index)),
    "pyg, float64 with a gradient": data(x=torch.from_numpy(X).requires_grad_()),
    "pyg, sparse x": data(x=sp.csc_matrix(X)),
    "pyg, labels as a column": data(y=np.array([[0], [1], [0], [-1]])),
    "pyg, edges of ones": data(edge_attr=np.ones((6, 1))),
    "pyg, integer features": data(x=(2 * X).astype(np.int64)),
    "pyg, self-loops and repeated edges": data(
        edge_index=np.concatenate([data().edge_index, [[0, 0, 1], [0, 1, 0]]], axis=1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_graph_of_another_library_is_opened_right(name):
    graph = from_pyg(RIGHT[name], directed="refuse")
    scale = 2 if "integer" in name else 1
    x = graph.x.toarray() if sp.issparse(graph.x) else graph.x
    np.testing.assert_allclose(x, scale * X)
    np.testing.assert_array_equal(graph.adjacency.toarray(), LINKED)
    assert [graph.classes[code] if code >= 0 else None for code in graph.y] == KINDS


WRONG = {
    "networkx without features": (net(x=None), "node ann .*got y, expected a node attribute x"),
    "networkx without nodes": (nx.Graph(), "nodes .*got none"),
    "networkx, directed": (net(nx.DiGraph), "a directed graph: 3 edges have no reverse.*symmetrise"),
    "networkx, negative weight": (net(weights=[1.0, -1.0, 2.0]), "weight of edge 1 .*got -1.0"),
    "networkx, weight missing": (
        nx.compose(net(weights=[1.0, 2.0, 3.0]), nx.Graph([("ann", "dan")])), "edge .*got no weight"),
    "networkx, features missing": (nx.compose(net(), nx.Graph([("ann", "eve")])), "node eve .*got no features"),
    "networkx, types of edges": (
        nx.MultiGraph([("ann", "bob", "knows"), ("ann", "bob", "pays")]), "expected a node attribute x"),
    "anndata without neighbours": (cells(obsp={}), r"data.obsp .*got none.*neighbors\(data\)"),
    "anndata with two graphs": (cells(obsp={"a": LINKED, "b": LINKED}), "data.obsp .*got a, b.*connectivities"),
    "pyg without features": (data(x=None), "x.*got none"),
    "pyg, no edges given": (data(edge_index=None), "edge_index.*got none"),
    "pyg, float edges": (data(edge_index=data().edge_index.astype(float)), "edge_index.*got dtype float64"),
    "pyg, edge out of range": (data(edge_index=np.array([[0, 9], [9, 0]])), "edge_index.*got 0 -> 9 at edge 0"),
    "pyg, NaN": (data(x=np.where(X == 2, np.nan, X)), "x at node 3, column 0.*got nan"),
    "pyg, too large for float32": (data(x=np.where(X == 2, 1e300, X)), "x at node 3, column 0.*got inf"),
    "pyg, text features": (data(x=np.array([["a", "b"]] * 4)), "x.*expected an .*matrix of numbers"),
    "pyg, float labels": (data(y=np.array([0.0, 1.5, 0, -1])), "y.*got dtype float64"),
    "pyg, labels of other length": (data(y=np.array([0, 1])), "y.*got shape"),
    "pyg, label without a name": (data(y=np.array([0, 1, 2, -1])), "class_names.*got 2 names"),
    "pyg, several attributes of edges": (data(edge_attr=np.ones((6, 4))), "edge_attr .*got 4 attributes"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", WRONG)
def test_graph_that_cannot_be_opened_is_refused_by_cause(name):
    given, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        from_pyg(given, directed="refuse")


def packed(folder, **files):
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for name, text in files.items():
        (raw / f"{name.replace('_', '-')}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


OGB = {"edge": "0,1\n1,2\n2,3\n", "node_feat": "1,0\n0,1\n.5,.5\n2,1\n", "node_label": "0\n1\n0\nnan\n"}


def dgl(folder, nodes=None, edges=None, **more):
    folder.mkdir()
    (folder / "meta.yaml").write_text("dataset_name: mine\n")
    rows = zip("abcd", ("x", "y", "x", ""), ('"1,0"', '"0,1"', '".5,.5"', '"2,1"'), strict=True)
    text = "node_id,label,feat\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    (folder / "nodes.csv").write_text(text if nodes is None else nodes)
    (folder / "edges.csv").write_text("src_id,dst_id\na,b\nb,c\nc,d\n" if edges is None else edges)
    for name, content in more.items():
        (folder / f"{name}.csv").write_text(content)
    return folder


def test_folders_of_ogb_and_dgl_are_read(tmp_path):
    for folder in (packed(tmp_path / "ogb", **OGB), dgl(tmp_path / "dgl")):
        (graph,) = read_folder(folder).values()
        np.testing.assert_allclose(graph.x, X)
        np.testing.assert_array_equal(graph.adjacency.toarray(), LINKED)
        assert graph.y.tolist() == [0, 1, 0, -1]
    both = read_folder(tmp_path)
    assert sorted(both) == ["dgl", "ogb"]
    assert both["dgl"].classes == both["ogb"].classes == ("0", "1", "x", "y")
    weighted = dgl(tmp_path / "weighted", edges="src_id,dst_id,weight\na,b,1\nb,c,2\nc,d,3\n")
    assert read_foreign(weighted).weight.tolist() == [1, 1, 2, 2, 3, 3]
    assert read_foreign(tmp_path) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda home: packed(home, edge="0,1\n"), "got no node-feat.csv.gz"),
        (lambda home: packed(home, **{**OGB, "edge": "0,x\n"}), "file in .*edge.csv.gz"),
        (lambda home: packed(home, **{**OGB, "node_label": "0,1\n1,1\n0,0\n1,0\n"}), "got 2 labels a node"),
        (lambda home: packed(home, **{**OGB, "edge_feat": "1,2\n1,2\n1,2\n"}), "got 2 attributes of each edge"),
        (lambda home: packed(home, triplet_type_list=""), "several types of edges"),
        (lambda home: dgl(home, nodes="node_id,label\na,x\n"), "expected a column feat"),
        (lambda home: dgl(home, edges="a,b\nb,c\n"), "edges file .*expected a column src_id"),
        (lambda home: dgl(home, edges="src_id,dst_id\na,z\n"), "edges file .*got node z"),
        (lambda home: dgl(home, nodes='node_id,feat\na,"1,b"\n', edges="src_id,dst_id\na,a\n"), "expected numbers"),
        (lambda home: dgl(home, edges_pays="src_id,dst_id\na,b\n"), "got 2 files of edges"),
    ],
)
def test_folder_that_cannot_be_read_is_refused_by_cause(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        read_folder(make(tmp_path / "home"))
