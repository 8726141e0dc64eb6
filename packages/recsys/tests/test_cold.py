import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError
from recsys import IALS, ContentKNN, Dataset, FeatureIALS, evaluate
from recsys.baselines import ContentProfile
from recsys.content._features import Features

from .helpers import events, needs_data

WORDS = ["red apple fruit", "green apple fruit", "red brick", "green brick house", "iron nail", "iron hammer nail"]


def shop(*, users=None, extra=()):
    """Six items with texts; two tastes (fruit, iron); item 5 has no events."""
    rows = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 4), (3, 2), (4, 2), (4, 3), (5, 1), (5, 0), (6, 4), (6, 3)]
    side = {"item": [*range(6), *(one for one, _ in extra)], "text": [*WORDS, *(text for _, text in extra)]}
    frame = {"user": [u for u, _ in rows], "item": [i for _, i in rows]}
    return Dataset.from_frame(frame, user="user", item="item", items=side, users=users)


def with_features(seed=0):
    """Random events, items with their cluster as tag and a number, users with a group."""
    data = events(seed=seed)
    items, users = data.item_ids.values.to_pylist(), data.user_ids.values.to_pylist()
    side = {"what": items, "kind": [f"k{one % 3}" for one in items], "size": [float(one % 7) for one in items]}
    people = {"who": [*users, 999], "group": [f"g{one % 3}" for one in users] + ["g1"]}
    table = data.to_table()
    return Dataset.from_frame(table, user="who", item="what", time="when", items=side, users=people)


# --- features ---


def test_row_numbers_of_pandas_are_no_feature(tmp_path):
    pd = pytest.importorskip("pandas")
    side = pd.DataFrame({"item": [0, 0, *range(1, 6)], "text": [WORDS[0], *WORDS]}).drop_duplicates("item")
    events_of_shop = shop().to_table()
    side.to_parquet(tmp_path / "items.parquet")
    for items in (side, tmp_path / "items.parquet"):
        data = Dataset.from_frame(events_of_shop, user="user", item="item", items=items)
        assert data.items.column_names == ["text"]
    model = ContentKNN().fit(data).add_items({"item": [9], "text": ["red apple"]})
    assert model.recommend([1], k=1, candidates=[9]).column("item").to_pylist() == [9]


@pytest.mark.parametrize("grams", [1, 2, 3])
def test_text_vectors_equal_scikit_learns(grams):
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [*WORDS, "Red RED a b apple-pie", None, ""]
    table = pa.table({"text": pa.array(texts)})
    ours = Features.learn(table, "text", grams).matrix(table)
    theirs = TfidfVectorizer(ngram_range=(1, grams)).fit_transform([text or "" for text in texts])
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-6)


def test_numbers_tags_and_vectors_by_hand():
    table = pa.table(
        {
            "n": pa.array([1.0, 3.0, None]),
            "t": pa.array([["a", "b"], ["b"], []]),
            "v": pa.array([[3.0, 4.0], None, [0.0, 2.0]]),
        }
    )
    encoder = Features.learn(table, None)
    found = Features.unpacked(encoder.packed()).matrix(table).toarray()
    rare, common = np.log(4 / 2) + 1, np.log(4 / 3) + 1
    length = np.hypot(rare, common)
    expected = [[-1, rare / length, common / length, 0.6, 0.8], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert encoder.width == 5


def test_new_rows_use_the_words_of_the_fit():
    encoder = Features.learn(pa.table({"text": WORDS}), "text")
    found = encoder.matrix(pa.table({"text": ["quantum", "quantum iron", None]}))
    assert np.diff(found.indptr).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([None, None], pa.string()), "'x'.*null in all 2 rows"),
        (pa.array([1.0, np.inf]), "'x'.*infinite in 1 of 2 rows, first 1"),
        (pa.array([[1.0, 2.0], [1.0]]), "'x'.*another length in 1 of 2 rows, first 1"),
        (pa.array([[1.0, np.nan], [1.0, 1.0]]), "'x'.*not finite in 1 of 2 rows, first 0"),
        (pa.array([b"a", b"b"]), "'x'.*binary.*text, numbers"),
    ],
)
def test_bad_features_are_named(column, reason):
    table = pa.table({"x": column})
    with pytest.raises(InputError, match=reason):
        Features.learn(table, "x").matrix(table)


@pytest.mark.parametrize("model", [ContentKNN(), ContentProfile(), FeatureIALS()])
def test_a_missing_item_table_is_named(model):
    with pytest.raises(InputError, match=r"table of items.*none"):
        model.clone().fit(events())
    with pytest.raises(InputError, match=r"column 'nope'.*\['text'\]"):
        model.clone().set_params(columns="nope").fit(shop())


