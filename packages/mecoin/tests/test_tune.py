"""Tuning sees the labelled nodes of base classes, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mecoin.baselines import BASELINES, SgcNcm
from mecoin.evaluation import _compare
from mecoin.protocol import _run
from mecoin.protocol._run import tuned, tuning_stream
from ninefold.errors import InputError

from .small import stream


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))


def test_only_labelled_nodes_of_base_classes_take_part():
    first = stream(base=5, way=1)[0]
    inner = tuning_stream(first, way=1, shot=5)
    assert [len(session.new) for session in inner] == [3, 1, 1]
    used = np.concatenate([part.nodes for part in inner.split.sessions])
    assert set(used) == set(first.train) | set(first.validation)
    assert not set(used) & set(first.test)


@pytest.mark.parametrize(("base", "way", "sizes"), [(5, 1, [3, 1, 1]), (4, 2, [2, 2]), (3, 1, [2, 1])])
def test_two_fifths_act_as_new(base, way, sizes):
    assert [len(one.new) for one in tuning_stream(stream(base=base, way=way)[0], way, 5)] == sizes


def test_too_few_base_classes_are_refused():
    with pytest.raises(InputError, match="base classes: got 3, expected at least 4"):
        tuning_stream(stream()[0], 2, 5)
    with pytest.raises(InputError, match="base session"):
        tuning_stream(stream()[1], 1, 5)


def test_the_best_setting_of_the_grid_is_taken(monkeypatch):
    seen = []

    class Result:
        def __init__(self, harmonic):
            self.harmonic = harmonic

    def run(_, learner):
        seen.append(learner.shrinkage)
        return Result({0.01: 1.0, 0.03: 3.0, 0.1: 3.0, 0.3: 2.0}[learner.shrinkage])

    monkeypatch.setattr(_run, "run_stream", run)
    first = stream()[0]
    assert tuned(BASELINES["SGC-LDA"], first, 1, 5) == {"shrinkage": 0.03}
    assert seen == [0.01, 0.03, 0.1, 0.3]


def test_which_classes_act_as_new_depends_on_the_seed():
    first = stream(base=5, way=1)[0]
    news = [tuple(tuning_stream(first, 1, 5, seed)[one].new.item() for one in (1, 2)) for seed in range(5)]
    assert len(set(news)) > 1
    assert news[0] == tuple(tuning_stream(first, 1, 5, 0)[one].new.item() for one in (1, 2))


def test_a_learner_of_ones_own_is_tuned_over_several_streams(monkeypatch):
    class Mine(SgcNcm):
        name = "mine"

    seen = []
    monkeypatch.setattr(_run, "run_stream", lambda one, _: seen.append(one.split.digest) or SimpleNamespace(harmonic=1))
    monkeypatch.setattr(Mine, "__init__", lambda self, encoder, **_: SgcNcm.__init__(self, encoder))
    assert tuned(Mine, stream()[0], 1, 5, folds=3, grid=({"a": 1}, {"a": 2})) == {"a": 1}
    assert len(seen) == 6
    assert len(set(seen)) == 3


def test_labels_of_test_nodes_do_not_matter():
    first = stream()[0]
    hidden = first.graph.positions(first.test)
    assert (first.graph.y[hidden] == -1).all()
    other = replace(first, truth=np.roll(first.truth, 1))
    assert tuned(BASELINES["SGC-LDA"], first, 1, 5) == tuned(BASELINES["SGC-LDA"], other, 1, 5)


def test_a_rival_without_settings_has_none():
    assert tuned(BASELINES["SGC-NCM"], stream()[0], 1, 5) == {}


def test_all_budgets_are_four_settings():
    grids = [kind.grid for kind in BASELINES.values() if kind.grid[0]]
    assert {len(grid) for grid in grids} == {4}
    assert all(len({tuple(setting.items()) for setting in grid}) == 4 for grid in grids)


def test_comparison_gives_rivals_their_settings_and_the_method_its_own(monkeypatch):
    asked = []
    monkeypatch.setattr(
        _compare, "tuned", lambda kind, *rest: asked.append((kind.name, *rest[1:])) or {"shrinkage": 0.9}
    )
    means = []
    for tune in (False, True):
        done = _compare.compare(stream(), ["mecoin+", "SGC-LDA"], tune=tune)
        means.append({name: result.mean for name, result in done.items()})
    assert asked == [("SGC-LDA", 2, 5, 0)]
    assert means[0]["mecoin+"] == means[1]["mecoin+"]
    assert means[0]["SGC-LDA"] != means[1]["SGC-LDA"]
