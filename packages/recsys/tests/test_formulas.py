"""Each method against an independent formula, solved densely in float64."""

import numpy as np
import pytest
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys import EASE, IALS, SLIM, Dataset, ItemKNN, RecentPopular, RP3beta, evaluate
from recsys.baselines import ImplicitALS, PureSVD, Repeat, UserKNN
from recsys.linear._ease import ease_weights

from .helpers import events, needs_data, retail, score_matrix


@pytest.fixture(scope="module")
def data():
    return events(text=True)


def test_ease_equals_the_dense_inverse(data):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    P = np.linalg.inv(X.T @ X + 5.0 * np.eye(X.shape[1]))
    B = -P / np.diag(P)[None, :]
    np.fill_diagonal(B, 0)
    model = EASE(l2=5.0).fit(data)
    np.testing.assert_allclose(model.weights_, B, atol=2e-5)
    np.testing.assert_allclose(score_matrix(model), X @ B, atol=2e-4)


def test_the_gram_matrix_is_whole_across_blocks(data):
    from recsys.linear._linear import gram, lower_gram, mirror

    X = data.history().matrix()
    expected = (X.T @ X).toarray()
    assert np.array_equal(gram(X), expected)
    for block in (3, 7, 100):
        lower = lower_gram(X, block=block)
        assert np.array_equal(np.tril(lower), np.tril(expected))
        mirror(lower, block=block)
        assert np.array_equal(lower, expected)


@pytest.mark.parametrize("model", [EASE(memory=1e-9), SLIM(memory=1e-9)])
def test_too_large_a_catalogue_is_refused_before_allocation(model, data):
    with pytest.raises(InputError, match=r"on 30 items.*GiB.*SANSA"):
        model.fit(data)


def test_slim_equals_scikit_learns_elastic_net(data):
    from sklearn.linear_model import ElasticNet

    X = data.warm().history().matrix().toarray().astype(np.float64)
    n, l1, l2 = len(X), 0.5, 5.0
    model = SLIM(l1=l1, l2=l2, sweeps=500, tolerance=1e-7).fit(data)
    W = model.weights_.toarray()
    assert (np.diag(W) == 0).all()
    for item in (0, 7, 20):
        rest = np.delete(np.arange(X.shape[1]), item)
        net = ElasticNet(
            alpha=(l1 + l2) / n, l1_ratio=l1 / (l1 + l2), positive=True, fit_intercept=False, tol=1e-9, max_iter=10**5
        ).fit(X[:, rest], X[:, item])
        np.testing.assert_allclose(W[rest, item], net.coef_, atol=2e-4)


def ials_objective(X, W, H, reg, a0, nu):
    Y = W @ H.T
    users, items = X.sum(1), X.sum(0)
    loss = ((Y - 1)[X > 0] ** 2).sum() + a0 * (Y**2).sum()
    loss += reg * ((users + a0 * X.shape[1]) ** nu * (W**2).sum(1)).sum()
    return loss + reg * ((items + a0 * X.shape[0]) ** nu * (H**2).sum(1)).sum()


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.0])
def test_ials_rows_solve_the_normal_equations(data, nu):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    model = IALS(factors=6, epochs=2, reg=0.05, a0=0.2, nu=nu).fit(data)
    W, H = (array.astype(np.float64) for array in (model.user_factors_, model.item_factors_))
    for item in range(X.shape[1]):  # the item side was solved last
        who = X[:, item] > 0
        ridge = 0.05 * (who.sum() + 0.2 * X.shape[0]) ** nu
        A = W[who].T @ W[who] + 0.2 * W.T @ W + ridge * np.eye(6)
        np.testing.assert_allclose(H[item], np.linalg.solve(A, W[who].sum(0)), rtol=1e-3, atol=1e-4)


