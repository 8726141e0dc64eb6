"""The compiled lists: scores, inner products and sparse products, filtered, beside a full sort."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from recsys import EASE, IALS, SANSA, ContentKNN, Dataset, ItemKNN, Markov, Popular, Trend
from recsys.baselines import UserKNN
from recsys.data._ids import IdMap
from recsys.recommender import _longest
from recsys.recommender._longest import top_of_factors
from recsys.recommender._sound import Pairs
from recsys.recommender._topk import Filter, best_of_rows, packed, top_of_product, top_of_scores

from .helpers import events


def by_full_sort(scores, k, rules):
    """Lists of (item, score), by sorting all of each row."""
    lists = []
    for row, own in enumerate(scores.astype(np.float32)):
        own = own.copy()
        falls = rules.falls_back is not None and rules.falls_back[row]
        if falls:
            own = rules.fallback.copy()
        elif rules.scale is not None:
            own = np.where(own > 0, own * rules.scale, own / rules.scale)
        may = np.isfinite(own)
        if rules.skips_zeros and not falls:
            may &= own != 0
        for matrix, wanted in ((rules.hidden, False), (rules.among, True)):
            if matrix is not None:
                may &= (matrix[row].toarray().ravel() != 0) == wanted
        if rules.allowed is not None:
            may &= rules.allowed
        order = [item for item in np.lexsort((np.arange(len(own)), -own)) if may[item]][:k]
        lists.append([(int(item), float(own[item])) for item in order])
    return lists


def as_rows(lists):
    pairs = list(zip(lists.item.tolist(), lists.score.tolist(), strict=True))
    ends = np.cumsum(lists.counts)
    return [pairs[end - count : end] for end, count in zip(ends, lists.counts, strict=True)]


@st.composite
def asked(draw, most=40):
    rows, items, seed = draw(st.integers(1, 9)), draw(st.integers(1, most)), draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)

    def some():
        return sp.csr_matrix(rng.random((rows, items)) < 0.3, dtype=np.float32)

    fallback = rng.integers(-2, 3, items).astype(np.float32)
    fallback[rng.random(items) < 0.3] = -np.inf
    rules = Filter(
        hidden=some() if draw(st.booleans()) else None,
        among=some() if draw(st.booleans()) else None,
        allowed=rng.random(items) < 0.7 if draw(st.booleans()) else None,
        skips_zeros=draw(st.booleans()),
        scale=rng.choice(np.array([0.5, 1, 2], np.float32), items) if draw(st.booleans()) else None,
        falls_back=rng.random(rows) < 0.3 if draw(st.booleans()) else None,
        fallback=fallback,
    )
    return rng, rows, items, draw(st.integers(1, 45)), rules


@settings(max_examples=150, deadline=None)
@given(asked())
def test_lists_of_scores_are_those_of_a_full_sort(case):
    rng, rows, items, k, rules = case
    scores = rng.integers(-3, 4, (rows, items)).astype(np.float32)  # many ties
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    assert as_rows(top_of_scores(scores.copy(), k, rules)) == by_full_sort(scores, k, rules)


@settings(max_examples=100, deadline=None)
@given(asked())
def test_lists_of_factors_are_those_of_their_products(case):
    rng, rows, items, k, rules = case
    P, Q = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (rows, items))
    assert as_rows(top_of_factors(P, Q, k, rules)) == by_full_sort(P @ Q.T, k, rules)


@pytest.fixture
def few_are_many(monkeypatch):
    """The longest items are tried first in the smallest tables, too."""
    for name, value in {"_ROWS": 1, "_ITEMS": 4, "_FEWEST": 1, "_MORE": 2, "_PROBE": 2}.items():
        monkeypatch.setattr(_longest, name, value)


@pytest.mark.usefixtures("few_are_many")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked(most=200))
def test_lists_from_the_longest_items_are_those_of_all(case):
    rng, rows, items, k, rules = case
    k = 1 + k % 4
    P, Q = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (rows, items))
    Q *= rng.choice(np.array([0, 0.25, 1, 4, 64], np.float32), (items, 1))
    P *= rng.random((rows, 1)) < 0.8
    assert as_rows(top_of_factors(P, Q, k, rules)) == by_full_sort(P @ Q.T, k, rules)


@pytest.mark.parametrize(("spread", "most"), [(3.0, 0.05), (0.0, 1.1)])
def test_few_of_the_items_are_scored_where_lengths_differ(monkeypatch, spread, most):
    """Counted in products: a twentieth where popular items are longer, a tenth more than all where none is."""
    draw, products, listed = np.random.default_rng(0), [], _longest._list
    P, Q = draw.standard_normal((400, 8)), draw.standard_normal((40_000, 8))
    Q *= np.exp(spread * draw.standard_normal((40_000, 1))) / np.linalg.norm(Q, axis=1, keepdims=True)
    P, Q = P.astype(np.float32), Q.astype(np.float32)
    hidden = sp.csr_matrix((np.ones(800), draw.integers(0, 40_000, 800), np.arange(0, 801, 2)), (400, 40_000))
    hidden.sum_duplicates()

    def spy(queries, items, *rest):
        products.append(len(queries) * len(items))
        return listed(queries, items, *rest)

    monkeypatch.setattr(_longest, "_list", spy)
    found = top_of_factors(P, Q, 10, Filter(hidden=hidden))
    expected = packed(*listed(P, Q, 10, Filter(hidden=hidden)))
    assert found.item.tolist() == expected.item.tolist()
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)
    assert sum(products) <= most * 400 * 40_000


@settings(max_examples=100, deadline=None)
@given(asked())
def test_lists_of_sparse_products_are_those_of_the_dense_one(case):
    rng, rows, items, k, rules = case
    rules = Filter(**{**vars(rules), "skips_zeros": True})
    left, right = (
        sp.csr_matrix(rng.integers(-2, 3, shape) * (rng.random(shape) < 0.4), dtype=np.float32)
        for shape in ((rows, 6), (6, items))
    )
    assert as_rows(top_of_product(left, right, k, rules)) == by_full_sort((left @ right).toarray(), k, rules)


def test_many_rows_are_listed_in_blocks_as_one():
    draw = np.random.default_rng(0)
    scores = draw.standard_normal((1000, 30)).astype(np.float32)
    hidden = sp.random(1000, 30, 0.3, "csr", np.float32, rng=draw)
    expected = by_full_sort(scores, 5, Filter(hidden=hidden))
    assert as_rows(top_of_scores(scores, 5, Filter(hidden=hidden))) == expected


def test_best_of_rows_keeps_the_greatest_but_the_diagonal():
    matrix = sp.csr_matrix(np.array([[9, 2, 0, 3], [1, 9, 1, 0], [0, 0, 9, 0]], np.float32))
    assert best_of_rows(matrix, 2).toarray().tolist() == [[9, 0, 0, 3], [1, 9, 0, 0], [0, 0, 9, 0]]
    square = sp.csr_matrix(np.array([[9, 2, 1], [1, 9, 1], [0, 0, 9]], np.float32))
    assert best_of_rows(square, 1, but_diagonal=True).toarray().tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


# --- what the models make of it ---


MODELS = [EASE(l2=5.0), IALS(factors=4, epochs=2), ItemKNN(k=5), Popular(), UserKNN(k=5)]
each = pytest.mark.parametrize("model", MODELS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return events(text=True)


@each
def test_candidates_of_each_user_are_the_only_ones_listed(model, data):
    fitted = model.clone().fit(data)
    own = {"u3": ["i1", "i2", "i9", "i20"], "u5": ["i0", "i4"], "u7": []}
    pairs = [(user, item) for user, items in own.items() for item in items]
    table = {"who": [user for user, _ in pairs], "what": [item for _, item in pairs]}
    lists = fitted.recommend(["u3", "u5", "u7", "u3"], 9, candidates=table, filter_seen=False, exclude=["i2"])
    whole = fitted.recommend(["u3"], 99, filter_seen=False, exclude=["i2"]).column("what").to_pylist()
    rows = lists.to_pylist()
    assert {row["who"] for row in rows} <= {"u3", "u5"}
    first = [row["what"] for row in rows if row["who"] == "u3"]
    expected = [item for item in whole if item in own["u3"]]
    assert first == expected * 2
    assert {row["what"] for row in rows if row["who"] == "u5"} <= {"i0", "i4"}


def test_candidates_without_a_user_column_are_named(data):
    with pytest.raises(InputError, match=r"column 'who'.*candidates"):
        EASE(l2=5.0).fit(data).recommend(["u3"], 3, candidates={"what": ["i1"]})


@each
def test_the_list_of_one_user_is_that_of_the_table(model, data):
    fitted = model.clone().fit(data)
    for user in ("u3", "nobody"):
        for options in ({}, {"exclude": ["i1", "i3"]}, {"filter_seen": False}):
            rows = fitted.recommend([user], 4, **options).to_pylist()
            assert fitted.recommend_one(user, 4, **options) == [(row["what"], row["score"]) for row in rows]
    with pytest.raises(InputError, match="user ids"):
        fitted.recommend_one(17)


@each
def test_similar_users_are_by_cosine_of_their_vectors(model, data):
    fitted = model.clone().fit(data)
    found = fitted.similar_users(["u3", "u4"], 5).to_pandas()
    assert (found.who != found.similar).all()
    vectors = fitted._user_vectors()
    vectors = np.asarray(vectors.toarray() if sp.issparse(vectors) else vectors, float)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = fitted.user_ids_.codes(["u3", "u4"])
    for code, (_, one) in zip(codes, found.groupby("who", sort=False), strict=True):
        alike = unit @ unit[code]
        alike[code] = -np.inf
        np.testing.assert_allclose(one.score, np.sort(alike)[::-1][:5], rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="'nobody'"):
        fitted.similar_users(["nobody"])


def test_a_trend_raises_scores_below_0_too():
    draw = np.random.default_rng(0)
    X = draw.random((60, 8)) < 0.3
    X[:, 0] = X[0, :] = True
    user, item = np.nonzero(X)
    frame = {"u": user, "i": item, "t": 1_600_000_000 + 86_400 * np.where(item == 5, 300, 0)}
    data = Dataset.from_frame(frame, user="u", item="i", time="t")
    plain, trending = (Trend(model=EASE(l2=0.5), trend=trend, damp=0.0).fit(data) for trend in (0.0, 1.0))
    pairs = {"u": np.arange(60), "i": np.full(60, 5)}
    before, after = (one.predict(pairs).column("score").to_numpy() for one in (plain, trending))
    assert (before < 0).any()
    assert (after > before).all()


def test_implicits_cosine_lists_are_ours():
    from implicit.nearest_neighbours import CosineRecommender

    data = events(users=80, items=40, n=2000)
    X = data.history().matrix()
    peer = CosineRecommender(K=12, num_threads=1)
    peer.fit(X, show_progress=False)
    model = ItemKNN(k=11).fit(data)
    model.weights_ = sp.csr_matrix(peer.similarity - sp.diags(peer.similarity.diagonal()), dtype=np.float32)
    items, scores = peer.recommend(np.arange(20), X[:20], N=5)
    ours = model.recommend(model.user_ids_.values[:20], 5)
    real = scores > 0
    np.testing.assert_allclose(ours.column("score").to_numpy(), scores[real], rtol=1e-5)
    assert (items[real] == model.item_ids_.codes(ours.column("what"))).mean() > 0.9  # ties may fall either way


def test_ids_are_found_alike_one_by_one_and_by_a_table_of_all(monkeypatch):
    from recsys.data import _ids

    for values in (pa.array([7, -3, 12]), pa.array(["a", "", "ü"])):
        known = [*values.to_pylist(), values[1].as_py()]
        asked = [*known, 99 if isinstance(known[0], int) else "z"]
        quick = _ids.IdMap(values, "user").codes(asked)
        monkeypatch.setattr(_ids, "_MOST", 2)
        assert quick.tolist() == _ids.IdMap(values, "user").codes(asked).tolist() == [0, 1, 2, 1, -1]
        monkeypatch.undo()


def test_rows_one_after_the_other_are_taken_as_others_are():
    data = events(text=True)
    history = data.history()
    for rows in ([3], [0], [4, 5, 6], list(range(len(history)))):
        found, other = history.take(np.array(rows)), history.take(np.array([*rows, -1]))
        assert found.indptr.tolist() == other.indptr[:-1].tolist()
        assert found.item.tolist() == other.item.tolist()
        assert found.time.tolist() == other.time.tolist()


def test_distinct_pairs_are_those_of_the_matrix_and_an_item_outside_is_refused():
    history = events(text=True).history().take(np.array([2, -1, 7, 2]))
    pairs, matrix = Pairs.of(history), history.matrix()
    assert pairs.shape == matrix.shape
    assert pairs.indptr.tolist() == matrix.indptr.tolist()
    assert pairs.indices.tolist() == matrix.indices.tolist()
    for bad in (-1, history.n_items):
        item = history.item.copy()
        item[0] = bad
        with pytest.raises(InputError, match="outside"):
            Pairs.of(dataclasses.replace(history, item=item))


@pytest.mark.parametrize("model", [IALS(factors=4, epochs=2), ItemKNN(k=5), EASE(), Popular(), SANSA(neighbours=8)])
def test_the_list_of_one_user_is_that_of_many(model):
    data = events(text=True)
    fitted = model.clone().fit(data)
    users = [*data.user_ids.values.to_pylist()[:9], "nobody"]
    together = fitted.recommend(users, k=6, exclude=["i1"])
    alone = pa.concat_tables([fitted.recommend([user], k=6, exclude=["i1"]) for user in users])
    scores = [one.column("score").to_numpy() for one in (together, alone)]
    np.testing.assert_allclose(*scores, rtol=1e-5)
    assert alone.drop_columns("score").equals(together.drop_columns("score"))
    items = [item for user in users for item, _ in fitted.recommend_one(user, 6, exclude=["i1"])]
    assert items == alone.column("what").to_pylist()


@pytest.mark.parametrize("model", [IALS(factors=4, epochs=2), ItemKNN(k=5), EASE(), ContentKNN(), Markov()])
@pytest.mark.parametrize("text", [True, False])
def test_one_user_in_a_list_an_array_and_among_others_has_one_list(model, text):
    data = events(text=text)
    kinds = {"kind": [f"k{one % 7}" for one in range(data.n_items)]}
    data = dataclasses.replace(data, items=pa.table(kinds)) if isinstance(model, ContentKNN) else data
    fitted = model.clone().fit(data)
    users = data.user_ids.values.to_pylist()
    for k, seen in ((1, True), (7, False), (99, True)):
        together = fitted.recommend(users, k, filter_seen=seen, block=3)
        for user in (users[0], users[-1]):
            alone = fitted.recommend([user], k, filter_seen=seen)
            assert alone.equals(fitted.recommend(pa.array([user]), k, filter_seen=seen))
            assert alone.schema == together.schema
            among = together.filter(pc.equal(together.column(0), user))
            assert alone.drop_columns("score").equals(among.drop_columns("score").combine_chunks())
            np.testing.assert_allclose(alone.column("score"), among.column("score"), rtol=1e-5)


def test_an_id_that_is_found_at_once_is_that_of_an_array():
    for values in (pa.array([7, -3, 12]), pa.array(["a", "", "ü"])):
        ids = IdMap(values, "user")
        for one in values.to_pylist():
            for form in ([one], (one,), np.array([one])):
                codes, array = ids.find(form)
                assert (codes.dtype, codes.tolist()) == (np.int32, ids.codes([one]).tolist())
                assert array.equals(pa.array([one]))
    integers = IdMap(pa.array([0, 1]), "user")
    assert integers.find([np.int32(1)])[0].tolist() == [1]
    assert integers.find([5])[0].tolist() == [-1]
    assert integers.find([1.0])[0].tolist() == [1]  # a missing value makes floats of a column
    for bad in ([True], [1.5], ["1"], [None]):
        with pytest.raises(InputError, match="user ids"):
            integers.find(bad)


def test_rows_with_a_score_for_most_items_are_listed_as_others_are():
    draw = np.random.default_rng(3)
    left = sp.csr_matrix((draw.random((9, 12)) < np.linspace(0, 1, 9)[:, None]).astype(np.float32))
    right = sp.csr_matrix(np.where(draw.random((12, 20)) < 0.5, draw.integers(-3, 4, (12, 20)), 0), dtype=np.float32)
    hidden = sp.csr_matrix((draw.random((9, 20)) < 0.2).astype(np.float32))
    among = sp.csr_matrix((draw.random((9, 20)) < 0.6).astype(np.float32))
    scale = (0.5 + draw.random(20)).astype(np.float32)
    for rules in (
        Filter(),
        Filter(hidden=hidden),
        Filter(among=among, scale=scale),
        Filter(hidden=hidden, scale=scale),
    ):
        whole = dataclasses.replace(rules, skips_zeros=True)
        expected = top_of_scores((left @ right).toarray(), 6, whole)
        found = top_of_product(left, right, 6, rules)
        assert found.counts.tolist() == expected.counts.tolist()
        assert found.item.tolist() == expected.item.tolist()
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-6)
