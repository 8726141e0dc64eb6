"""Confidence weights: what a pair weighs, in each model, in evaluation and on the command line."""

import dataclasses

import numpy as np
import pytest
import recsys
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys import EASE, IALS, SANSA, SLIM, Dataset, ItemKNN, RP3beta
from recsys.baselines import ImplicitALS, PureSVD, UserKNN
from recsys.recommender._registry import MODELS, model_class
from recsys.recommender._weighted import Weighted

from .helpers import events

WEIGHTED = [
    EASE(l2=5.0),
    IALS(factors=4, epochs=2),
    ImplicitALS(factors=4, epochs=2),
    ItemKNN(k=5),
    PureSVD(factors=4),
    RP3beta(k=5),
    SANSA(l2=5.0, neighbours=8),
    SLIM(l1=0.5, l2=5.0),
    UserKNN(k=5),
]
each = pytest.mark.parametrize("model", WEIGHTED, ids=lambda one: one.name)


def rated(*, users=30, items=14, seed=0):
    """Each pair once, with a value of 1 to 5."""
    draw = np.random.default_rng(seed)
    X = draw.integers(1, 6, (users, items)) * (draw.random((users, items)) < 0.35)
    X[0, :], X[:, 0] = 1, 1  # no user and no item without events
    return sp.csr_matrix(X.astype(np.float32))


@pytest.fixture(scope="module")
def X():  # noqa: N802
    return rated()


@pytest.fixture(scope="module")
def data(X):
    return Dataset.from_csr(X)


def test_a_csr_comes_with_its_ids_and_values(X):
    users, items = [f"u{one}" for one in range(30)], np.arange(100, 114)
    data = Dataset.from_csr(X, users=users, items=items)
    table = data.to_table().to_pandas()
    row = X.tocoo()
    assert (table.user == [users[one] for one in row.row]).all()
    assert (table.item == items[row.col]).all()
    assert (table["value"] == row.data).all()
    assert Dataset.from_csr(X != 0).value is None
    with pytest.raises(InputError, match=r"user ids.*30 distinct"):
        Dataset.from_csr(X, users=users[:-1])
    with pytest.raises(InputError, match=r"item ids.*13 of them distinct"):
        Dataset.from_csr(X, items=[1, *range(1, 14)])
    bad = X.copy()
    bad.data[3] = np.nan
    with pytest.raises(InputError, match=r"not finite in 1 of"):
        Dataset.from_csr(bad)


def test_ease_solves_its_weighted_normal_equations(X, data):
    B = EASE(l2=7.0, weight="value").fit(data).weights_
    dense = X.toarray().astype(float)
    G = dense.T @ dense
    for j in range(G.shape[1]):
        others = np.delete(np.arange(len(G)), j)
        expected = np.linalg.solve(G[np.ix_(others, others)] + 7.0 * np.eye(len(others)), G[others, j])
        np.testing.assert_allclose(B[others, j], expected, atol=1e-3)
        assert B[j, j] == 0


@pytest.mark.parametrize("dislikes", [False, True])
def test_ials_solves_its_weighted_normal_equations(dislikes):
    X = rated(seed=1)
    if dislikes:
        X.data[::4] *= -1
    model = IALS(factors=5, epochs=3, reg=0.02, a0=0.2, weight="value", dislikes=dislikes).fit(Dataset.from_csr(X))
    W, H = model.user_factors_.astype(float), model.item_factors_.astype(float)
    C, likes = np.abs(X.toarray()), X.toarray() > 0
    for i in range(X.shape[1]):  # items were solved last
        lam = 0.02 * ((C[:, i] > 0).sum() + 0.2 * X.shape[0])
        A = (W * C[:, [i]]).T @ W + 0.2 * W.T @ W + lam * np.eye(5)
        np.testing.assert_allclose(H[i], np.linalg.solve(A, W.T @ (C[:, i] * likes[:, i])), atol=1e-3)


@pytest.mark.parametrize("dislikes", [False, True])
def test_implicits_als_has_implicits_own_factors(dislikes):
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    X = rated(seed=2)
    if dislikes:
        X.data[::4] *= -1
    model = ImplicitALS(factors=6, reg=0.5, alpha=3.0, epochs=4, seed=9, weight="value", dislikes=dislikes)
    model.fit(Dataset.from_csr(X))
    peer = AlternatingLeastSquares(factors=6, regularization=0.5, alpha=3.0, iterations=4, random_state=9)
    with threadpool_limits(1, user_api="blas"):
        peer.fit(X, show_progress=False)
    np.testing.assert_allclose(model.user_factors_, peer.user_factors, atol=1e-4)
    np.testing.assert_allclose(model.item_factors_, peer.item_factors, atol=1e-4)


