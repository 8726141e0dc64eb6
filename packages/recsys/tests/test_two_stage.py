"""Two stages: candidates of several models, ranked by a machine that learns which of them to trust when."""

import dataclasses
import itertools
import sys

import numpy as np
import pytest
import recsys
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError, MissingExtraError
from recsys import Markov, TwoStage, evaluate_next
from recsys.baselines import CoOccurrence
from recsys.data._history import History
from recsys.recommender._query import Query
from recsys.recommender._registry import make_model
from recsys.sequence import _trees
from recsys.sequence._facts import item_facts, number_columns, user_facts
from recsys.sequence._two_stage import in_list, machine

from .test_neural import successors

STAGES = TwoStage(models="markov+markov(order=1,action=a)+co-occurrence", action="a", candidates=6, factors=2)


@pytest.fixture(scope="module")
def data():
    return successors(150)


@pytest.fixture(scope="module")
def fitted(data):
    return STAGES.clone().fit(data)


@given(st.integers(0, 10_000))
def test_the_machine_is_the_published_formula(seed):
    draw = np.random.default_rng(seed)
    X, w, V = draw.standard_normal((3, 5)), draw.standard_normal(5), draw.standard_normal((5, 2))
    pairs = [sum(V[i] @ V[j] * x[i] * x[j] for i, j in itertools.combinations(range(5), 2)) for x in X]
    np.testing.assert_allclose(machine(X, w, V)[0], X @ w + pairs, rtol=1e-9, atol=1e-9)


def test_its_weights_are_where_the_cross_entropy_is_flat():
    draw = np.random.default_rng(0)
    row, hit = np.repeat(np.arange(40), 5), np.tile(np.arange(5) == 2, 40)
    X = draw.standard_normal((200, 4)) + 0.7 * hit[:, None]
    model = TwoStage(factors=1, reg=0.05)
    model._learn(row, hit, X)

    def loss(w, V):
        score = machine(X / model.scale_, w, V)[0].reshape(40, 5)
        chance = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        return -np.log(chance[:, 2]).mean() + 0.025 * ((w**2).sum() + (V**2).sum())

    w, V = model.weights_.astype(np.float64), model.pairs_.astype(np.float64)
    for place in range(4):
        step = np.eye(4)[place] * 1e-4
        assert abs(loss(w + step, V) - loss(w - step, V)) / 2e-4 < 1e-3
        assert abs(loss(w, V + step[:, None]) - loss(w, V - step[:, None])) / 2e-4 < 1e-3


def test_a_list_may_hold_several_right_ones():
    """The loss is the cross-entropy of chances spread evenly over the right ones of a list: here 1/2 each."""
    row, hit = np.repeat(np.arange(30), 4), np.tile(np.arange(4) < 2, 30)
    model = TwoStage(factors=0, reg=1e-6)
    model._learn(row, hit, np.tile(np.eye(4, dtype=np.float32)[[0, 1, 2, 3]], (30, 1))[:, :2])
    score = machine(np.eye(4)[:, :2] / model.scale_, model.weights_, model.pairs_)[0]
    assert np.isfinite(score).all()
    assert (score[:2] > score[2:].max() + 3).all()
    assert score[0] == pytest.approx(score[1], abs=1e-3)


def test_what_never_occurred_while_learning_changes_little_later():
    draw = np.random.default_rng(0)
    X = np.concatenate([draw.standard_normal((50, 2)), np.zeros((50, 1))], axis=1)
    model = TwoStage(factors=2)
    model._learn(np.repeat(np.arange(10), 5), np.tile(np.arange(5) == 0, 10), X)
    before = machine(X / model.scale_, model.weights_, model.pairs_)[0]
    after = machine((X + np.eye(3)[2]) / model.scale_, model.weights_, model.pairs_)[0]
    assert np.abs(after - before).max() < 1


def test_ranking_beats_each_of_its_models():
    train, test = successors(400).split.time(test=0.2)
    score = {
        repr(one): evaluate_next(one.fit(train), test, ["mrr@10"], filter_seen=False).mean("mrr@10")
        for one in (TwoStage(models="markov+co-occurrence", action="a"), Markov(), CoOccurrence())
    }
    ours, *rivals = score.values()
    assert ours > max(rivals) + 0.02  # it knows the action, they do not


