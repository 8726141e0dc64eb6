from __future__ import annotations

import json

import numpy as np
import pytest
from mecoin import Graph, SessionStream, Simulated, Split
from mecoin.sessions._split import PARTS, SessionSplit
from ninefold.errors import ArtifactError, InputError

from .small import graph, stream


@pytest.mark.parametrize("mode", ["inductive", "transductive"])
def test_parts_are_disjoint_and_complete_in_every_session(mode):
    sessions = stream(mode=mode)
    for index, session in enumerate(sessions):
        parts = sessions.split.sessions[: index + 1]
        lists = [nodes for part in parts for kind in PARTS for nodes in getattr(part, kind).values()]
        every = np.concatenate(lists)
        assert len(np.unique(every)) == len(every)
        assert set(every) == set(sessions.data.ids[np.isin(sessions.data.y, session.seen)])
        assert not set(session.test) & set(session.train)
        assert not set(session.test) & set(session.validation)


def test_base_classes_are_the_largest_and_ties_go_to_the_smaller_code():
    y = np.repeat([0, 1, 2, 3], [5, 9, 9, 12])
    data = Graph.of(np.ones((35, 1), np.float32), np.zeros((2, 0), int), y)
    assert SessionStream(data, base=2, way=1).split.sessions[0].classes == (3, 1)


def test_labels_that_are_not_given_are_hidden():
    for session in stream():
        given = session.train if session.index else np.concatenate([session.train, session.validation])
        assert set(session.graph.ids[session.graph.y >= 0]) == set(given)


def test_inductive_graph_has_the_classes_seen_and_the_transductive_one_all():
    for session in stream():
        assert np.isin(session.graph.ids, graph().ids[np.isin(graph().y, session.seen)]).all()
    assert all(len(session.graph) == len(graph()) for session in stream(mode="transductive"))


def test_novel_classes_have_their_shots_and_eighty_per_cent_of_tests():
    for one in stream().split.sessions[1:]:
        for name in one.classes:
            total = sum(len(getattr(one, part)[name]) for part in PARTS)
            assert len(one.support[name]) == 5
            assert len(one.test[name]) == round(0.8 * total)


def test_order_of_new_classes_follows_the_seed():
    orders = {tuple(SessionStream(graph(), 3, 1, seed=seed).split.sessions[1].classes) for seed in range(8)}
    assert len(orders) > 1


def test_split_comes_back_from_disk(tmp_path):
    sessions = stream()
    sessions.save(tmp_path / "split.json")
    again = SessionStream.from_split(sessions.data, tmp_path / "split.json")
    for one, two in zip(sessions, again, strict=True):
        np.testing.assert_array_equal(one.test, two.test)
        np.testing.assert_array_equal(one.graph.edge_index, two.graph.edge_index)
        assert all(np.array_equal(one.support[code], two.support[code]) for code in one.support)


def test_changed_split_file_is_refused(tmp_path):
    path = tmp_path / "split.json"
    stream().save(path)
    document = json.loads(path.read_text())
    document["shot"] = 50
    path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="digest"):
        Split.load(path)


def test_node_in_two_places_is_refused_with_both():
    parts = {part: {"a": np.array([1, 2])} for part in PARTS}
    with pytest.raises(InputError, match=r"node 1.*support.*validation"):
        Split("inductive", 1, 5, 0, (SessionSplit(("a",), **parts),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": 7}, "fewer than the 7"),
        ({"way": 0}, "way"),
        ({"shot": 0}, "shot"),
        ({"mode": "both"}, "inductive or transductive"),
        ({"sessions": 3}, "1 to 2"),
    ],
)
def test_impossible_split_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        stream(**options)


def test_class_with_one_node_is_all_support():
    y = np.repeat([0, 1, 2], [6, 6, 1])
    data = Graph.of(np.ones((13, 1), np.float32), np.zeros((2, 0), int), y)
    (last,) = SessionStream(data, base=2, way=1).split.sessions[1:]
    assert [len(getattr(last, part)[2]) for part in PARTS] == [1, 0, 0]


def test_each_class_has_a_hundred_test_nodes():
    for session in Split.draw(Simulated().draw(0), base=50, way=2, shot=5, mode="inductive", seed=0).sessions:
        assert min(len(nodes) for nodes in session.test.values()) >= 100
