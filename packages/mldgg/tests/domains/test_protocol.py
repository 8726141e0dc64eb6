"""Who is source and target, what a support is, and what leaks."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from mldgg import GraphDomains, LeakWarning, leave_one_graph_out, split_support
from mldgg.domains import check_support, row_overlap
from ninefold.errors import InputError

from ..small import domains


@given(st.lists(st.integers(-1, 3), min_size=4, max_size=60), st.integers(0, 6), st.integers(0, 99))
def test_support_is_stratified_and_apart_from_the_query(labels, shots, seed):
    y = np.array(labels)
    if (y < 0).all():
        return
    split = split_support(y, shots=shots, seed=seed)
    assert not (split.support & split.query).any()
    np.testing.assert_array_equal(split.support | split.query, y >= 0)
    for label in range(4):
        size = int((y == label).sum())
        assert (split.support & (y == label)).sum() == (min(shots, max(size - 1, 1)) if size else 0)


def test_ratio_takes_its_share_of_each_class():
    y = np.repeat([0, 1], [40, 10])
    split = split_support(y, ratio=0.2, seed=0)
    assert [(split.support & (y == one)).sum() for one in (0, 1)] == [8, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"shots": 1, "ratio": 0.1}, "one of the two"),
        ({"shots": -1}, "shots"),
        ({"ratio": 1}, "ratio"),
    ],
)
def test_bad_shots_are_named(options, message):
    with pytest.raises(InputError, match=message):
        split_support(np.zeros(3, int), **options)


def test_query_label_is_refused_and_named():
    graph = domains()["north"]
    support = split_support(graph.y, shots=2, seed=0).support
    with pytest.raises(InputError, match=r"labels of \d+ query nodes \(the first is node"):
        check_support(graph, support, every_class=True)
    assert check_support(graph.hidden(support), support, every_class=True).sum() == support.sum()


def test_class_without_support_is_named():
    graph = domains()["north"]
    support = split_support(graph.y, shots=2, seed=0).support & (graph.y != 1)
    with pytest.raises(InputError, match="no node of class 'class 1'"):
        check_support(graph.hidden(support), support, every_class=True)


def test_each_graph_is_left_out_once():
    tasks = leave_one_graph_out(domains())
    assert [task.name for task in tasks] == list(domains())
    for task in tasks:
        assert task.name not in [source.name for source in task.sources]
        assert len(task.sources) == 2
    with pytest.raises(InputError, match="at least two"):
        leave_one_graph_out(GraphDomains({"a": domains()["north"]}))


def test_the_same_nodes_twice_are_refused_whatever_their_edges():
    graph = domains()["north"]
    other = replace(graph, edge_index=graph.edge_index[:, :0])
    with pytest.raises(InputError, match="a and b are the same nodes"):
        GraphDomains({"a": graph, "b": other})
    assert GraphDomains({"a": graph, "b": other}, allow_duplicates=True).findings[0][0] == "duplicate"


def test_shared_rows_are_counted():
    one, other = domains()["north"], domains()["east"]
    assert row_overlap(one, other)[0] == 0
    x = sp.vstack([one.x[:20], other.x[20:]]).tocsr()
    assert row_overlap(one, replace(other, x=x))[0] == 20
    with pytest.warns(LeakWarning, match="20 rows of features are the same"):
        GraphDomains({"one": one, "other": replace(other, x=x)})


def test_permuted_labels_are_warned_of_with_the_assignment():
    one, other = domains()["north"], domains()["east"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GraphDomains({"one": one, "other": other})
    permuted = other.with_labels(np.array([2, 0, 1])[other.y])
    with pytest.warns(LeakWarning, match="0,1,2 -> 1,2,0"):
        GraphDomains({"one": one, "other": permuted})
    aligned = GraphDomains({"one": one, "other": permuted}, align_labels=True)
    np.testing.assert_array_equal(aligned["other"].y, other.y)


def test_unknown_graph_lists_the_names():
    with pytest.raises(InputError, match="north, east, south"):
        domains()["nowhere"]
