"""A shop's rules on lists, who is found among items, and the names that users of transformers know."""

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError
from recsys import Dataset, Popular

from .helpers import tiny


@pytest.fixture
def model():
    return Popular().fit(tiny())  # by popularity: 1, 2, then 3, 4 and 5 alike


def brands(model, a):
    return pa.array(["a" if one in a else "b" for one in model.item_ids_.values.to_pylist()])


def test_rules_cap_raise_and_pin(model):
    lists = model.recommend(["d"], k=5, filter_seen=False)
    order = lists.column("item").to_pylist()
    categories = brands(model, {1, 2, order[2]})

    def items(k=5, **rules):
        found = recsys.rules(model, lists, k, categories=categories, **rules)
        assert found.column("rank").to_pylist() == list(range(1, len(found) + 1))
        return found.column("item").to_pylist()

    assert items() == order
    assert items(most={"a": 1}) == [order[0], order[3], order[4]]  # shorter, never padded
    assert items(2, most={"a": 1}) == [order[0], order[3]]
    assert items(most={"a": 0, "b": 1}) == [order[3]]
    assert items(3, boost={"b": 2.0}) == [order[3], order[4], order[0]]
    assert items(3, first=[order[4], order[1]]) == [order[4], order[1], order[0]]
    assert items(3, first=[order[4]], most={"b": 0}) == order[:3]  # a cap is never broken
    assert items(1, first=[99]) == order[:1]
    with pytest.raises(InputError, match=r"most, boost.*no item of category 'c'"):
        items(boost={"c": 1.0})
    with pytest.raises(InputError, match="most"):
        items(most={"a": -1})


def test_utility_by_hand(model):
    later = {"user": ["a", "a", "b", "d", "zz", "c"], "item": [3, 1, 2, 2, 1, 9]}
    test = Dataset.from_frame(later, user="user", item="item")  # (a, 1) was had; zz and 9 are unknown
    lists = pa.table({"user": ["a", "a", "b", "d"], "item": [5, 3, 2, 4], "rank": pa.array([1, 2, 1, 1], pa.int32())})
    rows = {row[0]: row[1:] for row in recsys.evaluation.utility(model, lists, test, brands(model, {3})).rows}
    second = 1 / np.log2(3)
    mean = (second + 1 + 0) / 3  # (a, 3) at rank 2, (b, 2) at 1, (d, 2) not listed
    assert rows["a"] == pytest.approx([1, 1.0, second, second - mean])
    assert rows["b"] == pytest.approx([2, 0.5, 0.5, 0.5 - mean])
    with pytest.raises(InputError, match="no new pair"):
        recsys.evaluation.utility(model, lists.slice(0, 1), test.take(np.array([1])), brands(model, {3}))


def test_networks_are_kept_and_read_as_transformers_does(tmp_path):
    pytest.importorskip("torch")
    fitted = recsys.SASRec(factors=4, blocks=1, epochs=1).fit(tiny())
    fitted.save_pretrained(tmp_path / "m")
    again = recsys.SASRec.from_pretrained(tmp_path / "m")
    assert again.recommend(k=3).equals(fitted.recommend(k=3))
    Popular().fit(tiny()).save(tmp_path / "other")
    with pytest.raises(InputError, match=r"a Popular.*a SASRec"):
        recsys.SASRec.from_pretrained(tmp_path / "other")
