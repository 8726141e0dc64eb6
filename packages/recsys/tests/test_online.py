"""Doubly robust estimates by simulation, and the size of an online test."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ninefold.errors import InputError
from recsys import ItemKNN, simulate
from recsys.evaluation import (
    beyond_accuracy,
    doubly_robust,
    events_needed,
    exposure,
    interleave,
    ips,
    prefer,
    slate_value,
    snips,
    utility,
)
from recsys.evaluation._propensity import Estimate


def world(draw: np.random.Generator, n: int, error: float, shift: float) -> tuple[Estimate, Estimate, float]:
    """(doubly robust, IPS, truth): three actions, two contexts; a model wrong by `error`, propensities by `shift`."""
    truth = np.array([[0.1, 0.3, 0.5], [0.6, 0.4, 0.2]])
    logging, policy = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]), np.array([[0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])
    context = draw.integers(0, 2, n)
    action = (draw.random(n)[:, None] > np.cumsum(logging[context], axis=1)).sum(axis=1)
    reward = (draw.random(n) < truth[context, action]).astype(float)
    model = truth + error
    propensity = np.clip(logging + shift * np.array([1, 0, -1]), 0.05, 1)
    given = reward, policy[context, action], propensity[context, action]
    expected = (policy * model).sum(axis=1)[context]
    return (
        doubly_robust(*given, model[context, action], expected),
        ips(*given),
        float((policy * truth).sum(axis=1).mean()),
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw, runs = np.random.default_rng(0), 1000
    held = sum(
        robust.low <= truth <= robust.high for robust, _, truth in (world(draw, 400, 0.1, 0.0) for _ in range(runs))
    )
    assert 0.93 <= held / runs <= 0.97


def test_one_of_model_and_propensities_may_be_wrong():
    draw = np.random.default_rng(1)
    right_model = [
        (robust.mean - truth, plain.mean - truth)
        for robust, plain, truth in (world(draw, 2000, 0.0, 0.1) for _ in range(60))
    ]
    robust, plain = np.abs(np.mean(right_model, axis=0))
    assert robust < 0.01 < plain
    right_weights = [robust.mean - truth for robust, _, truth in (world(draw, 2000, 0.3, 0.0) for _ in range(60))]
    assert abs(np.mean(right_weights)) < 0.01


def test_a_good_model_narrows_the_interval():
    robust, plain, _ = world(np.random.default_rng(2), 2000, 0.0, 0.0)
    assert robust.high - robust.low < 0.9 * (plain.high - plain.low)


def test_as_many_users_as_are_needed_find_the_lift():
    n, draw = events_needed(0.2, 0.2), np.random.default_rng(0)
    a, b = draw.binomial(n, 0.2, 4000) / n, draw.binomial(n, 0.24, 4000) / n
    middle = (a + b) / 2
    found = np.abs(b - a) / np.sqrt(2 * middle * (1 - middle) / n) > 1.959964
    assert 0.78 < found.mean() < 0.82
    assert events_needed(0.2, 0.1) > 3 * n
    with pytest.raises(InputError, match="lift"):
        events_needed(0.2, 0.0)


def test_bad_predictions_are_named():
    ones = np.ones(3)
    with pytest.raises(InputError, match="predicted"):
        doubly_robust(ones, ones, ones, np.ones(2), ones)
    with pytest.raises(InputError, match="expected"):
        doubly_robust(ones, ones, ones, ones, np.array([0, np.nan, 1]))


KINDS = {
    "list": list,
    "tuple": tuple,
    "float32": lambda one: np.asarray(one, np.float32),
    "pandas": lambda one: pd.Series(one, index=range(7, 7 + len(one))),
    "polars": lambda one: pytest.importorskip("polars").Series(one),
    "Arrow": pa.array,
    "Arrow in chunks": lambda one: pa.chunked_array([one[:1], one[1:]]),
}
REWARD, TARGET, LOGGED, GUESS = [1, 0, 1, 1], [0.75, 0.25, 0.75, 0.25], [0.5] * 4, [0.5, 0.25, 0.5, 0.5]


@pytest.mark.parametrize("kind", KINDS)
def test_lists_and_columns_are_read_as_arrays_are(kind):
    made = [KINDS[kind](one) for one in (REWARD, TARGET, LOGGED, GUESS, GUESS)]
    plain = [np.array(one, float) for one in (REWARD, TARGET, LOGGED, GUESS, GUESS)]
    for estimator, n in ((ips, 3), (snips, 3), (doubly_robust, 5)):
        assert estimator(*made[:n]) == estimator(*plain[:n])
    assert prefer(made[0], made[3]) == prefer(plain[0], plain[3])
    items = KINDS[kind](["tea", "pot", "mug"] if kind != "float32" else [3, 1, 2])
    assert [team for _, team in interleave(items, items, 2, seed=1)] == [0, 1]


@pytest.mark.parametrize(
    ("reward", "reason"),
    [
        (["a", "b", "c", "d"], "reward.*type"),
        ([1, None, 1, 1], "reward"),
        ([1.0, float("nan"), 1, 1], "reward.*NaN"),
        ([[1], [0], [1], [1]], "reward.*shape"),
        ([[1], [0, 1], [1], [1]], "reward"),
        ([10**400, 0, 1, 1], "reward"),
        ([1 + 2j, 0, 1, 1], "reward.*complex"),
        (pd.Series([1, None, 1, 1], dtype="Int64"), "reward"),
        (np.array(["2026-01-01"] * 4, "datetime64[D]"), "reward.*type"),
        (1.0, "reward.*shape"),
        (None, "reward"),
        ((one for one in REWARD), "reward"),
        ([1, 0], "lengths"),
    ],
)
def test_what_is_no_column_of_numbers_is_named(reward, reason):
    for call in (ips, snips, lambda *one: doubly_robust(*one, GUESS, GUESS)):
        with pytest.raises(InputError, match=reason):
            call(reward, TARGET, LOGGED)


def test_bad_rates_lists_and_clicks_are_named():
    for bad in ("4 %", None, [0.1], float("nan")):
        with pytest.raises(InputError, match="baseline"):
            events_needed(bad, 0.1)  # type: ignore[arg-type]
    for bad in ("tea", 3, [["tea"]], ["tea", "tea"]):
        with pytest.raises(InputError, match="first"):
            interleave(bad, ["pot"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="k"):
        interleave(["tea"], ["pot"], "3")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="first"):
        prefer(["a", "b"], [1, 2])
    with pytest.raises(InputError, match="reward"):
        slate_value([["a", "b"]] * 2, [[0.5, 0.5]] * 2, [[0.5, 0.5]] * 2)  # type: ignore[list-item]


def test_a_list_of_lists_is_a_table_of_slates():
    reward, target, logged = [[1, 0], [0, 1], [1, 1]], [[0.5, 0.25]] * 3, [[0.5, 0.5]] * 3
    given = np.array(reward), np.array(target), np.array(logged)
    for by in ("cascade", "independent", "pseudo-inverse"):
        assert slate_value(reward, target, logged, by=by) == slate_value(*given, by=by)
        assert slate_value(*map(pd.DataFrame, given), by=by) == slate_value(*given, by=by)  # type: ignore[arg-type]
    model = {"predicted": reward, "expected": target}
    arrays = {name: np.array(one) for name, one in model.items()}
    assert slate_value(reward, target, logged, **model) == slate_value(*given, **arrays)


@pytest.mark.parametrize(
    "frame", [pa.Table.to_pandas, pa.Table.to_pydict, lambda one: pytest.importorskip("polars").from_arrow(one)]
)
def test_lists_of_any_frame_are_described(frame):
    train, test = simulate(100, 30, 2_000, seed=0).data.clicks().split.time()
    model = ItemKNN().fit(train)
    lists, kinds = model.recommend(k=5), ["odd" if code % 2 else "even" for code in range(len(model.item_ids_))]
    vectors = np.eye(len(model.item_ids_))
    found = beyond_accuracy(model, frame(lists), vectors=vectors.tolist(), categories=kinds)
    assert found == beyond_accuracy(model, lists, vectors=vectors, categories=pa.array(kinds))
    assert exposure(model, frame(lists), pd.Series(kinds)).rows == exposure(model, lists, pa.array(kinds)).rows
    assert utility(model, frame(lists), test, kinds).rows == utility(model, lists, test, pa.array(kinds)).rows
    for bad, reason in ((3, "frame"), (lists.drop_columns("rank"), "rank"), (lists.slice(0, 0), "no rows")):
        for call in (beyond_accuracy, lambda *one: exposure(*one, kinds), lambda *one: utility(*one, test, kinds)):
            with pytest.raises(InputError, match=reason):
                call(model, bad)
    with pytest.raises(InputError, match="vectors"):
        beyond_accuracy(model, lists, vectors=np.eye(3))
    with pytest.raises(InputError, match="one for each"):
        exposure(model, lists, ["odd"])
    with pytest.raises(InputError, match="utility"):
        utility(model, lists, None, kinds)  # type: ignore[arg-type]
