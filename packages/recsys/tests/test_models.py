import numpy as np
import pytest
import recsys
from ninefold.errors import ArtifactError, InputError
from recsys import (
    EASE,
    ELSA,
    GFCF,
    IALS,
    SLIM,
    VSKNN,
    CoOccurrence,
    Dataset,
    IALSpp,
    ImplicitALS,
    ImplicitBPR,
    ItemKNN,
    Markov,
    Popular,
    PureSVD,
    RandomItems,
    RecentPopular,
    Repeat,
    RP3beta,
    UserKNN,
    evaluate,
)

from .helpers import events, needs_data, tiny

MODELS = [
    CoOccurrence(),
    EASE(l2=5.0),
    ELSA(factors=8, epochs=3, batch=16),
    GFCF(factors=4),
    IALS(factors=8, epochs=3),
    IALSpp(factors=8, epochs=3, block=4),
    ImplicitALS(factors=8, epochs=3),
    ImplicitBPR(factors=8, epochs=5),
    ItemKNN(k=5),
    Markov(order=2),
    Popular(),
    PureSVD(factors=5),
    RandomItems(),
    RecentPopular(days=1.0),
    Repeat(),
    RP3beta(k=5),
    SLIM(l1=0.5, l2=5.0),
    UserKNN(k=5),
    VSKNN(k=5),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return events(text=True)


def score_matrix(model):
    """Scores of all users and items, as `predict` gives them."""
    users, items = model.user_ids_.values.to_pylist(), model.item_ids_.values.to_pylist()
    pairs = {model.names_.user: np.repeat(users, len(items)), model.names_.item: items * len(users)}
    return model.predict(pairs).column("score").to_numpy(zero_copy_only=False).reshape(len(users), len(items))


# --- what every model keeps ---


@each_model
def test_lists_hold_no_seen_item_no_repeat_and_no_padding(model, data):
    fitted = model.clone().fit(data)
    lists = fitted.recommend(k=1000, filter_seen=True).to_pandas()
    assert not lists.duplicated(["who", "what"]).any()
    seen = set(zip(*(column.to_pylist() for column in data.to_table().select(["who", "what"]).columns), strict=True))
    assert not seen & set(zip(lists.who, lists.what, strict=True))
    assert np.isfinite(lists.score).all()
    assert (lists.score > -1e30).all()
    left = data.n_items - np.diff(data.matrix().indptr)
    assert (lists.groupby("who", sort=False).size() <= left.max()).all()
    for _, one in lists.groupby("who", sort=False):
        assert one["rank"].tolist() == list(range(1, len(one) + 1))
        assert (np.diff(one.score) <= 0).all()
    assert set(lists.source) == {"model"}


@each_model
def test_top_of_a_list_are_the_greatest_scores(model, data):
    fitted = model.clone().fit(data)
    scores = score_matrix(fitted)
    lists = fitted.recommend(k=3, filter_seen=False).to_pandas()
    for code, (_, one) in enumerate(lists.groupby("who", sort=False)):
        valid = np.sort(scores[code][np.isfinite(scores[code])])[::-1]
        np.testing.assert_allclose(one.score, valid[: len(one)], rtol=2e-4, atol=1e-5)


@each_model
def test_candidates_and_exclude_bound_the_lists(model, data):
    fitted = model.clone().fit(data)
    some = data.item_ids.values[:6].to_pylist()
    lists = fitted.recommend(k=10, candidates=some, exclude=some[:2], filter_seen=False)
    assert set(lists.column("what").to_pylist()) <= set(some[2:])


@each_model
def test_unknown_user_gets_popular_items_that_say_so(model, data):
    fitted = model.clone().fit(data)
    lists = fitted.recommend(["nobody", "u3"], k=4).to_pandas()
    stranger = lists[lists.who == "nobody"]
    popular = Popular().fit(data).recommend(["nobody"], k=4).to_pandas()
    assert stranger.what.tolist() == popular.what.tolist()
    assert set(stranger.source) == {"fallback"}
    assert set(lists[lists.who == "u3"].source) == {"model"}
    with pytest.raises(InputError, match=r"1 unknown, e.g. 'nobody'"):
        fitted.recommend(["nobody", "u3"], strict=True)


@each_model
def test_saved_model_answers_as_before(model, data, tmp_path):
    fitted = model.clone().fit(data)
    loaded = recsys.load(fitted.save(tmp_path / "model"))
    assert loaded.get_params() == fitted.get_params()
    assert loaded.recommend(k=5).equals(fitted.recommend(k=5))
    with pytest.raises(ArtifactError, match="exists already"):
        fitted.save(tmp_path / "model")


@each_model
def test_same_seed_gives_the_same_model(model, data):
    first, second = (model.clone().fit(data).recommend(k=5) for _ in range(2))
    assert first.equals(second)


@each_model
def test_block_size_changes_nothing(model, data):
    fitted = model.clone().fit(data)
    whole, parts = fitted.recommend(k=5).to_pandas(), fitted.recommend(k=5, block=7).to_pandas()
    np.testing.assert_allclose(whole.score, parts.score, rtol=1e-4, atol=1e-5)
    assert (whole.what == parts.what).mean() > 0.99  # a tie in the last bit may fall either way


@each_model
def test_parameters_follow_scikit_learn(model):
    from sklearn.base import clone

    copied = clone(model)
    assert copied is not model
    assert copied.get_params() == model.get_params()
    with pytest.raises(InputError, match=r"parameter 'nope'.*unknown"):
        copied.set_params(nope=1)
    with pytest.raises(InputError, match="not fitted"):
        copied.recommend()


FOLDING = [one for one in MODELS if not isinstance(one, (ImplicitBPR, RandomItems))]


@pytest.mark.parametrize("model", FOLDING, ids=lambda one: one.name)
def test_folded_in_users_get_the_lists_of_known_ones_with_the_same_events(model, data):
    fitted = model.clone().fit(data)
    if isinstance(model, (IALSpp, ImplicitALS)):
        pytest.skip("the fit's last user step was not an exact solve against the final item factors")
    if isinstance(model, IALS):  # the same: bring known users to the final item factors first
        fitted = fitted.fold_in(data)
    if isinstance(model, (UserKNN, VSKNN)):
        pytest.skip("a known user is not his own neighbour, a new one with equal events finds him")
    table = data.to_table().to_pandas()
    twin = Dataset.from_frame(table.assign(who="new-" + table.who), user="who", item="what", time="when")
    lists, twins = fitted.recommend(k=5).to_pandas(), fitted.fold_in(twin).recommend(k=5).to_pandas()
    assert twins.what.tolist() == lists.what.tolist()
    assert set(twins.source) == {"fold_in"}


def test_bpr_says_that_it_cannot_fold_in(data):
    with pytest.raises(InputError, match=r"ImplicitBPR.fold_in.*only in fit"):
        ImplicitBPR(factors=4, epochs=2).fit(data).fold_in(data)


@pytest.mark.parametrize("model", FOLDING, ids=lambda one: one.name)
def test_partial_fit_knows_new_users_and_hides_what_they_had(model, data):
    fitted = model.clone().fit(data)
    later = Dataset.from_frame(
        {"who": ["fresh", "u1"], "what": ["i1", "i2"], "when": [1_700_000_000, 1_700_000_001]},
        user="who", item="what", time="when",
    )  # fmt: skip
    fitted.partial_fit(later)
    lists = fitted.recommend(["fresh", "u1"], k=50, filter_seen=True).to_pandas()
    assert "i1" not in set(lists[lists.who == "fresh"].what)
    assert "i2" not in set(lists[lists.who == "u1"].what)
    assert len(lists[lists.who == "fresh"])


def test_events_without_a_known_item_are_refused(data):
    strange = Dataset.from_frame({"who": ["x"], "what": ["zzz"]}, user="who", item="what")
    with pytest.raises(InputError, match="no item that the model knows"):
        EASE().fit(data).fold_in(strange)


def test_catalogue_of_one_item_is_refused():
    with pytest.raises(InputError, match="two items or more"):
        Popular().fit(Dataset.from_frame({"u": [1, 2], "i": [1, 1]}, user="u", item="i"))


# --- each method against an independent formula ---


def test_ease_equals_the_dense_inverse(data):
    X = data.warm().matrix().toarray().astype(np.float64)
    P = np.linalg.inv(X.T @ X + 5.0 * np.eye(X.shape[1]))
    B = -P / np.diag(P)[None, :]
    np.fill_diagonal(B, 0)
    model = EASE(l2=5.0).fit(data)
    np.testing.assert_allclose(model.weights_, B, atol=2e-5)
    np.testing.assert_allclose(score_matrix(model), X @ B, atol=2e-4)


def test_ease_mirrors_across_blocks():
    from recsys._ease import _mirror

    A = np.random.default_rng(0).random((10, 10))
    expected = np.tril(A) + np.tril(A, -1).T
    _mirror(A, block=3)
    assert np.array_equal(A, expected)


@pytest.mark.parametrize("model", [EASE(memory=1e-9), SLIM(memory=1e-9)])
def test_too_large_a_catalogue_is_refused_before_allocation(model, data):
    with pytest.raises(InputError, match=r"on 30 items.*GiB.*ELSA"):
        model.fit(data)


def test_slim_equals_scikit_learns_elastic_net(data):
    from sklearn.linear_model import ElasticNet

    X = data.warm().matrix().toarray().astype(np.float64)
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
    X = data.warm().matrix().toarray().astype(np.float64)
    model = IALS(factors=6, epochs=2, reg=0.05, a0=0.2, nu=nu).fit(data)
    W, H = (array.astype(np.float64) for array in (model.user_factors_, model.item_factors_))
    for item in range(X.shape[1]):  # the item side was solved last
        who = X[:, item] > 0
        ridge = 0.05 * (who.sum() + 0.2 * X.shape[0]) ** nu
        A = W[who].T @ W[who] + 0.2 * W.T @ W + ridge * np.eye(6)
        np.testing.assert_allclose(H[item], np.linalg.solve(A, W[who].sum(0)), rtol=1e-3, atol=1e-4)


def test_ials_lowers_its_objective_every_epoch(data):
    X = data.warm().matrix().toarray().astype(np.float64)
    losses = []
    for epochs in (1, 2, 4, 8):
        for kind in (IALS, IALSpp):
            model = kind(factors=6, epochs=epochs, reg=0.05, a0=0.2).fit(data)
            losses.append(ials_objective(X, model.user_factors_, model.item_factors_, 0.05, 0.2, 1.0))
    assert losses[0] > losses[2] > losses[4] > losses[6]
    assert losses[1] > losses[3] > losses[5] > losses[7]
    assert losses[7] == pytest.approx(losses[6], rel=0.02)


def test_one_block_of_ials_plus_plus_is_ials(data):
    whole, block = (kind(factors=6, epochs=3, reg=0.05).fit(data) for kind in (IALS, IALSpp))
    np.testing.assert_allclose(block.item_factors_, whole.item_factors_, rtol=5e-3, atol=1e-3)


def test_ials_plus_plus_keeps_its_predictions(data):
    from recsys._ials import products_at
    from recsys._rows import newton_rows

    draw = np.random.default_rng(0)
    X = data.warm().matrix()
    W, H = (draw.normal(0, 0.3, (n, 6)).astype(np.float32) for n in X.shape)
    predicted = products_at(X, W, H)
    for block in (slice(0, 4), slice(4, 6)):
        newton_rows(W, X, H, H.T @ H, 0.1, np.ones(X.shape[0], np.float32), predicted, block)
    np.testing.assert_allclose(predicted, products_at(X, W, H), atol=1e-4)


def test_weighted_rows_solve_their_own_equations(data):
    from recsys._rows import solve_rows

    draw = np.random.default_rng(0)
    X = data.warm().matrix()
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


def test_elsa_gradient_equals_finite_differences(data):
    from recsys._elsa import elsa_loss

    X = data.warm().matrix()[:9].astype(np.float64)
    V = np.random.default_rng(0).standard_normal((X.shape[1], 3))
    _, gradient = elsa_loss(V, X)
    for place in [(0, 0), (5, 2), (20, 1)]:
        up, down = V.copy(), V.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        slope = (elsa_loss(up, X)[0] - elsa_loss(down, X)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_elsa_scores_leave_the_identity_out(data):
    model = ELSA(factors=4, epochs=2, batch=16).fit(data)
    A, X = model.item_factors_, data.warm().matrix().toarray()
    np.testing.assert_allclose(np.linalg.norm(A, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(score_matrix(model), X @ (A @ A.T - np.eye(len(A))), atol=1e-4)


def test_rp3beta_equals_its_formula(data):
    X = data.warm().matrix().toarray().astype(np.float64)
    alpha, beta = 0.8, 0.4
    walk = (X.T / X.sum(0)[:, None]) ** alpha @ (X / X.sum(1)[:, None]) ** alpha
    np.fill_diagonal(walk, 0)
    model = RP3beta(alpha=alpha, beta=beta, k=4).fit(data)
    for item in range(len(walk)):
        best = np.argsort(-walk[item], kind="stable")[:4]
        expected = np.zeros(len(walk))
        expected[best] = walk[item, best] / X.sum(0)[best] ** beta
        np.testing.assert_allclose(model.weights_[[item]].toarray()[0], expected, rtol=1e-4)


def test_gfcf_equals_its_dense_formula(data):
    X = data.warm().matrix().toarray().astype(np.float64)
    of_user, of_item = X.sum(1), X.sum(0)
    R = X / np.sqrt(np.outer(of_user, of_item))
    V = np.linalg.svd(R)[2][:4].T
    ideal = np.diag(of_item**-0.5) @ V @ V.T @ np.diag(of_item**0.5)
    np.testing.assert_allclose(score_matrix(GFCF(factors=4).fit(data)), X @ (R.T @ R + 0.3 * ideal), atol=1e-3)


def test_item_knn_keeps_k_others_at_their_cosine(data):
    X = data.warm().matrix().toarray().astype(np.float64)
    cosine = X.T @ X / np.sqrt(np.outer(X.sum(0), X.sum(0)))
    np.fill_diagonal(cosine, 0)
    weights = ItemKNN(k=4).fit(data).weights_.toarray()
    for item in range(len(cosine)):
        assert (weights[item] > 0).sum() == 4  # implicit's K counts the item itself
        np.testing.assert_allclose(np.sort(weights[item])[-4:], np.sort(cosine[item])[-4:], rtol=1e-5)


def test_user_knn_equals_its_formula(data):
    X = data.warm().matrix().toarray().astype(np.float64)
    cosine = X @ X.T / np.sqrt(np.outer(X.sum(1), X.sum(1)))
    np.fill_diagonal(cosine, -1)
    scores = np.nan_to_num(score_matrix(UserKNN(k=3).fit(data)))
    kth = np.sort(cosine, axis=1)[:, -3]
    clear = (cosine >= kth[:, None]).sum(1) == 3  # no tie for the last place
    expected = np.where(cosine >= kth[:, None], cosine, 0) @ X
    assert clear.sum() > 20
    np.testing.assert_allclose(scores[clear], expected[clear], atol=1e-5)


def test_puresvd_equals_the_dense_decomposition(data):
    X = data.warm().matrix().toarray().astype(np.float64)
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


# --- implicit's known faults, each absent behind our interface ---


def implicit_als(X):
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        model = AlternatingLeastSquares(factors=2, iterations=2, random_state=0, num_threads=1)
        model.fit(X, show_progress=False)
    return model


def test_seen_items_do_not_come_back_at_the_least_float():
    data = tiny()
    X = data.matrix()
    _, scores = implicit_als(X).recommend(0, X[0], N=5)
    assert (scores < -1e38).any()  # implicit's fault is still there: if this fails, it was mended
    lists = ImplicitALS(factors=2, epochs=2).fit(data).recommend(["a"], k=5)
    assert sorted(lists.column("item").to_pylist()) == [3, 4, 5]


def test_item_zero_is_not_repeated_when_more_is_asked_than_there_is():
    data = tiny()
    X = data.matrix()
    ids, _ = implicit_als(X).recommend(0, X[0], N=9)
    assert len(set(ids.tolist())) < len(ids)  # implicit's fault
    lists = ImplicitALS(factors=2, epochs=2).fit(data).recommend(["a"], k=9, filter_seen=False)
    assert sorted(lists.column("item").to_pylist()) == [1, 2, 3, 4, 5]


def test_user_without_events_gets_no_arbitrary_items():
    import scipy.sparse as sp

    data = tiny()
    X = sp.vstack([data.matrix(), sp.csr_matrix((1, 5), dtype=np.float32)]).tocsr()
    _, scores = implicit_als(X).recommend(4, X[4], N=3)
    assert np.allclose(scores, 0, atol=1e-6)  # implicit's fault: three items, all at 0
    lists = ImplicitALS(factors=2, epochs=2).fit(data).recommend(["nobody"], k=3)
    assert lists.column("source").to_pylist() == ["fallback"] * 3
    assert lists.column("item").to_pylist() == [1, 2, 3]


def test_implicit_als_folds_in_as_implicit_does(data):
    model = ImplicitALS(factors=4, epochs=3, alpha=7.0, reg=0.5, cg=False).fit(data)
    from implicit.cpu.als import AlternatingLeastSquares

    theirs = AlternatingLeastSquares(factors=4, regularization=0.5, alpha=7.0, num_threads=1)
    theirs.item_factors = model.item_factors_
    expected = theirs.recalculate_user(np.arange(data.n_users), data.matrix())
    np.testing.assert_allclose(model.fold_in(data).user_factors_, expected, rtol=2e-3, atol=1e-4)


# --- explanations, likeness, resuming ---


EXPLAINING = [one for one in MODELS if type(one)._explain is not recsys.Recommender._explain]


@pytest.mark.parametrize("model", EXPLAINING, ids=lambda one: one.name)
def test_shares_of_an_explanation_add_up_to_the_score(model, data):
    fitted = model.clone().fit(data)
    if isinstance(model, IALS):
        fitted = fitted.fold_in(data)  # users solved exactly against the final item factors
    best = fitted.recommend(["u3"], k=1).to_pylist()[0]
    shares = fitted.explain("u3", best["what"], k=1000).to_pandas()
    assert shares.share.sum() == pytest.approx(best["score"], rel=5e-3)
    own = {row["what"] for row in data.to_table().to_pylist() if row["who"] == "u3"}
    assert set(shares.what) <= own


def test_popular_cannot_explain_and_says_so(data):
    with pytest.raises(InputError, match=r"Popular.explain.*cannot say"):
        Popular().fit(data).explain("u1", "i1")


@each_model
def test_similar_items_leave_the_item_out_or_are_refused(model, data):
    fitted = model.clone().fit(data)
    try:
        lists = fitted.similar_items(["i1", "i2"], k=4).to_pandas()
    except InputError as error:
        assert "without item vectors" in str(error)  # noqa: PT017
        assert isinstance(model, (Popular, RecentPopular, RandomItems, Repeat))
        return
    assert set(lists.what) == {"i1", "i2"}
    assert (lists.what != lists.similar).all()


@pytest.mark.parametrize("model", [IALS(factors=6, epochs=5), ELSA(factors=6, epochs=5, batch=16)])
def test_killed_fit_resumes_to_the_same_model(model, data, tmp_path, monkeypatch):
    whole = model.clone().fit(data)
    from recsys._checkpoint import Checkpoint

    saved = Checkpoint.save

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        if epochs == 3:
            raise KeyboardInterrupt

    path = tmp_path / "fit.safetensors"
    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(data, checkpoint=path)
    monkeypatch.setattr(Checkpoint, "save", saved)
    with pytest.raises(InputError, match="another fit"):
        model.clone().set_params(seed=9).fit(data, checkpoint=path)
    resumed = model.clone().fit(data, checkpoint=path)
    assert np.array_equal(resumed.item_factors_, whole.item_factors_)
    assert not path.exists()


def test_factors_that_blow_up_are_named_with_their_epoch(data):
    with pytest.raises(InputError, match=r"raw_ of ELSA.*after epoch 2"), np.errstate(all="ignore"):
        ELSA(factors=4, epochs=2, batch=16, learning_rate=1e38).fit(data)


def test_half_life_makes_recent_taste_count_more():
    day = 86_400
    frame = {"u": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "i": ["a", "b", "a", "b", "c", "d", "c", "d", "a", "c"]}
    times = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 300]) * day + 10**9
    data = Dataset.from_frame({**frame, "t": times}, user="u", item="i", time="t")
    flat, recent = (EASE(l2=1.0, half_life=half_life).fit(data) for half_life in (None, 30.0))
    pairs = {"u": [5, 5], "i": ["b", "d"]}
    even = flat.predict(pairs).column("score").to_numpy()
    turned = recent.predict(pairs).column("score").to_numpy()
    assert even[0] == pytest.approx(even[1], rel=1e-3)
    assert turned[1] > turned[0]


@needs_data
def test_tuned_floor_of_the_brief_is_reached_on_online_retail():
    from recsys.datasets import online_retail

    train, test = online_retail().split.time("2011-11-01")
    result = evaluate(EASE(l2=400).fit(train), test, ["ndcg@10"], targets="warm")
    assert result.mean("ndcg@10") == pytest.approx(0.103, abs=0.002)
