"""Values that a model does not read, dates that cannot be, and what later events change."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, IALS, BayesianFM, Bias, Dataset, ItemKNN, Popular, RecentPopular, compare
from recsys.baselines import RandomItems
from recsys.recommender._registry import MODELS, model_class

from .helpers import events, needs_data, retail

DAY = 86_400


def valued(value, *, users=20, items=12, n=400, seed=0):
    draw = np.random.default_rng(seed)
    frame = {"who": draw.integers(0, users, n), "what": draw.integers(0, items, n), "worth": value(draw, n)}
    return Dataset.from_frame(frame | {"when": np.arange(n) + 1_600_000_000}, user="who", item="what", value="worth",
                              time="when")  # fmt: skip


def purchases_and_returns():
    """Item 7 is bought once by each user; item 8 is only ever given back."""
    rows = [(user, 7, 1.0) for user in range(6)] + [(user, 8, -1.0) for user in range(6)]
    rows += [(user, 1 + user % 3, 2.0) for user in range(6)]
    who, what, worth = zip(*rows, strict=True)
    return Dataset.from_frame({"who": who, "what": what, "worth": worth}, user="who", item="what", value="worth")


# --- values ---


@pytest.mark.parametrize("model", [EASE(l2=5.0), IALS(factors=2, epochs=1), ItemKNN(k=3)], ids=lambda one: one.name)
def test_values_that_a_model_ignores_are_refused_by_name(model):
    data = valued(lambda draw, n: draw.integers(1, 6, n).astype(float))
    with pytest.raises(InputError, match=rf"{type(model).__name__}.*'worth'.*clicks\(\)"):
        model.fit(data)
    model.clone().fit(data.clicks())
    Bias().fit(data)


def test_what_was_given_back_is_no_click():
    clicks = purchases_and_returns().clicks()
    assert clicks.value is None
    assert 8 not in clicks.item_ids.values.to_pylist()
    assert clicks.notes == ("6 events of a value of 0 or less left out: they are no clicks",)
    with pytest.raises(InputError, match="no event of a value above 0"):
        valued(lambda draw, n: -np.ones(n)).clicks()


def test_popularity_does_not_count_what_was_given_back():
    lists = Popular().fit(purchases_and_returns()).recommend([99], 5).column("what").to_pylist()
    assert lists[0] == 7
    assert 8 not in lists


def test_what_was_given_back_is_no_target():
    data = purchases_and_returns()
    fitted = RandomItems().fit(data.clicks())
    assert recsys.evaluate(fitted, data, ["recall@3"], filter_seen=False).targets == 12


def test_lists_and_pairs_rank_alike_under_probit():
    data = valued(lambda draw, n: draw.integers(0, 2, n).astype(float), n=200)
    model = BayesianFM(head="probit", factors=4, sweeps=40, burn_in=8, samples=16).fit(data)
    items = model.item_ids_.values.to_pylist()
    for user in model.user_ids_.values.to_pylist():
        scores = model.predict({"who": [user] * len(items), "what": items}).column("score").to_numpy()
        listed = model.recommend([user], len(items), filter_seen=False)
        assert listed.column("what").to_pylist() == [items[place] for place in np.argsort(-scores, kind="stable")]
        np.testing.assert_allclose(listed.column("score"), np.sort(scores)[::-1], rtol=1e-5)


# --- time ---


def misdated():
    """Item 1000 sells at first, 1001 of late; one event of item 1002 is dated 2099."""
    when = 1_600_000_000 + np.arange(200) * DAY
    frame = {"who": np.arange(200) % 40, "what": np.where(np.arange(200) < 150, 1000, 1001), "when": when}
    frame["what"][199], frame["when"][199] = 1002, 4_073_000_000
    return Dataset.from_frame(frame, user="who", item="what", time="when")


def test_an_event_dated_decades_ahead_moves_no_clock_and_is_named():
    data = misdated()
    assert any("2099" in note and "1 event" in note for note in data.notes)
    fitted = RecentPopular(days=30).fit(data)
    assert fitted.now_ == (1_600_000_000 + 198 * DAY) * 1_000_000
    assert fitted.recommend([0], 3, filter_seen=False).column("what").to_pylist()[0] == 1001


def test_an_unknown_user_gets_what_sells_now():
    fitted = EASE(l2=5.0).fit(misdated())
    answer = fitted.recommend([12345], 1).to_pylist()[0]
    assert (answer["what"], answer["source"]) == (1001, "fallback")
    assert EASE(l2=5.0).fit(events(text=True)).recommend(["?"], 1).to_pylist()[0]["source"] == "fallback"


def test_the_fallback_is_kept_in_a_model_folder(tmp_path):
    fitted = EASE(l2=5.0).fit(misdated())
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.recommend([12345], 3).equals(fitted.recommend([12345], 3))


def later():
    when = 1_600_000_000 + (300 + np.arange(60)) * DAY
    return Dataset.from_frame({"who": np.arange(60) % 40, "what": np.full(60, 1000), "when": when}, user="who",
                              item="what", time="when")  # fmt: skip


@pytest.mark.parametrize("model", [Popular(), RecentPopular(days=60), EASE(l2=5.0)], ids=lambda one: one.name)
def test_later_events_renew_counts_and_recency(model):
    model.fit(misdated())
    before = dict(zip(model.item_ids_.values.to_pylist(), model.popular_, strict=True))
    model.partial_fit(later())
    after = dict(zip(model.item_ids_.values.to_pylist(), model.popular_, strict=True))
    assert after[1000] == before[1000]  # the same forty users
    assert model.now_ == (1_600_000_000 + 359 * DAY) * 1_000_000
    assert model.recommend([12345], 1).to_pylist()[0]["what"] == 1000


# --- comparisons and rivals ---


def test_two_fitted_models_of_equal_parameters_are_two_rows():
    train, test = events().split.time(test=0.3)
    models = [Popular().fit(train), Popular().fit(train)]
    names = [name for name in compare(models, train, test, ["ndcg@5"]).evaluations if name.startswith("Popular")]
    assert sorted(names) == ["Popular()", "Popular() (2)"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_with_parameters_has_a_space_to_search(name):
    kind = model_class(name)
    free = set(kind().get_params()) - {"seed", "device", "epochs", "batch", "memory", "action", "text"}
    if free - {"scope", "columns"} and "models" not in free:  # of a fusion, `best` searches the models and weights
        space = getattr(kind(), "space", {})
        assert space, f"{kind.__name__} has {sorted(free)} and nothing to search"
        assert set(space) <= set(kind().get_params())


def test_item_knn_keeps_the_neighbours_of_each_candidate():
    data = events(items=20, seed=3)
    X = data.history().matrix().toarray()
    cosine = X.T @ X / np.sqrt(np.outer(X.sum(0), X.sum(0)))
    np.fill_diagonal(cosine, 0)
    best = np.argsort(-cosine, axis=0, kind="stable")[:4]  # of each column, the candidate
    kept = np.zeros_like(cosine)
    np.put_along_axis(kept, best, np.take_along_axis(cosine, best, 0), 0)
    found = ItemKNN(k=4).fit(data).weights_.toarray()
    assert (np.count_nonzero(found, axis=0) <= 4).all()
    np.testing.assert_allclose(np.sort(found, axis=0)[-4:], np.sort(kept, axis=0)[-4:], rtol=1e-5)


@needs_data
def test_item_knn_reaches_its_figure_on_online_retail():
    train, test = retail()
    found = recsys.evaluate(ItemKNN(k=50).fit(train), test, ["ndcg@10"], targets="warm").mean("ndcg@10")
    assert found == pytest.approx(0.089, abs=0.002)


@needs_data
def test_cold_users_get_lists_of_what_sells_now():
    train, test = retail()
    found = recsys.evaluate(Popular().fit(train), test, ["ndcg@10"], targets="warm")
    assert found.cold.sum() > 100
    assert found.values["ndcg@10"][found.cold].mean() >= 0.095


def test_the_refusal_at_60_000_items_names_a_model_that_fits():
    items = np.arange(60_000)
    data = Dataset.from_frame({"who": items // 600, "what": items}, user="who", item="what")
    with pytest.raises(InputError) as caught:
        EASE().fit(data)
    named = [name for name in ("SANSA", "IALS", "SLIM", "ItemKNN") if name in str(caught.value)]
    assert "IALS" in named
    assert "SLIM" not in named  # it would hold two such tables
    IALS(factors=4, epochs=1).fit(data)
