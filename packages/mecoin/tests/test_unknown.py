"""What is new is told from what is known, and what is deleted is gone."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin import Graph, Mecoin
from mecoin.memory._plus import HARDER, MISSED, captors
from mecoin.memory._smu import Smu
from mecoin.paper import PaperModel
from ninefold_graphs import softmax
from sklearn.metrics import roc_auc_score

from .small import BASE, FOUR, NEXT, SUPPORT, fitted, learnt, masks


def clusters(scale, seed=0, each=150):
    """Two known clusters in five columns, and one in the first one's direction, `scale` times farther."""
    draws = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], each)
    means = np.array([[3.0, 0, 0, 0, 0], [0, 3, 0, 0, 0], [3.0 * scale, 0.5, 0, 0, 0]])
    x = (means[y] + draws.normal(size=(3 * each, 5))).astype(np.float32)
    pairs = np.concatenate([draws.permutation(np.flatnonzero(y == one)).reshape(2, -1) for one in range(3)], axis=1)
    return Graph.of(x, pairs, y)


@pytest.mark.parametrize("options", [{}, {"transductive": False}])
def test_cluster_ten_times_farther_is_novel(options):
    graph = clusters(10)
    known = graph.induced(np.flatnonzero(graph.y < 2))
    made = Mecoin(encoder="sgc", hidden=5, **options).fit_base(known, *masks(known, (0, 1)))
    assert roc_auc_score(graph.y == 2, made.novelty(graph)) > 0.95


def test_unlabelled_nodes_tell_more_of_what_is_new_than_distance_alone(tmp_path):
    made, alone = fitted(), fitted(transductive=False)
    strange = FOUR.y == 3
    areas = [roc_auc_score(strange, one.novelty(FOUR)) for one in (made, alone)]
    assert areas[0] > areas[1] - 0.02
    assert areas[0] > 0.85
    made.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(Mecoin.load(tmp_path / "m.safetensors").novelty(FOUR), made.novelty(FOUR))


def test_answers_that_are_later_classes_are_softer_and_those_that_are_base_classes_less_sure_of_later_ones():
    made = fitted().add_classes(FOUR, {3: SUPPORT[3]})
    learner = made._state.learner
    learner.temperature = 40.0  # some answers are close to another one
    keys = learner.keys(learner.encoder.embed(FOUR))
    close = learner.content.smu.closeness(keys) / learner.temperature
    later = close.argmax(axis=1) == 3
    assert later.any()
    gap = close.max(axis=1) - close[:, 3]
    odds = close + np.eye(4)[3] * np.minimum(MISSED, gap)[:, None]
    expected = np.where(later[:, None], softmax(close / HARDER), softmax(odds))
    found = made.predict_proba(FOUR)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert ((gap > 0) & (gap < MISSED)).any()  # where the odds alone would change the answer
    np.testing.assert_array_equal(found.argmax(axis=1), close.argmax(axis=1))


def test_class_that_is_deleted_and_added_again_answers_as_if_it_had_stayed(tmp_path):
    made = fitted(PaperModel, mode="transductive").add_classes(NEXT, {3: SUPPORT[3]}).add_classes(NEXT, {4: SUPPORT[4]})
    before = made.predict_proba(NEXT)
    made.save(tmp_path / "m.safetensors")
    for model in (made, PaperModel.load(tmp_path / "m.safetensors")):
        model.forget([4]).add_classes(NEXT, {4: SUPPORT[4]})
        np.testing.assert_allclose(model.predict_proba(NEXT), before, atol=1e-5)
    without = learnt(PaperModel, mode="transductive").add_classes(NEXT, {4: SUPPORT[4]})
    made.forget([3])
    assert made.labels == without.labels
    np.testing.assert_allclose(made.predict_proba(NEXT), without.predict_proba(NEXT), atol=1e-5)
    assert np.isfinite(made.forget([1]).predict_proba(BASE)).all()


