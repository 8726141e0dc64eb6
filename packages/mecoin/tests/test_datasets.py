"""Readers against what PyTorch Geometric reads from the same files, and against bad files."""

from __future__ import annotations

import os

import numpy as np
import pytest
import scipy.sparse as sp
from mecoin import datasets
from ninefold.errors import ArtifactError, DownloadError, InputError

needs_data = pytest.mark.skipif(not os.environ.get("NINEFOLD_DATA"), reason="NINEFOLD_DATA is not set")


def arrays(**changed):
    """A directed graph of 4 nodes: 0 -> 1 -> 2, 3 -> 3, weights of any size, features 0, 2.5, -1."""
    adjacency = sp.csr_array((np.array([1, 7, 1]), ([0, 1, 3], [1, 2, 3])), shape=(4, 4))
    x = sp.csr_array(np.array([[0, 2.5, 0], [1, 0, -1], [0, 0, 3], [0, 0, 0]], np.float32))
    held = {"labels": np.array([1, 0, 1, 0])}
    for name, matrix in (("adj", adjacency), ("attr", x)):
        held |= {f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
        held[f"{name}_shape"] = np.array(matrix.shape)
    return held | changed


def written(path, **changed):
    np.savez(path, **{name: value for name, value in arrays(**changed).items() if value is not None})
    return path


def test_npz_is_made_binary_symmetric_and_free_of_loops(tmp_path):
    graph = datasets.read_npz(written(tmp_path / "g.npz"))
    assert graph.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert graph.x.toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert graph.y.tolist() == [1, 0, 1, 0]
    assert graph.classes == (0, 1)


def test_npz_equals_what_pyg_reads(tmp_path):
    pyg = pytest.importorskip("torch_geometric.io")
    theirs = pyg.read_npz(str(written(tmp_path / "g.npz", attr_data=np.array([2.5, 1, 4, 3], np.float32))))
    graph = datasets.read_npz(tmp_path / "g.npz")
    assert np.array_equal(graph.edge_index, theirs.edge_index.numpy())
    assert np.array_equal(graph.x.toarray(), theirs.x.numpy())
    assert np.array_equal(graph.y, theirs.y.numpy())


PUBLISHED = {  # nodes, directed edges, features, classes
    "CS": (18_333, 163_788, 6_805, 15),
    "Computers": (13_752, 491_722, 767, 10),
    "Photo": (7_650, 238_162, 745, 8),
    "Cora_ML": (2_995, 16_316, 2_879, 7),
    "DBLP": (17_716, 105_734, 1_639, 4),
    "CiteSeer": (4_230, 10_674, 602, 6),
    "Clothing20": (9_360, 58_154, 9_034, 20),
}


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_the_published_ones(name):
    graph = datasets.load(name)
    assert (len(graph), graph.edge_index.shape[1], graph.width, len(graph.classes)) == PUBLISHED[name]
    assert graph.y.min() == 0


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("name", ["Cora_ML", "CiteSeer", "Photo"])
def test_a_set_equals_what_pyg_reads(name):
    pyg = pytest.importorskip("torch_geometric.io")
    from ninefold.datasets import find

    theirs, graph = (
        pyg.read_npz(str(find("mecoin", f"{name}/raw/{datasets.DATASETS[name][0]}.npz"))),
        datasets.load(name),
    )
    assert np.array_equal(graph.edge_index, theirs.edge_index.numpy())
    assert np.array_equal(graph.y, theirs.y.numpy())
    assert np.array_equal(graph.x.sum(axis=0), theirs.x.sum(dim=0).numpy())
    assert (graph.x.sum(axis=1) == theirs.x.sum(dim=1).numpy()).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": None}, "has no array 'labels'"),
        ({"adj_indices": np.array([1, 2, 9])}, r"adj_\* is no CSR matrix"),
        ({"attr_shape": np.array([4])}, r"attr_\* is no CSR matrix"),
    ],
)
def test_npz_of_another_layout_is_refused(tmp_path, changed, message):
    with pytest.raises(ArtifactError, match=message):
        datasets.read_npz(written(tmp_path / "g.npz", **changed))


def test_npz_with_too_few_labels_names_the_file(tmp_path):
    with pytest.raises(InputError, match="labels") as caught:
        datasets.read_npz(written(tmp_path / "g.npz", labels=np.array([1])))
    assert "g.npz" in caught.value.__notes__[0]


def test_pickled_arrays_are_not_opened(tmp_path):
    path = written(tmp_path / "g.npz", labels=np.array([{"a": 1}] * 4, dtype=object))
    with pytest.raises(ArtifactError, match="plain arrays"):
        datasets.read_npz(path)


@pytest.mark.parametrize("kept", [0, 100, 1000])
def test_truncated_npz_is_refused(tmp_path, kept):
    path = written(tmp_path / "g.npz")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtifactError, match="npz"):
        datasets.read_npz(path)


def test_missing_file_and_unknown_name_say_so(tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match="not there"):
        datasets.read_npz(tmp_path / "none.npz")
    with pytest.raises(InputError, match="one of CS"):
        datasets.load("Cora")
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match=r"CoraFull/raw/cora\.npz"):
        datasets.load("CoraFull")


