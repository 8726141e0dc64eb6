"""Lists that follow a trend: a wrapper around any model, apart from what the model learns."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import (
    EASE,
    IALS,
    SANSA,
    SLIM,
    BiasedMF,
    ContentKNN,
    Dataset,
    FeatureIALS,
    ItemKNN,
    Markov,
    Popular,
    RP3beta,
    SASRec,
    Trend,
    TwoStage,
    simulate,
)
from recsys.baselines import ImplicitALS
from recsys.evaluation._tune import space_of
from recsys.neural._checkpoint import fit_key
from recsys.recommender._registry import make_model
from sklearn.base import clone as sklearn_clone

from .helpers import events, score_matrix
from .test_cold import shop

FOLLOW = {"trend": 0.5, "damp": 0.3, "recent": 0.002}
MODELS = [
    EASE(l2=5.0), ItemKNN(k=5), IALS(factors=4, epochs=2), ImplicitALS(factors=4),
    SANSA(l2=5.0, neighbours=8), RP3beta(k=5), SLIM(l1=0.5, l2=5.0),
]  # fmt: skip
each = pytest.mark.parametrize("model", MODELS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return events(text=True)


def expected_scale(data):
    age = (data.time.max() - data.time) / 86_400_000_000
    recent = np.bincount(data.item, weights=0.5 ** (age / 0.002), minlength=data.n_items)
    users = np.diff(data.history().matrix().tocsc().indptr)
    scale = np.maximum(recent, 1e-3) ** 0.5 / users**0.3
    return scale / np.exp(np.log(scale).mean())


@each
def test_scores_are_those_without_times_recent_over_users(model, data):
    plain, following = model.clone().fit(data), Trend(model=model, **FOLLOW).fit(data)
    before, scale = score_matrix(plain), expected_scale(data)
    expected = np.where(before > 0, before * scale, before / scale)  # below 0 the other way: what sells moves up
    np.testing.assert_allclose(score_matrix(following), expected, rtol=2e-3, atol=1e-5)


ADDING = [BiasedMF(factors=4, epochs=2), SASRec(factors=4, epochs=1, max_len=5)]


@pytest.mark.parametrize("model", ADDING, ids=lambda one: one.name)
def test_a_trend_is_added_where_differences_count(model, data):
    if isinstance(model, BiasedMF):
        data = simulate(40, 20, 900, seed=1).data
    plain, following = model.clone().fit(data), Trend(model=model, trend=0.7).fit(data)
    expected = score_matrix(plain) + np.log(following.item_scale_)
    np.testing.assert_allclose(score_matrix(following), expected, rtol=1e-4, atol=1e-4)
    if not isinstance(model, BiasedMF):  # whose lists are not clipped to the scale
        rows = following.recommend(k=3, filter_seen=False).to_pylist()
        best = np.sort(expected, axis=1)[:, ::-1][:, :3].ravel()
        np.testing.assert_allclose([row["score"] for row in rows], best, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", [Markov(order=2), TwoStage(models="markov+co-occurrence", steps=200)], ids=repr)
def test_any_other_model_can_be_wrapped_and_kept(model, data, tmp_path):
    plain, following = model.clone().fit(data), Trend(model=model, **FOLLOW).fit(data)
    before, after = score_matrix(plain), score_matrix(following)
    known = before > 0
    expected = (before * following.item_scale_)[known]
    np.testing.assert_allclose(after[known], expected, rtol=1e-4)
    loaded = recsys.load(following.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(following.recommend(k=4))


@each
def test_shares_files_and_folded_users_keep_the_trend(model, data, tmp_path):
    fitted = Trend(model=model, **FOLLOW).fit(data)
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(fitted.recommend(k=4))
    folded = loaded.fold_in(data)  # vectors of users by the last items' vectors, as explanations have them
    user, item = data.user_ids.values[3].as_py(), data.item_ids.values[7].as_py()
    score = folded.predict({"who": [user], "what": [item]}).column("score")[0].as_py() or 0.0
    assert sum(folded.explain(user, item, k=99).column("share").to_pylist()) == pytest.approx(score, abs=1e-3)


def shop_window():
    rows = [(user, item, 0) for user in range(20) for item in range(4)] + [(50, 2, 30), (51, 2, 30), (52, 2, 30)]
    frame = {"u": [r[0] for r in rows], "i": [r[1] for r in rows], "t": [1_600_000_000 + 86_400 * r[2] for r in rows]}
    return Dataset.from_frame({**frame}, user="u", item="i", time="t")


def test_what_sells_now_moves_up():
    first = Trend(model=EASE(l2=1.0)).fit(shop_window()).recommend([0], k=1, filter_seen=False)
    assert first.column("i").to_pylist() == [2]


def test_what_sells_now_moves_up_among_scores_below_zero():
    class Gloomy(Popular):
        def _score(self, query):
            return np.full((len(query), len(self.item_ids_)), -5.0, np.float32)

    lists = Trend(model=Gloomy(), trend=0.5, damp=0.0).fit(shop_window()).recommend([0], k=4, filter_seen=False)
    assert lists.column("i").to_pylist()[0] == 2
    assert max(lists.column("score").to_pylist()) < 0


def test_a_finished_fit_is_known_again_by_what_its_folder_says(tmp_path):
    frame = {"u": [1, 1, 2, 3], "i": [1, 2, 1, 2], "t": [1_600_000_000, 1_600_000_001, 1_600_000_002, 1_600_000_003]}
    data = Dataset.from_frame(frame, user="u", item="i", time="t", items={"i": [1, 2, 9], "k": list("abc")})
    model = Trend(model=EASE(l2=1.0), damp=0.2)
    loaded = recsys.load(model.clone().fit(data).save(tmp_path / "m"))
    assert loaded.key_ == fit_key(repr(model), model.seen_by(data))
    assert loaded.key_ != fit_key(repr(model.model), model.seen_by(data))


def test_later_events_move_the_trend():
    model = Trend(model=EASE(l2=1.0)).fit(shop_window())
    day = 1_600_000_000 + 86_400 * 90
    later = {"u": [60, 61, 62, 63], "i": [1, 1, 1, 1], "t": [day] * 4}
    folded = model.fold_in(Dataset.from_frame(later, user="u", item="i", time="t"))
    assert np.array_equal(folded.item_scale_, model.item_scale_)  # of the fit
    model.partial_fit(Dataset.from_frame(later, user="u", item="i", time="t"))
    assert model.recommend([0], k=1, filter_seen=False).column("i").to_pylist() == [1]


def test_the_wrapper_is_an_estimator():
    model = Trend(model="ials(factors=4,epochs=1)", trend=0.3)
    assert repr(model) == "Trend(model=IALS(factors=4, epochs=1), trend=0.3)"
    params = model.get_params()
    assert (params["trend"], params["model__factors"]) == (0.3, 4)
    assert "model__factors" not in model.get_params(deep=False)
    other = model.clone().set_params(model__factors=8, damp=0.1)
    assert (other.model.factors, other.damp, model.model.factors) == (8, 0.1, 4)
    assert {"trend", "damp", "recent", "model__reg"} <= set(model.space) <= set(params)
    assert make_model("trend", ["model=ials(factors=4)", "damp=0.2"], seed=3).get_params()["model__seed"] == 3
    copied = sklearn_clone(model)
    assert repr(copied) == repr(model)
    assert copied.model is not model.model
    for wrong in ("nothing", "ease(l2=", 3):
        with pytest.raises(InputError, match="model"):
            Trend(model=wrong)
    with pytest.raises(InputError, match=r"'l9'.*unknown"):
        Trend().set_params(model__l9=1)


def test_a_search_tries_the_trend_and_the_model_inside(data):
    found = recsys.tune(Trend(model=EASE()), data, trials=3)
    assert set(found.trials[0][0]) == {"model__l2", "model__half_life", "trend", "damp", "recent"}
    assert found.best.fit(data).recommend(k=2).num_rows


def test_items_without_events_keep_their_scores():
    data = shop()
    model = Trend(model=FeatureIALS(factors=4), trend=0.0).fit(data)
    assert model.item_scale_[model.popular_ == 0].tolist() == [1.0]
    model.add_items({"item": [77], "text": ["iron saw"]})
    assert model.recommend([1], k=9, filter_seen=False).num_rows == 7


def test_items_added_later_have_a_place_among_weights_and_trend():
    model = Trend(model=ContentKNN(k=3, transform="bm25"), trend=0.0).fit(shop())
    model.add_items({"item": [77], "text": ["iron saw"]})
    lists = model.recommend([3], k=9)
    assert 77 in lists.column("item").to_pylist()
    events = {"user": [50, 50], "item": [2, 77]}
    assert model.fold_in(Dataset.from_frame(events, user="user", item="item")).recommend(k=2).num_rows


@pytest.mark.parametrize("wrong", [{"trend": -1.0}, {"damp": float("nan")}, {"recent": 0.0}, {"trend": float("inf")}])
def test_exponents_below_nothing_are_refused(wrong, data):
    with pytest.raises(InputError, match=rf"{next(iter(wrong))} of Trend: got"):
        Trend(**wrong).fit(data)


def test_a_trend_needs_times():
    data = Dataset.from_frame({"u": [1, 1, 2], "i": [1, 2, 2]}, user="u", item="i")
    with pytest.raises(InputError, match=r"trend.*without times"):
        Trend(trend=0.3).fit(data)
    assert set(space_of(Trend(model=EASE()), data)) == {"model__l2"}
    assert {"trend", "damp", "recent", "model__half_life"} < set(space_of(Trend(model=EASE()), events()))


@pytest.mark.parametrize("model", [Trend(model=BiasedMF(factors=4, epochs=1)), EASE(weight="value")], ids=repr)
def test_scores_that_are_no_values_have_no_rmse(model):
    ratings = simulate(40, 20, 900, seed=1).data
    fitted = model.clone().fit(ratings)
    for judge in (recsys.evaluate, recsys.evaluate_values):
        with pytest.raises(InputError, match="whose scores are no values"):
            judge(fitted, ratings, ["rmse"])