def test_only_candidates_are_listed_with_their_probabilities(fitted):
    query = Query(np.arange(20), fitted.history_.take(np.arange(20)))
    scores = fitted._score(query)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-4)
    named = sum(part._lists(query, 6, False, None)[0].matrix(scores.shape[1]) != 0 for part in fitted.parts_).toarray()
    assert np.array_equal(scores > 0, named > 0)


def test_files_and_users_who_come_later(fitted, data, tmp_path):
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(fitted.recommend(k=4))
    part = data.take(data.user < 30)
    before = fitted.recommend(part.user_ids.values, k=3).select(["rank", "score"])
    assert fitted.fold_in(part).recommend(k=3).select(["rank", "score"]).equals(before)
    assert loaded.partial_fit(successors(10, seed=5)).recommend(k=2).num_rows > 0
    assert loaded.similar_items([data.item_ids.values[0].as_py()], k=2).num_rows == 2


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"models": "markov(order=1"}, "models.*markov"),
        ({"models": "nonsense"}, "nonsense.*one of"),
        ({"models": "bayesian-fm+markov"}, "BayesianFM.*events alone"),
        ({"action": "mood"}, r"action.*'mood'.*\['a'\]"),
        ({"candidates": 0}, "candidates"),
        ({"held": 1.0}, "held"),
    ],
)
def test_bad_settings_are_named(settings, reason, data):
    with pytest.raises(InputError, match=reason):
        STAGES.clone().set_params(**settings).fit(data)


def test_settings_of_the_command_line_reach_the_first_stage():
    model = make_model("two-stage", ["models=markov(order=3)+ease(l2=7)", "candidates=9"])
    assert [repr(one) for one in model.parts()] == ["Markov(order=3)", "EASE(l2=7.0)"]


@pytest.mark.parametrize("models", ["markov+co-occurrence", "item-knn(k=5)+ease(l2=10)", "content-knn+markov"])
def test_items_of_a_table_that_only_late_users_had_do_no_harm(models, tmp_path):
    draw = np.random.default_rng(0)
    early, late = draw.integers(0, 40, 1500), 40 + np.arange(100) % 20  # items from 40 on occur at the end alone
    frame = {"user": draw.integers(0, 80, 1600), "item": np.concatenate([early, late]), "time": np.arange(1600) + 1.6e9}
    items = {"item": np.arange(70), "word": [f"w{one % 5}" for one in range(70)]}  # and some in the table alone
    data = recsys.Dataset.from_frame(frame, user="user", item="item", time="time", items=items)
    model = TwoStage(models=models, candidates=10).fit(data)
    assert len(model.item_ids_) == 60
    model.save(tmp_path / "m")
    assert recsys.load(tmp_path / "m").recommend([1, 2], 5).equals(model.recommend([1, 2], 5))