def signed(seed, kinds="abc", each=100):
    """Nodes without features, linked mostly within their class; all but the last class have labels."""
    draw, count = np.random.default_rng(seed), each * len(kinds)
    y = np.arange(count) % len(kinds)
    pairs = [
        (node, other)
        for node in range(count)
        for other in (*draw.choice(np.flatnonzero(y == y[node]), 4), draw.integers(count))
    ]
    x = draw.normal(size=(count, 128)).astype(np.float32)
    return Graph.of(x, np.array(pairs), np.where(y < len(kinds) - 1, y, -1)), np.flatnonzero(y == len(kinds) - 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kinds", "each", "shot"), [("abc", 100, 5), ("abcd", 80, 5), ("abc", 150, 10), ("abc", 60, 3)]
)
def test_class_that_was_just_learnt_is_not_called_unknown(kinds, each, shot, seed):
    graph, new = signed(seed, kinds, each)
    held = (graph.y >= 0) & (np.arange(len(graph)) % 5 == 0)
    made = Mecoin().fit_base(graph, (graph.y >= 0) & ~held, held)
    before = made.novelty(graph, new) > 1
    after = made.add_classes(graph, {"fraud": new[:shot]})
    rest = new[shot:]
    assert before.mean() > 0.6
    assert (made.predict(graph, rest) == "fraud").mean() > 0.8
    assert (after.novelty(graph, rest) > 1).mean() < 0.25
    base = np.flatnonzero(graph.y >= 0)
    assert (after.novelty(graph, base) > 1).mean() < 0.1


def test_limits_of_novelty_are_each_class_s_own_and_stay_in_the_file(tmp_path):
    made = fitted()
    before = made._state.learner.content
    made.add_classes(FOUR, {3: SUPPORT[3]})
    content = made._state.learner.content
    assert content.radius.shape == content.margin.shape == (4,)
    np.testing.assert_array_equal(content.radius[:3], before.radius)
    np.testing.assert_array_equal(content.margin[:3], before.margin)
    place, far = made._state.learner.nearest(FOUR, np.arange(len(FOUR)))
    assert place.max() == 3
    assert (far >= 0).all()
    made.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(Mecoin.load(tmp_path / "m.safetensors").novelty(FOUR), made.novelty(FOUR))
    made.forget([0])
    assert made._state.learner.content.radius.shape == (3,)
    assert np.isfinite(made.novelty(FOUR)).all()


def test_group_that_captures_labels_of_a_later_class_is_no_unknown_one():
    smu = Smu(np.array([[0.0, 0], [10, 0]], np.float32), np.array([0, 1]))
    groups = Smu(np.array([[12.0, 0], [0, 9], [13, 9]], np.float32), np.arange(3))
    near = np.array([[12.0, 1], [10, 1], [9, 0], [10, -1], [9, 1]], np.float32)  # the first is in group 0
    assert captors(groups, smu, Smu(near, np.full(5, 1))).tolist() == [0]
    assert captors(groups, smu, Smu(near[1:], np.full(4, 1))).tolist() == []
    ten = np.concatenate([near, near[1:], near[1:2]])  # one of ten is less than a fifth
    assert captors(groups, smu, Smu(ten, np.full(10, 1))).tolist() == []


def test_labelled_keys_of_later_classes_stay_in_the_file_and_go_with_their_class(tmp_path):
    made = fitted().add_classes(FOUR, {3: SUPPORT[3]})
    assert made._state.learner.content.labelled.owner.tolist() == [3] * 5
    made.save(tmp_path / "m.safetensors")
    again = Mecoin.load(tmp_path / "m.safetensors")
    kept = again._state.learner.content.labelled
    np.testing.assert_array_equal(kept.prototypes, made._state.learner.content.labelled.prototypes)
    np.testing.assert_array_equal(again.novelty(FOUR), made.novelty(FOUR))
    assert again.forget([3])._state.learner.content.labelled.owner.size == 0
    assert np.isfinite(again.novelty(FOUR)).all()
