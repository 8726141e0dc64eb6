import numpy as np
import pytest
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys import Bias, BiasedMF, Dataset, SVDpp, evaluate_values, simulate
from recsys_experiments.baselines._rating_knn import RatingKNN, shrunk_correlation

from .helpers import events, needs_data


@pytest.fixture(scope="module")
def rated():
    """Ratings of 40 users of 20 items."""
    return simulate(40, 20, 500, clusters=4, seed=3).data


def matrix_of(data):
    """Values as a dense table, NaN where there is none; pairs must be distinct."""
    table = np.full((data.n_users, data.n_items), np.nan)
    table[data.user, data.item] = data.value
    return table


def once(data):
    return Dataset.from_frame(
        data.to_table(), user="user", item="item", value="rating", time="time", duplicates="last"
    ).warm()


def pairs(data):
    return data.to_table().select(["user", "item"])


def test_bias_equals_the_damped_means(rated):
    table = matrix_of(once(rated))
    mean = np.nanmean(table)
    b_i = np.nansum(table - mean, axis=0) / (10 + (~np.isnan(table)).sum(axis=0))
    b_u = np.nansum(table - mean - b_i, axis=1) / (15 + (~np.isnan(table)).sum(axis=1))
    data = once(rated)
    score = Bias().fit(data).predict(pairs(data)).column("score").to_numpy()
    expected = np.clip(mean + b_u[data.user] + b_i[data.item], *np.array([data.value.min(), data.value.max()]))
    np.testing.assert_allclose(score, expected, rtol=1e-6)


def sgd_by_hand(model, data, epochs):
    """Plain SGD, one rating after the other, in the order that the model draws."""
    draw = np.random.default_rng(model.seed)
    P = 0.1 * draw.standard_normal((data.n_users, model.factors))
    Q = 0.1 * draw.standard_normal((data.n_items, model.factors))
    Y = 0.1 * np.random.default_rng([model.seed, 1]).standard_normal((data.n_items, model.factors))
    b, c, lr, reg = np.zeros(data.n_users), np.zeros(data.n_items), model.learning_rate, model.reg
    implicit = isinstance(model, SVDpp)
    for epoch in range(epochs):
        for event in np.random.default_rng([model.seed, epoch]).permutation(len(data)):
            u, i = data.user[event], data.item[event]
            mine = np.unique(data.item[data.user == u])
            s = Y[mine].sum(axis=0) / np.sqrt(len(mine)) if implicit else 0
            e = data.value[event] - data.value.astype(float).mean() - b[u] - c[i] - Q[i] @ (P[u] + s)
            b[u] += lr * (e - reg * b[u])
            c[i] += lr * (e - reg * c[i])
            p, q = P[u].copy(), Q[i].copy()
            P[u] += lr * (e * q - reg * p)
            Q[i] += lr * (e * (p + s) - reg * q)
            if implicit:
                Y[mine] += lr * (e * q / np.sqrt(len(mine)) - reg * Y[mine])
    return P, Q, Y, b, c


def test_mf_is_sgd_one_rating_after_the_other(rated):
    model = BiasedMF(factors=3, epochs=2, learning_rate=0.05, reg=0.1)
    P, Q, _, b, c = sgd_by_hand(model, rated, 2)
    model.fit(rated)
    np.testing.assert_allclose(model.user_factors_, P, rtol=1e-9)
    np.testing.assert_allclose(model.item_factors_, Q, rtol=1e-9)
    np.testing.assert_allclose(model.user_bias_, b, rtol=1e-9)
    np.testing.assert_allclose(model.item_bias_, c, rtol=1e-9)


def test_svdpp_is_sgd_on_the_published_model_when_sums_are_exchanged_at_each_step():
    draw = np.random.default_rng(1)
    frame = {"u": [1] * 6 + [2] * 5, "i": [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7], "r": draw.integers(1, 6, 11)}
    data = Dataset.from_frame(frame, user="u", item="i", value="r")
    model = SVDpp(factors=3, epochs=2, learning_rate=0.05, reg=0.1, exchanges=len(data))
    P, Q, Y, *_ = sgd_by_hand(model, data, 2)
    model.fit(data)
    np.testing.assert_allclose(model.own_, P, rtol=1e-9)
    np.testing.assert_allclose(model.item_factors_, Q, rtol=1e-9)
    np.testing.assert_allclose(model.implicit_factors_, Y, rtol=1e-9)
    sets = [np.unique(data.item[data.user == u]) for u in range(2)]
    whole = [P[u] + Y[sets[u]].sum(axis=0) / np.sqrt(len(sets[u])) for u in range(2)]
    np.testing.assert_allclose(model.user_factors_, whole, rtol=1e-9)


