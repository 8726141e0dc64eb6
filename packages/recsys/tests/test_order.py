"""Equal scores: one order in lists, in a service and in an evaluation."""

import numpy as np
import pytest
import recsys
from hypothesis import given, settings
from hypothesis import strategies as st
from recsys.serving._live import Live


def tied_log(seed: int, *, text: bool) -> recsys.Dataset:
    """Few events of many items: most scores are equal."""
    draw = np.random.default_rng(seed)
    user, item = draw.integers(0, 12, 40), draw.integers(0, 25, 40)
    name = (lambda letter, codes: [f"{letter}{one}" for one in codes]) if text else (lambda _, codes: codes)
    return recsys.Dataset.from_frame({"user": name("u", user), "item": name("i", item)}, user="user", item="item")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["popular", "item-knn", "ease(l2=5)", "rp3beta"]))
def test_lists_and_service_show_the_order_that_is_judged(seed, text, name):
    data = tied_log(seed, text=text)
    model = recsys.recommender._registry.parse_model(name).fit(data)
    users, items = model.user_ids_.values.to_pylist(), model.item_ids_.values.to_pylist()
    live, k = Live(model), len(items)
    for user in users:
        listed = [item for item, _ in model.recommend_one(user, k)]
        table = model.recommend([user], k).column("item").to_pylist()
        many = model.recommend(users, k, block=5)
        served = live.lists([{"users": [user], "k": k}])[0]["lists"][0]["items"]
        together = [row["item"] for row in many.to_pylist() if row["user"] == user]
        assert listed == table == served == together
        for rank, item in enumerate(listed, 1):  # what evaluation says of each place of the list
            test = recsys.Dataset.from_frame({"user": [user], "item": [item]}, user="user", item="item")
            assert recsys.evaluate(model, test, ["mrr"]).values["mrr"][0] == pytest.approx(1 / rank)


def test_a_model_without_taste_shows_every_item_to_somebody():
    users, items = np.divmod(np.arange(40 * 30), 30)
    data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")
    lists = recsys.Popular().fit(data).recommend(range(1000, 1400), 3)
    counts = np.bincount(lists.column("item").to_numpy(), minlength=30)
    assert counts.min() > 15  # 40 expected of each
    assert counts.max() < 75


def test_the_order_is_one_of_all_items():
    from recsys.data._order import is_ahead, row_keys

    keys = row_keys(np.arange(5))
    for key in keys:
        wins = [sum(is_ahead(key, item, other, 0) for other in range(20)) for item in range(20)]
        assert sorted(wins) == list(range(20))