@pytest.fixture(scope="module")
def shop():
    """Customers who buy what those of their kind bought of late; with prices."""
    draw = np.random.default_rng(0)
    n, kind = 4000, np.arange(120) % 3
    user, day = draw.integers(0, 120, n), np.sort(draw.uniform(0, 100, n))
    shelf = (day // 10).astype(int) % 4 * 15 + kind[user] * 5  # what is sold changes every ten days
    item = np.where(draw.random(n) < 0.8, shelf + draw.integers(0, 5, n), draw.integers(0, 60, n))
    frame = {"user": user, "item": item, "time": 1.7e9 + day * 86400, "price": 1.0 + item % 7}
    items = {"item": np.arange(60), "word": [f"w{one % 5}" for one in range(60)], "weight": np.arange(60) / 10}
    return recsys.Dataset.from_frame(frame, user="user", item="item", time="time", context=["price"], items=items)


STAGES_OF_A_SHOP = "trend(model=ials(factors=4,epochs=4))+item-knn(k=10)+recent-popular(days=20)"


@pytest.mark.parametrize("ranker", ["fm", "trees"])
def test_a_shop_gets_new_items_alone_from_models_of_users_too(shop, ranker, tmp_path):
    if ranker == "trees":
        pytest.importorskip("lightgbm")
    model = TwoStage(
        models=STAGES_OF_A_SHOP, candidates=15, windows=2, days=10.0, ranker=ranker, trees=20, numbers="price,weight"
    ).fit(shop)
    assert not model.counts_repeats
    lists = model.recommend(k=5)
    had = set(zip(shop.to_table()["user"].to_pylist(), shop.to_table()["item"].to_pylist(), strict=True))
    assert not had & set(zip(lists["user"].to_pylist(), lists["item"].to_pylist(), strict=True))
    loaded = recsys.load(model.save(tmp_path / "m"))
    assert loaded.recommend(k=5).equals(lists)
    part = shop.take(shop.user < 20)
    folded = loaded.fold_in(part).recommend(k=5)
    assert set(folded["source"].to_pylist()) == {"fold_in"}
    later = shop.take(np.arange(len(shop)) > len(shop) - 50)
    before = loaded.item_facts_.copy()
    assert loaded.partial_fit(later).recommend(k=3).num_rows > 0
    assert (before != loaded.item_facts_).any()
    np.testing.assert_array_equal(before[:, 9:], loaded.item_facts_[:, 9:])


def test_what_is_known_before_a_window_holds_nothing_of_it(shop):
    """The facts of items and users at a moment are those of the log cut there."""
    history, now = shop.history(), int(np.quantile(shop.time, 0.6))
    past = history.keep(history.time < now)
    cut = shop.take(shop.time < now)
    place = shop.item_ids.codes(cut.item_ids.values)
    of_all, of_cut = (
        item_facts(h, now, number_columns(h, d, "price")) for h, d in ((past, shop), (cut.history(), cut))
    )
    np.testing.assert_allclose(of_all[place], of_cut, rtol=1e-6)
    users = shop.user_ids.codes(cut.user_ids.values)
    np.testing.assert_allclose(user_facts(past.take(users), now), user_facts(cut.history(), now), rtol=1e-6)


def test_facts_are_what_they_are_called():
    day = 86400 * 10**6
    frame = {"u": ["a", "a", "b"], "i": ["x", "y", "x"], "t": [0, 5, 10], "price": [2.0, 7.0, 4.0]}
    data = recsys.Dataset.from_frame(frame, user="u", item="i", time="t", context=["price"], time_unit="index")
    history = History.group(data.user, data.item, None, data.time * 0 + np.array([0, 5, 10]) * day, data.context, 2, 2)
    found = item_facts(history, 10 * day, number_columns(history, data, "price"))
    x, y = found
    assert x[0] == pytest.approx(np.log(3))  # two users
    assert x[1] == pytest.approx(np.log(1 + 2 ** (-10 / 4) + 1e-3))
    assert (x[6], x[7], y[6], y[7]) == (10, 0, 5, 5)
    assert (x[8], x[9], y[9]) == (0, 3, 7)
    expected = [[np.log(3), np.log(3), 5, 10], [np.log(2), np.log(2), 0, 0]]
    np.testing.assert_allclose(user_facts(history, 10 * day), expected, rtol=1e-6)


def test_trees_are_walked_as_lightgbm_walks_them():
    lightgbm = pytest.importorskip("lightgbm")
    draw = np.random.default_rng(0)
    X = draw.standard_normal((3000, 6)).astype(np.float32)
    hit = X[:, 0] * X[:, 1] + 0.3 * draw.standard_normal(3000) > 0.5
    lists = lightgbm.Dataset(X, hit.astype(int), group=[30] * 100)
    learned = lightgbm.train({"objective": "rank_xendcg", "verbose": -1, "seed": 0}, lists, 30)
    trees = _trees.as_arrays([one["tree_structure"] for one in learned.dump_model()["tree_info"]])
    np.testing.assert_allclose(_trees.score_trees(trees, X), learned.predict(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("tree_child_", 0, 10**6),
        ("tree_child_", 1, 1),
        ("tree_feature_", 0, 99),
        ("tree_feature_", 0, -1),
        ("tree_root_", 0, -1),
    ],
)
def test_unsound_trees_are_refused(name, place, value):
    arrays = np.zeros(1, int), np.array([1, 0, 0]), np.zeros(3, int), np.zeros(3)
    trees = dict(zip(_trees.ARRAYS, arrays, strict=True))
    _trees.check_trees(tuple(trees.values()), 2)
    trees[name][place] = value
    with pytest.raises(InputError, match="trees"):
        _trees.score_trees(tuple(trees.values()), np.zeros((1, 2), np.float32))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ranker": "svm"}, "ranker.*fm"),
        ({"windows": 2, "days": 1e-9}, "first purchase in 2 windows"),
        ({"windows": 1, "numbers": "size"}, "numbers.*'size'.*price"),
        ({"windows": 1, "numbers": "word"}, "word.*numbers"),
        ({"numbers": "price"}, "without windows"),
        ({"lead": 3}, "lead.*at most 2"),
    ],
)
def test_bad_settings_of_a_shop_are_named(settings, reason, shop):
    model = TwoStage(models="item-knn+recent-popular", candidates=5, days=10.0).set_params(**settings)
    with pytest.raises(InputError, match=reason):
        model.fit(shop)
    with pytest.raises(InputError, match=r"windows.*time"):
        TwoStage(models="item-knn", windows=1).fit(dataclasses.replace(shop, time=None))


