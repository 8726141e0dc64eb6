"""SANSA: with all items as neighbours EASE itself; with few, sparse and near it; refused before it is too large."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, SANSA, Dataset, evaluate
from recsys.linear._sansa import inverse_factor

from .helpers import events, score_matrix


@pytest.fixture(scope="module")
def data():
    return events(text=True)


def dense_factor(A, pattern):
    """Row by row from the definition: the last column of each A_SS^-1 over the root of its last entry."""
    K = np.zeros_like(A)
    for item, others in enumerate(pattern):
        members = [*others, item]
        last = np.linalg.inv(A[np.ix_(members, members)])[:, -1]
        K[item, members] = last / np.sqrt(last[-1])
    return K


def test_each_row_solves_its_own_system_on_its_nearest_earlier_items(data):
    X = data.history().matrix()
    G = (X.T @ X).toarray().astype(np.float64)
    cosine = G / np.sqrt(np.outer(G.diagonal(), G.diagonal()))
    nearest = [np.argsort(-cosine[item, :item], kind="stable")[:3] for item in range(len(G))]
    nearest = [[one for one in some if cosine[item, one] > 0] for item, some in enumerate(nearest)]
    K = inverse_factor(X, 2.0, 3).toarray()
    np.testing.assert_allclose(K, dense_factor(G + 2.0 * np.eye(len(G)), nearest), atol=1e-9)


def test_with_all_items_as_neighbours_it_is_ease():
    data = events(n=4000, text=True)
    X = data.history().matrix()
    assert (X.T @ X).nnz == data.n_items**2  # all meet
    first, second = EASE(l2=5.0).fit(data), SANSA(l2=5.0, neighbours=100).fit(data)
    np.testing.assert_allclose(score_matrix(second), score_matrix(first), atol=1e-4)
    ids = data.item_ids.values[:4].to_pylist()
    for model in (first, second):
        assert model.similar_items(ids, k=3).num_rows == 12
    near = [model.similar_items(ids, k=3).column("score").to_numpy() for model in (first, second)]
    np.testing.assert_allclose(near[1], near[0], atol=1e-4)


def test_few_neighbours_are_sparse_and_nearly_as_good():
    train, test = events(users=300, items=120, n=6000).split.time()
    dense, sparse = EASE(l2=20.0).fit(train), SANSA(l2=20.0, neighbours=20).fit(train)
    assert sparse.factor_.nnz <= 21 * len(sparse.item_ids_)
    scores = [evaluate(one, test, ["ndcg@10"], targets="warm").mean("ndcg@10") for one in (dense, sparse)]
    assert scores[1] > 0.95 * scores[0]


def test_shares_of_a_users_items_add_up_to_the_score(data):
    model = SANSA(l2=5.0, neighbours=4).fit(data)
    user, item = data.user_ids.values[3].as_py(), data.item_ids.values[7].as_py()
    shares = model.explain(user, item, k=99)
    score = model.predict({"who": [user], "what": [item]}).column("score")[0].as_py()
    assert sum(shares.column("share").to_pylist()) == pytest.approx(score, abs=1e-5)


def test_items_that_meet_nobody_are_alone():
    data = Dataset.from_frame({"u": [1, 1, 2, 3], "i": [1, 2, 3, 4]}, user="u", item="i")
    model = SANSA(l2=1.0).fit(data)
    assert model.factor_.nnz == 5  # one link, between 1 and 2
    assert recsys.evaluate(model, data, ["mrr"], filter_seen=False).mean("mrr") <= 1


def test_what_is_too_large_is_refused_before_it_is_made(data):
    with pytest.raises(InputError, match=r"SANSA on 30 items.*GiB.*IALS"):
        SANSA(memory=1e-9).fit(data)
    for name, wrong in (("l2", 0.0), ("neighbours", -1)):
        with pytest.raises(InputError, match=f"{name} of SANSA: got {wrong}, expected"):
            SANSA().set_params(**{name: wrong}).fit(data)