def test_correlation_is_over_common_users_and_shrunk(rated):
    table = matrix_of(once(rated)) - 3.0
    residual = sp.csr_matrix(np.nan_to_num(table))
    found = shrunk_correlation(residual, 10.0, block=7)
    for i, j in [(0, 1), (2, 9), (5, 3)]:
        both = ~np.isnan(table[:, i]) & ~np.isnan(table[:, j]) & (table[:, i] != 0) & (table[:, j] != 0)
        x, y, n = table[both, i], table[both, j], both.sum()
        expected = x @ y / np.sqrt((x @ x) * (y @ y)) * (n - 1) / (n - 1 + 10.0) if n > 1 else 0
        assert found[i, j] == pytest.approx(expected, abs=1e-6)


def test_rating_knn_weighs_the_users_own_deviations(rated):
    data = once(rated)
    model = RatingKNN(k=3, shrink=5.0).fit(data)
    base = model._baseline(data.user, data.item)
    for event in (0, 50, 150):
        u, i = data.user[event], data.item[event]
        own = np.flatnonzero(data.user == u)
        near = sorted(((model.similarity_[i, data.item[one]], one) for one in own), reverse=True)[:3]
        near = [(s, one) for s, one in near if s > 0]
        expected = base[event] + sum(s * (data.value[one] - base[one]) for s, one in near) / sum(s for s, _ in near)
        found = model._rate(np.array([u]), np.array([i]), None)[0]
        assert found == pytest.approx(expected, rel=1e-5)


MODELS = [
    Bias(),
    BiasedMF(factors=4, epochs=3),
    SVDpp(factors=4, epochs=3),
    RatingKNN(k=5),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_predictions_stay_on_the_scale_and_know_strangers(model, rated):
    fitted = model.clone().fit(rated)
    table = fitted.predict({"user": ["u1", "nobody", "u1"], "item": ["i1", "i1", "nothing"]})
    score = table.column("score").to_numpy()
    assert ((score >= rated.value.min()) & (score <= rated.value.max())).all()
    assert table.column("source").to_pylist() == ["model", "fallback", "fallback"]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_lists_rank_by_the_prediction(model, rated):
    fitted = model.clone().fit(rated)
    lists = fitted.recommend(["u1"], k=5, filter_seen=False).to_pandas()
    raw = fitted._rate(fitted.user_ids_.codes(["u1"] * 5), fitted.item_ids_.codes(lists["item"].tolist()), None)
    assert (np.diff(raw) <= 1e-6).all()  # not clipped: at the top of the scale not all are alike
    np.testing.assert_allclose(lists.score, np.clip(raw, *fitted.range_), rtol=1e-4)


def test_events_without_values_are_refused():
    with pytest.raises(InputError, match=r"Bias.*without values"):
        Bias().fit(events())


@pytest.mark.parametrize("model", [BiasedMF(factors=4, epochs=6), SVDpp(factors=4, epochs=6)], ids=repr)
def test_killed_rating_fit_resumes_to_the_same_numbers(model, rated, tmp_path, monkeypatch):
    from recsys.neural._checkpoint import Checkpoint

    whole = model.clone().fit(rated)
    saved = Checkpoint.save

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        if epochs == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(rated, checkpoint=tmp_path / "fit.safetensors")
    monkeypatch.setattr(Checkpoint, "save", saved)
    resumed = model.clone().fit(rated, checkpoint=tmp_path / "fit.safetensors")
    assert np.array_equal(resumed.user_factors_, whole.user_factors_)
    assert np.array_equal(resumed.item_factors_, whole.item_factors_)


@needs_data
def test_bias_reaches_its_figure_on_movielens():
    from recsys_experiments.real_sets import ml_latest_small

    train, test = next(ml_latest_small().split.kfold(5))
    models = Bias(), BiasedMF(epochs=10), Bias(damping_item=25, damping_user=10)
    bias, mf, heavily_damped = (evaluate_values(model.fit(train), test)["rmse"] for model in models)
    assert bias == pytest.approx(0.8973, abs=5e-4)
    assert bias < mf < heavily_damped < 0.91  # untuned MF leads a bias that is damped too much, and no other