# --- content ---


def test_content_knn_equals_its_formula():
    data = with_features()
    k, shrink = 4, 0.7
    model = ContentKNN(k=k, shrink=shrink).fit(data)
    F = model.features_.toarray().astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(F, axis=1), 1, rtol=1e-5)
    alike = F @ F.T
    np.fill_diagonal(alike, 0)
    weights = model.weights_.toarray()
    for item in range(len(F)):
        best = np.sort(alike[item])[::-1][:k]
        np.testing.assert_allclose(np.sort(weights[:, item])[::-1][:k], best / (best.sum() + shrink), rtol=1e-4)
        assert (weights[:, item] > 0).sum() <= k


def test_profile_equals_the_cosine_of_the_mean():
    data = shop()
    model = ContentProfile().fit(data)
    F = model.features_.toarray()
    mean = F[[0, 1]].mean(axis=0)
    items = model.item_ids_.values.to_pylist()
    found = model.predict({"user": [1] * 6, "item": items}).column("score").to_pylist()
    expected = F @ mean / np.linalg.norm(mean)
    np.testing.assert_allclose([one or 0.0 for one in found], expected, atol=1e-6)


@pytest.mark.parametrize("model", [ContentKNN(), ContentProfile(), FeatureIALS(factors=4, a0=0.5, feature_reg=0.1)])
def test_an_item_nobody_had_is_listed_for_its_features(model):
    fitted = model.clone().fit(shop())
    lists = fitted.recommend([3, 1], k=1, candidates=[5], filter_seen=False).to_pylist()
    assert (lists[0]["item"], lists[0]["source"]) == (5, "features")
    if len(lists) > 1:  # who has a nail is nearer to the hammer than who has apples
        assert lists[0]["score"] > lists[1]["score"]
    assert fitted.recommend([77], k=3).column("source").to_pylist() == ["fallback"] * 3


@pytest.mark.parametrize("model", [ContentKNN(), ContentProfile(), FeatureIALS(factors=4, a0=0.5, feature_reg=0.1)])
def test_items_added_later_equal_those_known_at_the_fit(model, tmp_path):
    extra = [(6, "red apple pie"), (7, "iron saw")]
    fitted = model.clone().fit(shop())
    fitted.add_items({"item": [6, 7, 0], "text": [extra[0][1], extra[1][1], "changed: not looked at"]})
    lists = fitted.recommend(k=8, filter_seen=False).to_pandas()
    assert {6, 7} <= set(lists.item)
    assert set(lists[lists.item >= 6].source) == {"features"}
    near = fitted.recommend([1], k=1, candidates=[6, 7]).column("item").to_pylist()
    assert near == [6]
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.recommend(k=8).equals(fitted.recommend(k=8))
    later = Dataset.from_frame({"user": [1, 50], "item": [6, 6]}, user="user", item="item")
    assert 6 not in fitted.partial_fit(later).recommend([1, 50], k=8).column("item").to_pylist()


def test_added_items_without_the_fits_columns_are_refused():
    with pytest.raises(InputError, match=r"column 'text'"):
        ContentKNN().fit(shop()).add_items({"item": [9], "title": ["saw"]})
    with pytest.raises(InputError, match=r"item ids.*'9'.*integer"):
        ContentKNN().fit(shop()).add_items({"item": ["9"], "text": ["saw"]})


# --- feature-aware iALS ---


def test_feature_ials_solves_its_own_equations():
    data = with_features()
    model = FeatureIALS(factors=5, epochs=3, reg=0.05, a0=0.3, feature_reg=2.0).fit(data)
    X = data.history().matrix().toarray().astype(np.float64)
    H, B = (np.asarray(one, np.float64) for one in (model.item_factors_, model.item_map_))
    G = model.features_.toarray().astype(np.float64)
    lam = 0.05 * (X.sum(0) + 0.3 * len(X))
    ridge = G.T @ (lam[:, None] * G) + 2.0 * np.eye(G.shape[1])
    np.testing.assert_allclose(B, np.linalg.solve(ridge, G.T @ (lam[:, None] * H)), rtol=1e-3, atol=1e-4)
    A, F = model.user_map_.astype(np.float64), model.user_features_.toarray().astype(np.float64)
    again = model.fold_in(data).user_factors_
    for user in (0, 20, 60):  # the last has no event
        had = X[user] > 0
        own = 0.05 * (had.sum() + 0.3 * X.shape[1])
        left = H[had].T @ H[had] + 0.3 * H.T @ H + own * np.eye(5)
        right = H[had].sum(0) + own * F[user] @ A
        np.testing.assert_allclose(again[user], np.linalg.solve(left, right), rtol=1e-3, atol=1e-4)


