"""Scores that follow a trend: the same for every model that can, told apart from what is learned."""

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import (
    EASE,
    ELSA,
    IALS,
    SANSA,
    SLIM,
    ContentKNN,
    Dataset,
    FeatureIALS,
    IALSpp,
    ImplicitALS,
    ItemKNN,
    RP3beta,
)
from recsys.evaluation._tune import space_of

from .helpers import events, score_matrix
from .test_cold import shop

FOLLOW = {"trend": 0.5, "damp": 0.3, "recent": 0.002}
MODELS = [
    EASE(l2=5.0), ItemKNN(k=5), IALS(factors=4, epochs=2), IALSpp(factors=4, epochs=2), ImplicitALS(factors=4),
    ELSA(factors=4, epochs=2, batch=16), SANSA(l2=5.0, neighbours=8), RP3beta(k=5), SLIM(l1=0.5, l2=5.0),
]  # fmt: skip
each = pytest.mark.parametrize("model", MODELS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return events(text=True)


def expected_scale(data):
    age = (data.time.max() - data.time) / 86_400_000_000
    recent = np.bincount(data.item, weights=0.5 ** (age / 0.002), minlength=data.n_items)
    users = np.diff(data.matrix().tocsc().indptr)
    scale = np.maximum(recent, 1e-3) ** 0.5 / users**0.3
    return scale / np.exp(np.log(scale).mean())


@each
def test_scores_are_those_without_times_recent_over_users(model, data):
    plain, following = model.clone().fit(data), model.clone().set_params(**FOLLOW).fit(data)
    before, scale = score_matrix(plain), expected_scale(data)
    expected = np.where(before > 0, before * scale, before / scale)  # below 0 the other way: what sells moves up
    np.testing.assert_allclose(score_matrix(following), expected, rtol=2e-3, atol=1e-5)


@each
def test_shares_files_and_folded_users_keep_the_trend(model, data, tmp_path):
    fitted = model.clone().set_params(**FOLLOW).fit(data)
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    assert loaded.recommend(k=4).equals(fitted.recommend(k=4))
    folded = loaded.fold_in(data)  # vectors of users by the last items' vectors, as explanations have them
    user, item = data.user_ids.values[3].as_py(), data.item_ids.values[7].as_py()
    score = folded.predict({"who": [user], "what": [item]}).column("score")[0].as_py() or 0.0
    assert sum(folded.explain(user, item, k=99).column("share").to_pylist()) == pytest.approx(score, abs=1e-3)


def test_what_sells_now_moves_up():
    rows = [(user, item, 0) for user in range(20) for item in range(4)] + [(50, 2, 30), (51, 2, 30), (52, 2, 30)]
    frame = {"u": [r[0] for r in rows], "i": [r[1] for r in rows], "t": [1_600_000_000 + 86_400 * r[2] for r in rows]}
    data = Dataset.from_frame({**frame}, user="u", item="i", time="t")
    first = EASE(l2=1.0, trend=0.5).fit(data).recommend([0], k=1, filter_seen=False)
    assert first.column("i").to_pylist() == [2]


def test_items_without_events_keep_their_scores():
    data = shop()
    model = FeatureIALS(factors=4, damp=0.5).fit(data)
    assert model.item_scale_[model.popular_ == 0].tolist() == [1.0]
    model.add_items({"item": [77], "text": ["iron saw"]})
    assert model.recommend([1], k=9, filter_seen=False).num_rows == 7


def test_items_added_later_have_a_place_among_weights_and_trend():
    model = ContentKNN(k=3, damp=0.5, transform="bm25").fit(shop())
    model.add_items({"item": [77], "text": ["iron saw"]})
    lists = model.recommend([3], k=9)
    assert 77 in lists.column("item").to_pylist()
    events = {"user": [50, 50], "item": [2, 77]}
    assert model.fold_in(Dataset.from_frame(events, user="user", item="item")).recommend(k=2).num_rows


@pytest.mark.parametrize("wrong", [{"trend": -1.0}, {"damp": float("nan")}, {"recent": 0.0}])
def test_exponents_below_nothing_are_refused(wrong, data):
    with pytest.raises(InputError, match="trend, damp, recent"):
        EASE(**wrong).fit(data)


def test_a_trend_needs_times():
    data = Dataset.from_frame({"u": [1, 1, 2], "i": [1, 2, 2]}, user="u", item="i")
    with pytest.raises(InputError, match=r"trend.*without times"):
        EASE(trend=0.3).fit(data)
    assert set(space_of(EASE(), data)) == {"l2"}
    assert {"trend", "damp", "recent", "half_life"} < set(space_of(EASE(), events()))