def test_bm25_weights_are_implicits(X, data):
    from implicit.nearest_neighbours import bm25_weight

    model = IALS(factors=2, epochs=1, weight="value", transform="bm25").fit(data)
    expected = np.maximum(bm25_weight(X).toarray(), 0)
    np.testing.assert_allclose(model._rows(model.history_).toarray(), expected, rtol=1e-4, atol=1e-5)


def test_log_weights_are_those_of_one_plus_the_value(X, data):
    model = EASE(weight="value", transform="log").fit(data)
    np.testing.assert_allclose(model._rows(model.history_).toarray(), np.log1p(X.toarray()), rtol=1e-5)


def test_counts_weigh_without_a_value():
    data = events()
    model = EASE(l2=5.0, weight="count").fit(data)
    assert np.array_equal(model._rows(model.history_).toarray(), data.history().matrix("count").toarray())
    assert not np.allclose(model.weights_, EASE(l2=5.0).fit(data).weights_)


@each
def test_values_move_each_model_and_are_kept_in_its_folder(model, data, tmp_path):
    plain = model.clone().fit(data.clicks())
    weighed = model.clone().set_params(weight="value", transform="bm25").fit(data)
    pairs = {"user": np.repeat(np.arange(30), 14), "item": np.tile(np.arange(14), 30)}
    first, second = (one.predict(pairs).column("score").fill_null(0).to_numpy() for one in (plain, weighed))
    assert not np.allclose(first, second, rtol=1e-3)
    loaded = recsys.load(weighed.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(weighed.recommend(k=4))
    assert loaded.fold_in(data).recommend(k=4).equals(weighed.fold_in(data).recommend(k=4))


def test_every_weighted_model_is_tried_here():
    tried = {type(one).__name__ for one in WEIGHTED}
    known = {model_class(name).__name__ for name in MODELS if issubclass(model_class(name), Weighted)}
    assert known - tried == {"ContentKNN", "FeatureIALS"}  # they need a table of items


@each
def test_values_below_0_are_refused_or_dislikes_where_asked_for(model):
    X = rated(seed=3)
    X.data[:5] *= -1
    data = Dataset.from_csr(X)
    with pytest.raises(InputError, match=r"below 0 in 5 events.*positive\(\)"):
        model.clone().set_params(weight="value").fit(data)
    model.clone().set_params(weight="value").fit(data.positive())
    wants = model.clone().set_params(weight="value", dislikes=True)
    if type(model).takes_dislikes:
        wants.fit(data)
    else:
        with pytest.raises(InputError, match=r"dislikes of .*cannot learn"):
            wants.fit(data)


def test_a_dislike_lowers_what_is_like_it():
    rows = [(user, item, 1.0) for user in range(8) for item in ("a", "b")]
    rows += [(user, item, 1.0) for user in range(8, 16) for item in ("c", "d")]
    rows += [(20, "e", 1.0), (20, "a", -3.0), (21, "e", 1.0), (21, "c", 1.0)]
    user, item, value = zip(*rows, strict=True)
    data = Dataset.from_frame({"u": user, "i": item, "v": value}, user="u", item="i", value="v")
    pair = {"u": [20], "i": ["a"]}
    for model in (EASE(l2=1.0), IALS(factors=4, epochs=8), ImplicitALS(factors=4, epochs=8)):
        model.set_params(weight="value", dislikes=True)
        told, liked = (
            model.clone().fit(one).predict(pair).column("score")[0].as_py()
            for one in (data, dataclasses.replace(data, value=np.abs(data.value)))
        )
        assert told < liked - 0.1
    score = EASE(l2=1.0, weight="value", dislikes=True).fit(data).predict({"u": [20, 20], "i": ["b", "d"]})
    assert score.column("score")[0].as_py() < score.column("score")[1].as_py()


def test_a_return_is_no_purchase_in_any_weighted_model():
    """Item 8 is bought and given back by each of six users: nothing of it is left, but it is not listed again."""
    rows = [(user, item, 1.0) for user in range(6) for item in (7, 1 + user % 3)]
    rows += [(user, 8, worth) for user in range(6) for worth in (2.0, -2.0)] + [(9, 7, 1.0), (9, 1, 1.0)]
    user, item, value = zip(*rows, strict=True)
    data = Dataset.from_frame({"u": user, "i": item, "v": value}, user="u", item="i", value="v")
    fitted = EASE(l2=1.0, weight="value", dislikes=True).fit(data)
    column = fitted.item_ids_.codes([8])[0]
    assert not fitted.weights_[:, column].any()
    assert 8 not in fitted.recommend([0], 9).column("i").to_pylist()
    assert fitted.recommend([9], 9).column("i").to_pylist()[-1] == 8


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"weight": "worth"}, "weight of EASE: got 'worth', expected one of .*click"),
        ({"transform": "root"}, "transform of EASE: got 'root', expected one of .*bm25"),
        ({"weight": "count"}, r"weight='value', or data.clicks\(\)"),
        ({"dislikes": True}, r"dislikes of EASE.*weight='value'"),
    ],
)
def test_wrong_weights_are_one_line(wrong, says, data):
    with pytest.raises(InputError, match=says):
        EASE(**wrong).fit(data)