def test_a_shop_s_two_stages_stand_in_a_comparison(shop):
    train, test = shop.split.time(test=0.1)
    model = TwoStage(models=STAGES_OF_A_SHOP, candidates=15, windows=2, days=10.0)
    found = recsys.compare([model], train, test, ["ndcg@10"]).evaluations
    assert found[repr(model)].mean("ndcg@10") > found["Popular()"].mean("ndcg@10")


def test_the_leading_models_join_the_ranker_s_score(shop):
    model = TwoStage(models="item-knn+recent-popular(days=20)", candidates=15, windows=2, days=10.0).fit(shop)
    query = Query(np.arange(9), shop.history().take(np.arange(9)))
    row, item, X = model._described(query.codes, query.history, None, model.item_facts_, model._now())
    plain, led = model._score(query)[row, item], model.set_params(lead=1)._score(query)[row, item]
    log = in_list(row, np.log(plain)[:, None])[:, 0] + in_list(row, X[:, :1])[:, 0]
    for one in range(9):
        own = row == one
        np.testing.assert_allclose(led[own], np.exp(log[own]) / np.exp(log[own]).sum(), rtol=2e-3)


def test_trees_without_lightgbm_name_the_line_that_brings_it(shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtraError, match=r"recsys\[lightgbm\]"):
        TwoStage(models="item-knn", windows=1, ranker="trees").fit(shop)


@pytest.mark.parametrize(
    "kind",
    [
        recsys.TwoStage(models="markov+item-knn(k=5)", candidates=5),
        recsys.Trend(
            model=recsys.TwoStage(models="ials(factors=4,epochs=2)+ease(l2=9)", candidates=5, windows=2, days=2.0)
        ),
        recsys.Fusion(models="ease(l2=9)+item-knn", depth=5),
    ],
    ids=repr,
)
def test_candidates_are_chosen_among_what_lists_may_hold(kind):
    data = recsys.simulate(60, 200, 4000, zipf=0.0, seed=0).data.clicks()
    model = kind.clone().fit(data)
    best = model.recommend(["u1"], k=30)["item"].to_pylist()
    rare = [item for item in data.item_ids.values.to_pylist() if item not in best][:40]  # a shop's filter
    found = model.recommend(["u1", "u2"], k=5, candidates=rare)
    assert found.num_rows == 10
    assert set(found["item"].to_pylist()) <= set(rare)
    assert set(found["source"].to_pylist()) == {"model"}
    own = {"user": ["u1"] * 20 + ["u2"] * 20, "item": rare}
    each = model.recommend(["u2", "u1"], k=5, candidates=own)
    assert each.num_rows == 10
    assert set(each["item"].to_pylist()[:5]) <= set(rare[20:])
    assert set(each["item"].to_pylist()[5:]) <= set(rare[:20])
