"""Two stages: candidates of several models, ranked by a machine that learns which of them to trust when."""

import itertools

import numpy as np
import pytest
import recsys
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from recsys import CoOccurrence, Markov, TwoStage, evaluate_next
from recsys.recommender._query import Query
from recsys.recommender._registry import make_model
from recsys.sequence._two_stage import machine

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
        ({"models": "ials+markov"}, "IALS.*events alone"),
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
