"""Repurchase: what is due follows its formula; without seen items the order is the inner model's."""

import numpy as np
import pytest
import recsys
from recsys import Dataset
from recsys.recommender._query import Query

from .helpers import events

DAY = 86400


def log(rows):
    return Dataset.from_frame(dict(zip("uit", zip(*rows, strict=True), strict=True)), user="u", item="i", time="t")


def scores(model):
    """Item -> score of user 1, seen items among them."""
    lists = model.recommend([1], 50, filter_seen=False)
    return dict(zip(lists["i"].to_pylist(), lists["score"].to_pylist(), strict=True))


def test_scores_follow_the_formula():
    start, now = 1_600_000_000, 1_600_000_000 + 40 * DAY
    rows = [(1, 7, start), (1, 7, start + 10 * DAY), (1, 7, start + 20 * DAY), (1, 8, start + 30 * DAY), (2, 8, now)]
    model = recsys.Repurchase(model="popular", half_life=20.0, lapse=2.0, rate=1.0).fit(log(rows))
    again = 1 / 3  # of three pairs one was bought again
    rate = {7: (1 + 2 * again) / (1 + 2), 8: (0 + 2 * again) / (2 + 2)}
    gap = 10.0  # days between purchases of the only pair of three
    c = sum(0.5 ** (age / 20) for age in (40, 30, 20)) * rate[7] * 2 ** (-20 / ((20 + 2 * gap) / (2 + 2)) / 2)
    d = 0.5 ** (10 / 20) * rate[8] * 2 ** (-10 / ((0 + 2 * gap) / 2) / 2)
    assert scores(model) == pytest.approx({7: c / (1 + c), 8: d / (1 + d)}, rel=1e-5)


@pytest.mark.parametrize("inner", ["popular", "item-knn", "ease(l2=5)", "trend(model=puresvd(factors=4))"])
def test_without_seen_items_the_order_is_that_of_the_inner_model(inner):
    data = events(60, 25, 900)
    mine = recsys.Repurchase(model=inner).fit(data).recommend(k=5, filter_seen=True)
    theirs = recsys.recommender._registry.parse_model(inner).fit(data).recommend(k=5, filter_seen=True)
    assert mine["who"].equals(theirs["who"])
    same = np.array(mine["what"].to_pylist()) == np.array(theirs["what"].to_pylist())
    assert same.mean() > 0.98  # scores that float32 cannot tell apart after scaling may change places


def test_it_finds_what_users_buy_again_and_leaves_room_for_what_is_new():
    data = events(60, 25, 1500)
    train, test = data.split.time()
    rivals = [recsys.Repurchase(model="popular"), recsys.Popular()]
    mine, popular = (recsys.evaluate(one.fit(train), test, ["ndcg@10"], filter_seen=False) for one in rivals)
    assert mine.mean("ndcg@10") > popular.mean("ndcg@10")
    assert recsys.Repurchase(model="popular").fit(train).recommend(k=25).num_rows == 60 * 25


@pytest.mark.parametrize("timed", [True, False])
def test_a_folder_and_later_users_answer_alike(timed, tmp_path):
    data = events(40, 20, 600) if timed else Dataset.from_frame(
        events(40, 20, 600).to_table().select(["who", "what"]), user="who", item="what"
    )  # fmt: skip
    model = recsys.Repurchase(model="item-knn").fit(data)
    model.save(tmp_path / "m")
    assert recsys.load(tmp_path / "m").recommend(k=4).equals(model.recommend(k=4))
    users = model.user_ids_.values.to_pylist()[:5]
    part = data.take(np.isin(data.user, data.user_ids.codes(users)))
    later = model.fold_in(part).recommend(users, 4)
    assert later["what"].equals(model.recommend(users, 4)["what"])


def test_users_without_events_get_popular_items():
    model = recsys.Repurchase(model="ease(l2=5)").fit(events(40, 20, 600))
    assert set(model.recommend([10**6], 3)["source"].to_pylist()) == {"fallback"}
    row, _, _ = model.due(Query(np.array([-1]), model.history_.take(np.array([-1]))))
    assert len(row) == 0