def test_both_forms_of_the_ridge_agree():
    import scipy.sparse as sp
    from recsys.content._feature_ials import _Ridge

    draw = np.random.default_rng(0)
    for rows, width in ((12, 5), (5, 12)):
        F = sp.csr_matrix(draw.random((rows, width)))
        lam, W = draw.uniform(0.5, 2, rows), draw.standard_normal((rows, 3))
        D = F.toarray()
        expected = np.linalg.solve(D.T @ (lam[:, None] * D) + 0.7 * np.eye(width), D.T @ (lam[:, None] * W))
        np.testing.assert_allclose(_Ridge(F, lam, 0.7).solve(W), expected, rtol=1e-4, atol=1e-5)


def test_a_strong_ridge_on_the_maps_gives_ials():
    data = with_features()
    bare = Dataset.from_frame(data.to_table(), user="who", item="what", time="when")
    plain = IALS(factors=4, epochs=4, reg=0.05).fit(bare)
    tied = FeatureIALS(factors=4, epochs=4, reg=0.05, feature_reg=1e9).fit(
        Dataset.from_frame(data.to_table(), user="who", item="what", time="when", items=_side(bare))
    )
    np.testing.assert_allclose(tied.item_factors_, plain.item_factors_, rtol=1e-3, atol=1e-4)


def _side(data):
    return {"what": data.item_ids.values.to_pylist(), "kind": [f"k{one % 3}" for one in range(data.n_items)]}


def test_a_user_without_events_is_answered_by_features():
    data = with_features()
    model = FeatureIALS(factors=5, epochs=6, a0=0.3).fit(data)
    lists = model.recommend([999, 12345], k=5).to_pandas()
    assert lists[lists.who == 999].source.tolist() == ["features"] * 5
    assert lists[lists.who == 12345].source.tolist() == ["fallback"] * 5
    alike = [one for one in data.user_ids.values.to_pylist() if one != 999 and one % 3 == 1]
    others = model.recommend(alike, k=5, filter_seen=False).column("what").to_pylist()
    assert len(set(others) & set(lists[lists.who == 999].what)) >= 3
    new = Dataset.from_frame(
        {"who": [5000], "what": [1001], "when": [1_700_000_000]}, user="who", item="what", time="when",
        users={"who": [5000, 5001], "group": ["g2", "g2"]},
    )  # fmt: skip
    assert set(model.fold_in(new).recommend([5001], k=2).column("source").to_pylist()) == {"features"}
    assert set(model.partial_fit(new).recommend([5001], k=2).column("source").to_pylist()) == {"features"}
    with pytest.raises(InputError, match="users with features"):
        model.explain(5000, 1001)


def test_killed_feature_ials_resumes(tmp_path, monkeypatch):
    from recsys.neural._checkpoint import Checkpoint

    data, path = with_features(), tmp_path / "fit.safetensors"
    model = FeatureIALS(factors=4, epochs=4)
    whole, saved = model.clone().fit(data), Checkpoint.save

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(data, checkpoint=path)
    monkeypatch.undo()
    assert np.array_equal(model.clone().fit(data, checkpoint=path).item_map_, whole.item_map_)


# --- the bar ---


def hidden(data, share, seed=0):
    """(events with the other items, events with a random share of the items, those items' ids)."""
    chosen = np.zeros(data.n_items, bool)
    chosen[np.random.default_rng(seed).permutation(data.n_items)[: int(share * data.n_items)]] = True
    late = chosen[data.item]
    return data.take(~late), data.take(late), data.item_ids.ids(np.flatnonzero(chosen))


@needs_data
def test_content_knn_finds_hidden_products():
    from recsys_experiments.real_sets import online_retail

    train, test, ids = hidden(online_retail().clicks(), 0.15)
    few = test.take(test.user < 400)
    found = {
        type(model): evaluate(model.fit(train), few, ["ndcg@10"], candidates=ids).mean("ndcg@10")
        for model in (ContentKNN(), ContentProfile())
    }
    assert found[ContentKNN] >= 0.30
    assert 0.25 <= found[ContentProfile] < found[ContentKNN]


def test_texts_without_a_word_are_refused():
    items = {"item": ["x", "y"], "size": ["S", "M"]}
    data = Dataset.from_frame({"user": [1, 2], "item": ["x", "y"]}, user="user", item="item", items=items)
    with pytest.raises(InputError, match=r"table of items.*no word of two letters or more"):
        ContentKNN().fit(data)
    items["title"] = ["red tea", "green tea"]  # one column is enough
    data = Dataset.from_frame({"user": [1, 2], "item": ["x", "y"]}, user="user", item="item", items=items)
    assert ContentKNN().fit(data).recommend_one(1, 1)[0][0] == "y"
