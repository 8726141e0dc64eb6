"""From a log to a model: cuts keep the future out, the search resumes, the fusion is its formula, the folder serves."""

import dataclasses
import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, Fusion, ItemKNN, Trend
from recsys.data._dataset import Dataset
from recsys.evaluation import _best, _race
from recsys.evaluation._cuts import moving_cuts, next_interval
from recsys.recommender._query import Query
from recsys.recommender._registry import parse_model
from recsys.sequence._fusion import text_of

from .helpers import events

pytest.importorskip("optuna")
DATA = events(80, 30, 2400)


def test_cuts_follow_each_other_and_learn_from_the_past_alone():
    parts = moving_cuts(DATA, 4, share=0.1)
    assert [len(test) for _, test in parts] == pytest.approx([240] * 4, abs=2)
    for (train, test), (later, _) in itertools.pairwise(parts):
        assert train.time.max() < test.time.min()
        assert len(later) == len(train) + len(test)
    untimed = Dataset.from_frame({"u": [1, 1, 2, 2, 3], "i": [1, 2, 1, 3, 2]}, user="u", item="i")
    for train, test in moving_cuts(untimed, 3):
        assert len(train) == 3
        assert sorted(test.to_table()["u"].to_pylist()) == [1, 2]
    with pytest.raises(InputError, match="cuts"):
        moving_cuts(DATA, 1)


@pytest.mark.parametrize("n", [4, 8])
def test_the_interval_holds_the_next_cut_as_often_as_it_says(n):
    draw = np.random.default_rng(n)
    held = 0
    for _ in range(2000):
        *seen, after = draw.normal(0.1, 0.02, n + 1)
        low, high = next_interval(np.array(seen))
        held += low <= after <= high
    assert 0.88 < held / 2000 < 0.92


@pytest.mark.parametrize("by", ["rank", "score"])
def test_a_fusion_is_its_formula_and_is_kept(by, tmp_path):
    model = Fusion(models="ease(l2=5)+item-knn(k=5)", weights="2,1", by=by).fit(DATA)
    parts = [EASE(l2=5.0).fit(DATA), ItemKNN(k=5).fit(DATA)]
    query = Query(np.arange(3, dtype=np.int32), model.history_.take(np.arange(3)))
    total = np.zeros((3, len(model.item_ids_)))
    for part, weight in zip(parts, (2, 1), strict=True):
        scores = part._answers(query, part._origins(query))
        for row in range(3):
            named = np.flatnonzero(np.isfinite(scores[row]))
            if by == "rank":
                rank = np.argsort(np.argsort(-scores[row][named], kind="stable")) + 1
                total[row, named] += weight / (60 + rank)
            else:
                low, high = scores[row][named].min(), scores[row][named].max()
                total[row, named] += weight * ((scores[row][named] - low) / (high - low) + 1e-6)
    np.testing.assert_allclose(model._score(query), total, rtol=1e-4, atol=1e-6)
    model.save(tmp_path / "m")
    assert recsys.load(tmp_path / "m").recommend(k=3).equals(model.recommend(k=3))
    users = model.user_ids_.values.to_pylist()[:4]
    fresh = DATA.take(np.isin(DATA.user, DATA.user_ids.codes(users)))
    assert model.fold_in(fresh).recommend(users, 3)["what"].equals(model.recommend(users, 3)["what"])


def test_a_user_of_more_items_than_ranks_count_still_gets_a_list():
    model = Fusion(models="ease(l2=5)+item-knn", depth=1).fit(DATA)
    assert model.recommend(k=1)["who"].equals(pa.chunked_array([model.user_ids_.values]))


def test_a_part_of_weight_0_changes_nothing():
    one = Fusion(models="ease(l2=5)+item-knn", weights="1,0", by="rank").fit(DATA).recommend(k=5)
    assert one["what"].equals(EASE(l2=5.0).fit(DATA).recommend(k=5)["what"])
    for weights in ("1", "0,0", "1,-1", "1,x"):
        with pytest.raises(InputError, match="weights"):
            Fusion(weights=weights).fit(DATA)


@pytest.mark.parametrize(
    "model",
    [
        EASE(l2=7.0),
        Trend(model=ItemKNN(weighting="bm25", k=9, transform="log"), trend=0.3),
        recsys.RP3beta(normalise=False),
    ],
)
def test_a_model_as_text_is_read_back(model):
    assert repr(parse_model(text_of(model))) == repr(model)


@pytest.fixture
def few(monkeypatch):
    """Two families of few choices: the machinery without its time."""
    whole = _race.families

    def chosen(data, today=None):
        return {name: one for name, one in whole(data, today).items() if name in ("ease", "item-knn", "today")}

    monkeypatch.setattr("recsys.evaluation._best.families", chosen)


