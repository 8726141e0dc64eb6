"""What functions are given by mistake is refused in one line, or taken for what it plainly means."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError, MissingExtraError

from .helpers import events

DATA = events(users=30, items=12, n=400, text=True)
TRAIN, TEST = DATA.split.time()
MODEL = recsys.IALS(factors=4, epochs=2).fit(TRAIN)


@pytest.mark.parametrize("users", [pd.DataFrame({"who": ["u1"]}), {"who": ["u1"]}, pa.table({"who": ["u1"]}), TEST])
def test_a_frame_of_users_is_not_taken_for_its_columns_names(users):
    with pytest.raises(InputError, match=r"user ids.*a (DataFrame|dict|Table|Dataset).*one column"):
        MODEL.recommend(users, k=2)


def test_one_metric_may_be_named_by_itself():
    lists = recsys.evaluate(MODEL, TEST, ["ndcg@10"]).mean("ndcg@10")
    assert recsys.evaluate(MODEL, TEST, "ndcg@10").mean("ndcg@10") == lists
    assert recsys.compare([MODEL], TRAIN, TEST, "ndcg@10").metrics == ("ndcg@10",)
    assert list(recsys.evaluate_next(MODEL, TEST, "mrr").values) == ["mrr"]


def test_models_may_be_named_wherever_they_are_given():
    found = recsys.compare(["ease(l2=50)", recsys.Popular()], TRAIN, TEST, ["ndcg@10"])
    assert set(found.evaluations) == {"EASE(l2=50.0)", "Popular()", "RecentPopular()"}
    assert repr(recsys.tune("ease", TRAIN, trials=1).best) == "EASE()"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recsys.compare([recsys.EASE], TRAIN, TEST), r"models.*the class EASE.*a model"),
        (lambda: recsys.compare("ease", TRAIN, TEST), r"models.*'ease'.*a list"),
        (lambda: recsys.compare([3], TRAIN, TEST), r"models.*3.*a model"),
        (lambda: recsys.tune(recsys.EASE, TRAIN), r"model.*the class EASE"),
        (lambda: recsys.tune(recsys.EASE(), TRAIN, trials="3"), r"trials.*'3'.*whole number"),
        (lambda: recsys.evaluate(recsys.EASE, TEST), r"model.*the class EASE.*fitted"),
        (lambda: recsys.evaluate("ease", TEST), r"model.*a str.*fitted"),
        (lambda: recsys.evaluate(MODEL, TEST, []), r"metrics.*none"),
        (lambda: recsys.evaluate_next(MODEL, TEST.to_table()), r"test.*a Table.*Dataset"),
        (lambda: recsys.evaluate_values(recsys.Bias, TEST), r"model.*the class Bias"),
        (lambda: recsys.best(DATA, "never", today=recsys.EASE), r"today.*the class EASE"),
        (lambda: recsys.recommend_to_file(MODEL, "never.parquet", block=0), r"block.*0.*at least 1"),
        (lambda: recsys.build_index(MODEL, recall=95), r"recall.*95.*a share"),
    ],
)
def test_what_cannot_be_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_an_index_takes_what_a_model_takes():
    index = recsys.build_index(MODEL)
    assert index.recommend(["u1"], k=3.0).num_rows == 3
    for wrong in ({"k": "3"}, {"k": 3, "block": 0}):
        with pytest.raises(InputError, match=r"(k|block): got"):
            index.recommend(["u1"], **wrong)


@pytest.mark.parametrize("rerank", [
    lambda lists, k: recsys.mmr(MODEL, lists, k),
    lambda lists, k: recsys.calibrate(MODEL, lists, k, ["a", "b"] * 6),
    lambda lists, k: recsys.quota(MODEL, lists, k, ["a", "b"] * 6, {"a": 0.5}),
    lambda lists, k: recsys.rules(MODEL, lists, k, categories=["a", "b"] * 6, most={"a": 1}),
])  # fmt: skip
def test_lists_of_any_frame_are_reranked_and_those_of_others_refused(rerank):
    lists = MODEL.recommend(["u1", "u2"], k=6)
    own = rerank(lists, 2)
    assert rerank(lists.to_pandas(), 2.0).select(["who", "what"]).equals(own.select(["who", "what"]))
    assert rerank(MODEL.recommend([], k=6), 2).num_rows == 0
    with pytest.raises(InputError, match="k: got"):
        rerank(lists, "2")
    other = lists.set_column(1, "what", pa.array(["?"] * lists.num_rows))
    with pytest.raises(InputError, match="unknown items in"):
        rerank(other, 2)


def test_what_a_shop_has_today_is_tried_before_the_search(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="Bias: got events without values"):
        recsys.best(DATA, tmp_path / "run", minutes=5, trials=3, cuts=3, today="bias")

    def refuse(self):
        raise MissingExtraError("torch", "recsys", "torch")

    monkeypatch.setattr(recsys.SASRec, "check_extras", refuse)
    with pytest.raises(MissingExtraError):
        recsys.best(DATA, tmp_path / "other", minutes=5, trials=3, cuts=3, today="sasrec")
    assert not (tmp_path / "other").exists()


def test_quotas_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="shares"):
        recsys.quota(MODEL, MODEL.recommend(["u1"], k=6), 2, ["a", "b"] * 6, {"a": np.nan})


@pytest.mark.parametrize("rows", [slice(2, 5), [2, 3, 4], np.isin(np.arange(400), [2, 3, 4])])
def test_events_are_taken_by_slices_lists_and_masks(rows):
    assert DATA[rows].to_table().equals(DATA.to_table().slice(2, 3))
    assert len(DATA[5]) == 1
    assert DATA.take([2, 3, 4]).to_table().equals(DATA.to_table().slice(2, 3))
