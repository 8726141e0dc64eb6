"""Choices on sources alone: who judges whom, and how far sources are trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mldgg import MLDGG, Graph
from mldgg.domains import measure, rehearsals
from mldgg.meta._search import CHANGES, HOPS, Search, around, gram, moved, solve
from ninefold.errors import InputError

from ..small import domains


def test_each_source_is_judged_by_the_others():
    sources = list(domains().values())
    for place, one in enumerate(rehearsals(sources)):
        assert one.place == place
        assert one.target is sources[place]
        assert [k for k, _ in one.learners] == [k for k in range(3) if k != place]
    assert [one.place for one in rehearsals(sources, most=2)] == [0, 2]


def test_single_source_is_judged_on_labels_that_were_not_learnt_from():
    (one,) = rehearsals([domains()["north"]])
    ((_, learner),) = one.learners
    assert ((learner.y >= 0) ^ (one.target.y >= 0)).all()
    assert (learner.y >= 0).sum() > 60


def test_measure_is_accuracy_or_area_in_per_cent():
    chances, y = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 1, 0, 1])
    assert measure(chances, y, "accuracy") == 75
    assert measure(chances, y, "auc") == 100
    with pytest.raises(InputError, match="nodes of one class"):
        measure(chances, np.zeros(4, int), "auc")


@pytest.mark.parametrize("classes", [2, 3])
def test_sources_with_hardly_a_label_are_fitted_without_rehearsal(classes):
    def few(graph):
        y = np.full(len(graph), -1)
        for label in range(classes):
            y[np.flatnonzero(graph.y == label)[0]] = label
        return replace(graph, y=y, classes=graph.classes[:classes])

    sources = [few(domains()[name]) for name in ("north", "east")]
    assert rehearsals(sources) == []
    model = MLDGG(gate=False).fit(sources)
    chances = model.adapt(few(domains()["south"])).predict_proba()
    assert chances.shape == (150, classes)
    assert np.isfinite(chances).all()


def apart(shift, nodes=400):
    """Two sources without edges whose labels follow weights that differ by `shift`."""
    draws = np.random.default_rng(0)
    common, made = draws.normal(size=(6, 3)), []
    for name in ("one", "other"):
        z = draws.normal(size=(nodes, 6)).astype(np.float32)
        y = (z @ (common + shift * draws.normal(size=(6, 3)))).argmax(axis=1)
        made.append(Graph.of(z, [], y, classes=("a", "b", "c"), name=name))
    return made


def test_sources_that_agree_are_trusted_further_than_sources_that_do_not():
    strengths = []
    for shift in (0.02, 2.0):
        sources = apart(shift)
        search = Search(
            sources, [one.x for one in sources], [sources[0].width] * len(sources), None, shared=True, seed=0
        )
        search.trial(HOPS[0], 0.0)
        strengths.append(search.ridge().strengths)
    assert all(trusted > doubted for trusted, doubted in zip(*strengths, strict=True))
    assert strengths[0][0] <= CHANGES[-1] * 4 / 3


def test_pooled_solution_is_the_ridge_over_all_labelled_rows():
    draws = np.random.default_rng(0)
    rows, labels = draws.normal(size=(30, 4)), draws.integers(-1, 3, 30)
    parts = [gram(rows[some], labels[some], 3) for some in (slice(0, 12), slice(12, 30))]
    known = labels >= 0
    z, y = rows[known], np.eye(3)[labels[known]]
    expected = np.linalg.solve(z.T @ z + 2 * np.eye(4), z.T @ y)
    np.testing.assert_allclose(solve(parts, 2.0), expected, atol=1e-5)


def test_gram_of_moved_rows_follows_from_that_of_the_rows():
    draws = np.random.default_rng(0)
    rows = np.c_[draws.normal(size=(30, 4)) + 2, np.ones(30)]
    y, shift = draws.integers(-1, 3, 30), draws.normal(size=4)
    for found, expected in zip(moved(gram(rows, y, 3), shift), gram(around(rows, shift), y, 3), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