def test_a_log_becomes_a_model_that_serves(few, tmp_path):
    found = recsys.best(DATA, tmp_path / "run", minutes=5, trials=5, cuts=3, today="popular")
    assert len(found.cuts) == 3
    assert found.interval[0] <= np.mean(found.cuts) <= found.interval[1]
    assert set(found.rivals) == {"popular", "recent-popular", "today: popular()"}
    gap = found.rivals["popular"]
    assert gap["gain"] == pytest.approx(found.cuts[-1] - gap["score"], abs=1e-9)
    again = recsys.load(tmp_path / "run" / "model")
    assert again.recommend(k=3).equals(found.model.recommend(k=3))
    assert repr(parse_model(found.text)) == repr(found.model)
    assert json.loads((tmp_path / "run" / "report.json").read_text())["trials"] == 5
    page = (tmp_path / "run" / "report.html").read_text()
    assert "which no search has seen" in page
    assert "Finding(" not in page  # a table for people
    with pytest.raises(Exception, match=r"exists|replace|force"):
        recsys.best(DATA, tmp_path / "run", minutes=5, trials=5, cuts=3, today="popular")


def test_a_rival_that_leads_is_said():
    rivals = {"popular": {"score": 0.5, "gain": -0.1, "low": -0.2, "high": 0.1, "p": 0.3}}
    found = _best.Best(EASE(), "ease()", None, "ndcg@10", [0.3, 0.4], (0.2, 0.5), rivals, 9)
    assert found.table().notes == ["Ahead of the model on the last cut: popular."]
    assert not dataclasses.replace(found, cuts=[0.3, 0.6]).table().notes


def test_the_last_cut_is_not_searched_on(few, tmp_path, monkeypatch):
    judged, inner = [], _race.evaluate
    monkeypatch.setattr(
        _race,
        "evaluate",
        lambda model, test, *rest, **more: judged.append(test.time.max()) or inner(model, test, *rest, **more),
    )
    recsys.best(DATA, tmp_path / "run", minutes=5, trials=3, cuts=3)
    assert max(judged) < moving_cuts(DATA.clicks(), 3)[-1][1].time.min()


def test_a_killed_search_goes_on_where_it_was(few, tmp_path, monkeypatch):
    calls, inner = [], _race._judged

    def counted(*args):
        calls.append(args[1:3])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return inner(*args)

    monkeypatch.setattr(_race, "_judged", counted)
    with pytest.raises(KeyboardInterrupt):
        recsys.best(DATA, tmp_path / "run", minutes=5, trials=4, cuts=3)
    recsys.best(DATA, tmp_path / "run", minutes=5, trials=4, cuts=3)
    assert len(calls) == 5  # two were kept: the third again, and the fourth
    assert calls[2] == calls[3]


def test_what_falls_behind_stops_at_its_first_cut():
    cuts = moving_cuts(DATA, 3)
    trial = _race._judged(recsys.Popular(), "popular", {}, cuts, "ndcg@10", [10.0, 10.0, 10.0])
    assert (len(trial.scores), trial.whole) == (1, False)
    assert _race._judged(recsys.Popular(), "popular", {}, cuts, "ndcg@10", []).whole


def test_bad_requests_are_named(tmp_path):
    for options, reason in (
        ({"minutes": 0}, "minutes"),
        ({"cuts": 2}, "cuts"),
        ({"metric": "x"}, "metric"),
        ({"today": "nothing"}, "model"),
    ):
        with pytest.raises(InputError, match=reason):
            recsys.best(DATA, tmp_path / "run", **options)


def test_two_stages_are_tried_where_a_log_is_long_enough_for_their_windows():
    pytest.importorskip("lightgbm")
    late = dataclasses.replace(DATA, time=DATA.time * 0 + np.linspace(0, 300 * 86400e6, len(DATA)).astype(np.int64))
    model, space, starts = _race.families(late)["two-stage"]
    assert (space, starts) == ({}, [{}])
    assert "two-stage" not in _race.families(DATA)
    assert repr(_race.made(model, {})) == repr(model) == repr(parse_model(text_of(model)))


def test_a_fusion_of_models_with_a_trend_folds_users_in():
    model = Fusion(models="trend(model=ials(factors=4,epochs=2))+ease(l2=10)").fit(DATA)
    part = DATA.take(DATA.user < 9)
    lists = model.fold_in(part).recommend(k=3)
    assert set(lists["source"].to_pylist()) == {"fold_in"}
    assert model.answering(model.history_).recommend(k=3)["rank"].equals(model.recommend(k=3)["rank"])