def test_own_edge_list_and_labels(tmp_path):
    (tmp_path / "edges.tsv").write_text("# a comment\nann\tbob\nbob\tcem\n")
    (tmp_path / "labels.csv").write_text("ann,fraud\nbob,fine\ndan,fraud\n")
    graph, ids = datasets.read_edge_list(tmp_path / "edges.tsv", tmp_path / "labels.csv")
    assert ids == {"ann": 0, "bob": 1, "dan": 2, "cem": 3}
    assert graph.classes == ("fine", "fraud")
    assert graph.y.tolist() == [1, 0, 1, -1]
    assert graph.edge_index.tolist() == [[0, 1, 1, 3], [1, 0, 3, 1]]
    assert graph.x.shape == (4, 128)
    again, _ = datasets.read_edge_list(tmp_path / "edges.tsv", tmp_path / "labels.csv")
    assert np.array_equal(graph.x, again.x)


def test_own_features_and_numbers_as_names(tmp_path):
    (tmp_path / "edges").write_text("10 30\n")
    (tmp_path / "labels").write_text("10 a\n20 b\n")
    (tmp_path / "features").write_text("30 1 2\n20 3 4\n10 5 6\n")
    graph, ids = datasets.read_edge_list(*(tmp_path / name for name in ("edges", "labels", "features")))
    assert ids == {"10": 10, "20": 20, "30": 30}
    assert graph.x[graph.positions([10, 20, 30])].tolist() == [[5, 6], [3, 4], [1, 2]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"edges": "1 2 3 4\n"}, "edges, line 1: got 4 columns"),
        ({"edges": "1 2 x\n"}, "weight of edge 1 - 2 in .*edges, line 1: got 'x'"),
        ({"labels": "1 a\n1 b\n"}, "node 1 in .*labels, line 2: got a second label"),
        ({"features": "1 0.5\n2 x\n"}, "feature 1 of node 2 in .*line 2: got 'x', expected a number"),
        ({"features": "1 0.5\n2 1 1\n"}, "features of node 2 in .*: got 2, expected 1"),
        ({"features": "1 0.5\n"}, "node 2 in .*: got no features"),
        ({"features": "1 0.5\n1 0.5\n2 1\n"}, "node 1 in .*: got a second line"),
        ({"features": "1 0.5\n2 nan\n"}, "feature 1 of node 2 in .*line 2: got nan, expected a finite"),
        ({"edges": "source target\n1 2\n"}, r"edges, line 1: got column names \(source, target\), expected two node"),
        ({"edges": "# made today\nvon zu\n1 2\n"}, r"edges, line 2: got column names \(von, zu\).*remove that line"),
        ({"labels": "node_id class\n1 a\n2 b\n"}, r"labels, line 1: got column names \(node_id\).*its class"),
        ({"edges": "user_id,product_id\nann,cup\n"}, r"edges, line 1: got column names \(user_id, product_id\)"),
        ({"edges": "1,2\n,2\n"}, "node in .*edges, line 2: got an empty name"),
        ({"labels": "1,a\n,b\n"}, "node in .*labels, line 2: got an empty name"),
        ({"features": "1,0.5\n,1\n"}, "node in .*features, line 2: got an empty name"),
        ({"features": "id a\n1 0.5\n2 1\n"}, r"features, line 1: got column names \(id, a\)"),
    ],
)
def test_bad_own_files_name_file_and_line(tmp_path, files, message):
    given = {"edges": "1 2\n", "labels": "1 a\n2 b\n", "features": "1 0.5\n2 1\n"} | files
    for name, text in given.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        datasets.read_edge_list(*(tmp_path / name for name in given))


def test_nodes_that_are_called_like_columns_are_nodes(tmp_path):
    (tmp_path / "edges").write_text("source target\ntarget end\n")
    (tmp_path / "labels").write_text("end b\nsource a\n")
    _, ids = datasets.read_edge_list(tmp_path / "edges", tmp_path / "labels")
    assert set(ids) == {"source", "target", "end"}


def test_own_files_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(InputError, match="none"):
        datasets.read_edge_list(tmp_path / "none", tmp_path / "none")
    (tmp_path / "edges").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        datasets.read_edge_list(tmp_path / "edges", tmp_path / "edges")


def test_signature_of_a_node_stays_when_the_files_grow(tmp_path):
    edges, labels = tmp_path / "edges", tmp_path / "labels"
    edges.write_text("a b\nb c\n")
    labels.write_text("a x\nb y\n")
    before, old = datasets.read_edge_list(edges, labels)
    edges.write_text("d c\nb c\na b\n")
    labels.write_text("d z\nb y\na x\n")
    after, new = datasets.read_edge_list(edges, labels)
    for node, one in old.items():
        np.testing.assert_array_equal(after.x[after.positions([new[node]])], before.x[before.positions([one])])
    assert not np.array_equal(datasets.read_edge_list(edges, labels, seed=1)[0].x, after.x)


def test_node_whose_class_is_left_empty_has_none(tmp_path):
    (tmp_path / "edges").write_text("n1,n2\n")
    (tmp_path / "labels").write_text("n1,a\nn2,\nn3,b\n")
    graph, ids = datasets.read_edge_list(tmp_path / "edges", tmp_path / "labels")
    assert list(ids) == ["n1", "n2", "n3"]
    assert graph.classes == ("a", "b")
    assert graph.y.tolist() == [0, -1, 1]
