"""Graphs that are made: the simulator, injected edges, functions, own CSV files."""

from __future__ import annotations

import numpy as np
import pytest
from mldgg.datasets import inject_edges, load, load_functions, read_folder
from ninefold.errors import DownloadError, InputError

from ..small import TINY


def test_simulator_follows_its_seed():
    first, again, other = TINY.draw(0), TINY.draw(0), TINY.draw(1)
    for name in first:
        np.testing.assert_array_equal(first[name].edge_index, again[name].edge_index)
        assert (first[name].x != again[name].x).nnz == 0
    assert first["north"].edge_index.shape != other["north"].edge_index.shape


def test_simulated_links_stay_within_classes_as_asked():
    graph = TINY.draw(0)["north"]
    within = (graph.y[graph.edge_index[0]] == graph.y[graph.edge_index[1]]).mean()
    assert within > 0.75


@pytest.mark.parametrize("matched", [True, False])
def test_injected_edges_cross_classes_and_are_marked(matched):
    graph = TINY.draw(0)["north"]
    noisy, injected = inject_edges(graph, 1.0, seed=3, matched=matched)
    ends = graph.y[noisy.edge_index[:, injected]]
    assert (ends[0] != ends[1]).all()
    assert injected.sum() == graph.edge_index.shape[1]
    np.testing.assert_array_equal(noisy.edge_index[:, ~injected], graph.edge_index)


def test_matched_injection_follows_the_degree():
    graph = TINY.draw(0)["north"]
    degree = np.bincount(graph.edge_index[0], minlength=len(graph))

    def correlation(matched):
        noisy, injected = inject_edges(graph, 1.0, seed=0, matched=matched)
        added = np.bincount(noisy.edge_index[0, injected], minlength=len(graph))
        return np.corrcoef(degree, added)[0, 1]

    assert correlation(True) > 0.6
    assert abs(correlation(False)) < 0.25


def test_injection_that_cannot_fit_is_refused():
    with pytest.raises(InputError, match="no room"):
        inject_edges(TINY.draw(0)["north"], 100.0)


@pytest.fixture
def folder(tmp_path):
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        (home / "edges.csv").write_text("a,b\nb,c\n")
        (home / "features.csv").write_text("a,1,0\nb,0,1\nc,1,1\n")
        (home / "labels.csv").write_text("a,x\nc,y\n")
    return tmp_path


def test_own_folders_are_read_with_shared_class_names(folder):
    (folder / "two" / "labels.csv").write_text("b,y\n")
    graphs = read_folder(folder)
    assert graphs["one"].classes == graphs["two"].classes == ("x", "y")
    np.testing.assert_array_equal(graphs["one"].y, [0, -1, 1])
    np.testing.assert_array_equal(graphs["two"].y, [-1, 1, -1])
    np.testing.assert_array_equal(graphs["one"].edge_index, [[0, 1, 1, 2], [1, 0, 2, 1]])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("edges.csv", "a,b\nb,nobody\n", "edges.csv, line 2: got node 'nobody'"),
        ("features.csv", "a,1,0\nb,0\nc,1,1\n", "features of node b in .*features.csv, line 2: got 1, expected 2"),
        ("features.csv", "a,1\na,2\n", "node a in .*line 2: got a second line"),
        ("features.csv", "a,one\nb,2\nc,3\n", "feature 1 of node a in .*line 1: got 'one'"),
        ("labels.csv", "a,x\nq,y\n", "labels.csv, line 2"),
        ("edges.csv", "a\n", "edges.csv, line 1: got 1 columns"),
        ("features.csv", "", "empty file"),
        ("features.csv", "a,1,0\nb,,1\nc,1,1\n", "feature 1 of node b in .*features.csv, line 2: got an empty cell"),
    ],
)
def test_bad_csv_is_named_by_line(folder, file, text, message):
    (folder / "one" / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read_folder(folder)


def test_unknown_collection_lists_what_there_is(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="citation"):
        load("nowhere")
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match="citation"):
        load("citation")


def test_functions_become_nodes_with_calls_words_and_roles(tmp_path, monkeypatch):
    pair = "def get_plain{0}(table):\n    return _is_hidden{0}(table.rowCount)\n"
    pair += "def _is_hidden{0}(table):\n    return table"
    lines = [pair.format(k) for k in range(60)]
    lines.append("class One:\n    def __init__(self):\n        self.size = size")
    lines.append("    def other(self):\n        return self.size")
    for name in ("firstofall", "secondofall"):
        (tmp_path / name / "tests").mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("\n".join(lines))
        (tmp_path / name / "tests" / "more.py").write_text("def left_out(table):\n    return table\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    graphs = load_functions(["firstofall", "secondofall", "not_installed_anywhere"])
    graph = graphs["firstofall"]
    assert list(graphs) == ["firstofall", "secondofall"]
    assert len(graph) == 122
    assert np.bincount(graph.y + 1, minlength=6).tolist() == [1, 1, 60, 0, 60, 0]
    assert (graph.y[graph.edge_index[0]] != graph.y[graph.edge_index[1]]).all()
    assert graph.edge_index.shape[1] == 120
    assert graph.width == 6  # table, is, hidden, row, count, size
    with pytest.raises(InputError, match="at least two installed ones"):
        load_functions(["firstofall"])