def test_values_asked_for_must_be_there():
    with pytest.raises(InputError, match='"value" for events without values'):
        EASE(weight="value").fit(events())


# --- graded gain ---


def test_graded_ndcg_is_the_gain_over_the_ideal():
    from recsys.data._metrics import Ranks, ranking_metric

    ranks = Ranks(np.array([0, 0, 0, 1]), np.array([1, 4, 0, 2]), np.array([9, 9]), np.array([1.0, 5.0, 2.0, 3.0]))
    found = ranking_metric("ndcg@3")(ranks)
    ideal = 5 + 2 / np.log2(3) + 1 / np.log2(4)
    np.testing.assert_allclose(found, [1 / ideal, 1 / np.log2(3)])


def test_gain_is_what_a_pair_is_worth_in_the_test_events(data):
    train, test = data.split.rows(0.3, seed=1)
    fitted = EASE(l2=5.0, weight="value").fit(train)
    graded = recsys.evaluate(fitted, test, ["ndcg@5"], gain="value").values["ndcg@5"]
    plain = recsys.evaluate(fitted, test, ["ndcg@5"]).values["ndcg@5"]
    assert graded.shape == plain.shape
    assert not np.allclose(graded, plain)
    even = Dataset.from_frame(
        test.to_table().set_column(2, "value", [np.full(len(test), 3.0)]), user="user", item="item", value="value"
    )
    np.testing.assert_allclose(recsys.evaluate(fitted, even, ["ndcg@5"], gain="value").values["ndcg@5"], plain)


@pytest.mark.parametrize(
    ("metrics", "gain", "says"),
    [(["ndcg@5"], "worth", "gain.*worth"), (["hr@5"], "value", "only NDCG"), (["ndcg@5"], "value", "without values")],
)
def test_a_gain_that_nothing_counts_is_refused(metrics, gain, says):
    train, test = events().split.time()
    with pytest.raises(InputError, match=says):
        recsys.evaluate(EASE(l2=5.0).fit(train), test, metrics, gain=gain)


# --- on the command line ---


def command(*words):
    from recsys.cli import app
    from typer.testing import CliRunner

    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def shop(tmp_path):
    import pyarrow.parquet

    pyarrow.parquet.write_table(Dataset.from_csr(rated(users=60)).to_table(), tmp_path / "shop.parquet")
    return tmp_path / "shop.parquet"


def test_weights_are_settings_of_every_verb_that_fits(shop, tmp_path):
    done = command("fit", shop, "--value", "value", "-m", "ease", "--set", "weight=value", "-o", tmp_path / "m")
    assert done.exit_code == 0, done.output
    assert recsys.load(tmp_path / "m").weight == "value"
    done = command("evaluate", tmp_path / "m", shop, "--metric", "ndcg@5", "--gain", "value")
    assert "no target left" in str(done.exception)  # all were seen: it was read and asked
    rest = ("-m", "mf", "--set", "factors=4", "--metric", "rmse")
    assert command("compare", shop, "--value", "value", *rest).exit_code == 0
    done = command("compare", shop, "--value", "value", "-m", "mf", "--set", "weight=value")
    assert "a parameter of none of the models" in str(done.exception)
    done = command("compare", shop, "--value", "value", "-m", "ease", "--metric", "ndcg@5")
    assert "weight='value', or data.clicks()" in str(done.exception)


def test_lists_in_a_file_keep_to_each_users_candidates(tmp_path):
    data = events(text=True)
    fitted = EASE(l2=5.0).fit(data)
    own = {"who": ["u1", "u1", "u2"], "what": ["i3", "i9", "i4"]}
    rows = recsys.recommend_to_file(fitted, tmp_path / "l.parquet", ["u1", "u2"], 5, candidates=own, filter_seen=False)
    assert rows == 3