def test_ials_lowers_its_objective_every_epoch(data):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    losses = []
    for epochs in (1, 2, 4, 8):
        model = IALS(factors=6, epochs=epochs, reg=0.05, a0=0.2).fit(data)
        losses.append(ials_objective(X, model.user_factors_, model.item_factors_, 0.05, 0.2, 1.0))
    assert losses[0] > losses[1] > losses[2] > losses[3]


def test_weighted_rows_solve_their_own_equations(data):
    from recsys.recommender._rows import solve_rows

    draw = np.random.default_rng(0)
    X = data.warm().history().matrix()
    X.data = draw.uniform(0.2, 2, X.nnz).astype(np.float32)
    H = draw.normal(size=(X.shape[1], 5)).astype(np.float32)
    ridge, pull = draw.uniform(0.5, 2, X.shape[0]).astype(np.float32), draw.normal(size=(X.shape[0], 5))
    target = draw.random(X.nnz).astype(np.float32)
    W = solve_rows(X, H, np.eye(5, dtype=np.float32), ridge, target=target, pull=pull.astype(np.float32))
    for row in (0, 11, 59):
        part = slice(X.indptr[row], X.indptr[row + 1])
        h, x = H[X.indices[part]], X.data[part]
        A = (h * x[:, None]).T @ h + (1 + ridge[row]) * np.eye(5)
        np.testing.assert_allclose(W[row], np.linalg.solve(A, h.T @ target[part] + pull[row]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("normalise", [False, True])
def test_rp3beta_equals_its_formula(data, normalise):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    alpha, beta = 0.8, 0.4
    walk = (X.T / X.sum(0)[:, None]) ** alpha @ (X / X.sum(1)[:, None]) ** alpha
    np.fill_diagonal(walk, 0)
    model = RP3beta(alpha=alpha, beta=beta, k=4, normalise=normalise).fit(data)
    expected = np.zeros(walk.shape)
    for item in range(len(walk)):
        best = np.argsort(-walk[:, item], kind="stable")[:4]
        expected[best, item] = walk[best, item] / X.sum(0)[item] ** beta
    if normalise:
        expected /= np.maximum(expected.sum(axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(model.weights_.toarray(), expected, rtol=1e-4, atol=1e-7)


def test_item_knn_keeps_k_others_at_their_cosine(data):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    cosine = X.T @ X / np.sqrt(np.outer(X.sum(0), X.sum(0)))
    np.fill_diagonal(cosine, 0)
    weights = ItemKNN(k=4).fit(data).weights_.toarray()
    for item in range(len(cosine)):  # of each candidate, a column
        assert (weights[:, item] > 0).sum() == 4  # implicit's K counts the item itself
        np.testing.assert_allclose(np.sort(weights[:, item])[-4:], np.sort(cosine[item])[-4:], rtol=1e-5)


def test_user_knn_equals_its_formula(data):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    cosine = X @ X.T / np.sqrt(np.outer(X.sum(1), X.sum(1)))
    np.fill_diagonal(cosine, -1)
    scores = np.nan_to_num(score_matrix(UserKNN(k=3).fit(data)))
    kth = np.sort(cosine, axis=1)[:, -3]
    clear = (cosine >= kth[:, None]).sum(1) == 3  # no tie for the last place
    expected = np.where(cosine >= kth[:, None], cosine, 0) @ X
    assert clear.sum() > 20
    np.testing.assert_allclose(scores[clear], expected[clear], atol=1e-5)


def test_puresvd_equals_the_dense_decomposition(data):
    X = data.warm().history().matrix().toarray().astype(np.float64)
    _, _, Vt = np.linalg.svd(X)
    np.testing.assert_allclose(score_matrix(PureSVD(factors=5).fit(data)), X @ Vt[:5].T @ Vt[:5], atol=1e-3)


def test_recent_popular_counts_the_last_days_only():
    day = 86_400
    frame = {"u": [1, 2, 3, 1, 2], "i": ["old", "old", "old", "new", "mid"], "t": [0, 0, 0, 40 * day, 30 * day]}
    data = Dataset.from_frame({**frame, "t": np.array(frame["t"]) + 10**9}, user="u", item="i", time="t")
    model = RecentPopular(days=31).fit(data)
    assert dict(zip(data.item_ids.values.to_pylist(), model.recent_.tolist(), strict=True)) == {
        "old": 0.0, "new": 1.0, "mid": 1.0,
    }  # fmt: skip
    halved = RecentPopular(days=31, half_life=10).fit(data)
    assert halved.recent_.tolist() == [0.0, 1.0, 0.5]


def test_repeat_lists_what_the_user_had_most():
    frame = {"u": [1, 1, 1, 2, 2], "i": ["a", "a", "b", "c", "b"]}
    lists = Repeat().fit(Dataset.from_frame(frame, user="u", item="i")).recommend([1], k=3)
    assert lists.column("i").to_pylist() == ["a", "b", "c"]


def test_implicit_als_folds_in_as_implicit_does(data):
    model = ImplicitALS(factors=4, epochs=3, alpha=7.0, reg=0.5, cg=False).fit(data)
    from implicit.cpu.als import AlternatingLeastSquares

    theirs = AlternatingLeastSquares(factors=4, regularization=0.5, alpha=7.0, num_threads=1)
    theirs.item_factors = model.item_factors_
    expected = theirs.recalculate_user(np.arange(data.n_users), data.history().matrix())
    np.testing.assert_allclose(model.fold_in(data).user_factors_, expected, rtol=2e-3, atol=1e-4)


@needs_data
def test_tuned_floor_of_the_brief_is_reached_on_online_retail():
    train, test = retail()
    result = evaluate(EASE(l2=400).fit(train), test, ["ndcg@10"], targets="warm")
    assert result.mean("ndcg@10") == pytest.approx(0.103, abs=0.002)


@pytest.mark.parametrize(("scale", "hard"), [(0.1, False), (1.0, True), (30.0, True)])
def test_rows_in_steps_are_as_exact_as_solved_rows(scale, hard, monkeypatch):
    """Well conditioned rows are solved in steps; those that are not near enough after some are solved directly."""
    from recsys.recommender import _rows

    in_steps, left = _rows._conjugate_gradients, []

    def watched(*given):
        v, close = in_steps(*given)
        left.append(np.mean(~close))
        return v, close

    monkeypatch.setattr(_rows, "_conjugate_gradients", watched)
    draw = np.random.default_rng(0)
    X = sp.random(90, 50, 0.4, "csr", np.float32, rng=draw)
    H = (scale * draw.normal(size=(50, 32))).astype(np.float32)
    pull = draw.normal(size=(90, 32)).astype(np.float32)
    shared, ridge = 0.1 * (H.T @ H), draw.uniform(0.05, 2, 90).astype(np.float32) * max(scale, 0.1)
    W = _rows.solve_rows(X, H, shared, ridge, pull=pull)
    assert min(left) < 0.5
    assert (max(left) > 0.4) == hard
    for row in range(90):
        part = slice(X.indptr[row], X.indptr[row + 1])
        h, x = H[X.indices[part]].astype(np.float64), X.data[part]
        A = (h * x[:, None]).T @ h + shared + ridge[row] * np.eye(32)
        exact = np.linalg.solve(A, h.T @ x + pull[row])
        assert np.linalg.norm(W[row] - exact) < 1e-5 * np.linalg.norm(exact)


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_ease_solves_in_the_precision_that_it_is_given(dtype, error):
    rng = np.random.default_rng(0)
    X = rng.random((200, 30)) * np.geomspace(1, 1e2, 30)
    G = X.T @ X + np.eye(30)
    P = np.linalg.inv(G)
    expected = -P / np.diag(P)
    np.fill_diagonal(expected, 0)
    B = ease_weights(np.asfortranarray(G.astype(dtype)))
    assert B.dtype == dtype
    assert np.abs(B - expected).max() < error * np.abs(expected).max()
