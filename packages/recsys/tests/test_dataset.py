import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import recsys
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from recsys import Dataset
from recsys.data import _ids

from .helpers import events

FRAME = {"u": [5, 5, 7], "i": ["x", "y", "x"], "v": [1.0, 2.0, 3.0], "t": ["2024-01-02", "2024-01-01", "2024-01-03"]}


def load(**change):
    return Dataset.from_frame({**FRAME, **change}, user="u", item="i", value="v", time="t")


def test_ids_come_back_with_their_type_and_value():
    data = load()
    assert data.user_ids.values.to_pylist() == [5, 7]
    assert data.item_ids.values.to_pylist() == ["x", "y"]
    assert data.to_table().column("u").to_pylist() == FRAME["u"]
    assert data.to_table().column("i").to_pylist() == FRAME["i"]


@pytest.mark.parametrize("make", [pa.table, pd.DataFrame, dict])
def test_any_frame_gives_the_same_data(make):
    data = Dataset.from_frame(make(FRAME), user="u", item="i", value="v", time="t")
    assert data.to_table().equals(load().to_table())


def test_pandas_floats_are_ids_where_they_are_whole():
    data = Dataset.from_frame(pd.DataFrame({"u": [17850.0, 2.0], "i": [1, 2]}), user="u", item="i")
    assert data.user_ids.values.to_pylist() == [17850, 2]
    with pytest.raises(InputError, match=r"user ids: got 17850\.5 \(double\), expected integer or text ids"):
        Dataset.from_frame(pd.DataFrame({"u": [17850.5, 2.0], "i": [1, 2]}), user="u", item="i")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_files_are_read_with_typed_ids(tmp_path, suffix):
    path = tmp_path / f"events{suffix}"
    frame = pd.DataFrame({"user": ["007", "12", "12"], "item": [3, 4, 3]})
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    data = Dataset.from_frame(path, user="user", item="item")
    assert data.user_ids.values.to_pylist() == ["007", "12"]  # as a number, 007 would not be written back the same
    assert data.item_ids.values.to_pylist() == [3, 4]


def test_id_type_in_a_text_file_is_decided_over_all_rows(tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("user,item\n" + "".join(f"{n},1\n" for n in range(300_000)) + "A1,2\n")
    assert Dataset.from_frame(path, user="user", item="item").user_ids.type_name == "text"


@given(st.lists(st.tuples(st.integers(-5, 5), st.text(max_size=3), st.integers(0, 3)), min_size=1, max_size=40))
def test_events_keep_their_order_and_ids(rows):
    frame = {"u": [row[0] for row in rows], "i": [row[1] for row in rows], "t": [row[2] for row in rows]}
    data = Dataset.from_frame(frame, user="u", item="i", time="t", time_unit="index")
    assert data.to_table().column("i").to_pylist() == frame["i"]
    history = data.history()
    for code, user in enumerate(data.user_ids.values.to_pylist()):
        own = [row for row in rows if row[0] == user]
        expected = [row[1] for row in sorted(own, key=lambda row: row[2])]  # sorted is stable: ties in file order
        found = history.item[history.indptr[code] : history.indptr[code + 1]]
        assert data.item_ids.ids(found).to_pylist() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v": [1.0, float("nan"), 3.0]}, r"column 'v'.*not finite in 1 of 3 rows, first 1"),
        ({"v": [1.0, float("inf"), 3.0]}, r"column 'v'.*first 1"),
        ({"v": ["a", "b", "c"]}, r"column 'v'.*numbers"),
        ({"u": [None, None, None]}, r"column 'u'.*null in all 3 rows"),
        ({"u": [5, None, 7]}, r"column 'u'.*null in 1 of 3 rows, first 1.*drop"),
        ({"u": [True, False, True]}, r"user ids.*bool"),
        ({"t": ["2024-01-01", None, "2024-01-02"]}, r"column 't'.*null in 1 of 3 rows"),
        ({"t": ["2024-01-01T00:00Z", "2024-01-01T00:00", "x"]}, r"column 't'.*no zone in 2 of 3 rows"),
        ({"t": [1, 2, 3]}, r"column 't'.*unit is unclear.*time_unit"),
        ({"t": [1_600_000_000, 1_600_000_000_000, 1_600_000_001]}, r"column 't'.*unit is unclear or mixed"),
        ({"t": ["yesterday", "today", "now"]}, r"column 't'.*ISO"),
        ({"u": [], "i": [], "v": [], "t": []}, r"events: got no rows"),
    ],
)
def test_bad_column_is_named_with_its_rows(change, message):
    with pytest.raises(InputError, match=message):
        load(**change)


def test_missing_column_is_named_beside_those_there():
    with pytest.raises(InputError, match=r"column 'who'.*\['i', 't', 'u', 'v'\]"):
        Dataset.from_frame(FRAME, user="who", item="i")


def test_null_ids_are_dropped_and_counted_on_request():
    data = Dataset.from_frame({**FRAME, "u": [5, None, 7]}, user="u", item="i", nulls="drop")
    assert len(data) == 2
    assert data.notes == ("1 rows without an id dropped",)


def test_values_off_the_scale_are_named():
    with pytest.raises(InputError, match=r"outside in 1 of 3 rows, first 2.*\(0\.5, 2\.5\)"):
        Dataset.from_frame(FRAME, user="u", item="i", value="v", scale=(0.5, 2.5))


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
def test_numeric_times_are_understood_by_their_size(unit, scale):
    seconds = 1_700_000_000
    data = load(t=np.array([seconds, seconds + 1, seconds + 2]) * scale)
    assert data.time.tolist() == [(seconds + n) * 10**6 for n in range(3)]


def test_zones_are_brought_to_utc():
    data = load(t=["2024-01-01T02:00+02:00", "2024-01-01T00:00Z", "2024-01-01T00:00-01:00"])
    assert np.diff(data.time).tolist() == [0, 3_600_000_000]


def test_duplicates_follow_the_policy():
    frame = {"u": [1, 1, 2, 1], "i": [1, 1, 1, 2], "v": [2.0, 5.0, 1.0, 1.0], "t": [30, 10, 20, 40]}

    def load(policy):
        return Dataset.from_frame(
            frame, user="u", item="i", value="v", time="t", time_unit="index", duplicates=policy
        ).to_table()

    assert load("keep").num_rows == 4
    assert load("last").column("v").to_pylist() == [2.0, 1.0, 1.0]
    assert load("sum").column("v").to_pylist() == [7.0, 1.0, 1.0]
    with pytest.raises(InputError, match="pair again in 1 of 4 rows, first 0"):
        load("error")


def test_sum_without_values_counts():
    data = Dataset.from_frame({"u": [1, 1], "i": [3, 3]}, user="u", item="i", duplicates="sum")
    assert data.value.tolist() == [2.0]
    assert data.notes == ("1 repeated (user, item) pairs: sum",)


def test_side_tables_line_up_with_codes_and_add_their_ids():
    items = {"i": ["z", "y", "x"], "price": [3, 2, 1]}
    data = Dataset.from_frame(FRAME, user="u", item="i", items=items)
    assert data.item_ids.values.to_pylist() == ["x", "y", "z"]
    assert data.items.column("price").to_pylist() == [1, 2, 3]
    assert data.warm().item_ids.values.to_pylist() == ["x", "y"]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ({"u": ["5", "7"], "age": [1, 2]}, r"user ids of the side table.*text.*integer"),
        ({"u": [50, 70], "age": [1, 2]}, r"table of users.*no id of the events"),
        ({"u": [5, 5], "age": [1, 2]}, r"table users.*1 ids twice, e.g. 5"),
        ({"x": [5]}, r"column 'u' in the table users"),
    ],
)
def test_side_table_that_does_not_fit_is_refused(users, message):
    with pytest.raises(InputError, match=message):
        Dataset.from_frame(FRAME, user="u", item="i", users=users)


def test_unknown_and_clashing_ids_are_told_apart():
    data = load()
    assert data.user_ids.codes([7, 6]).tolist() == [1, -1]
    with pytest.raises(InputError, match=r"'7' \(text\).*integer"):
        data.user_ids.codes(["7"])
    with pytest.raises(InputError, match="mixed types"):
        data.user_ids.codes([7, "7"])


def test_time_split_cuts_at_a_moment():
    data = load()
    train, test = data.split.time("2024-01-02")
    assert train.to_table().column("i").to_pylist() == ["y"]
    assert test.to_table().column("i").to_pylist() == ["x", "x"]
    assert data.split.time(dt.date(2024, 1, 2))[0].item_ids.values.to_pylist() == ["y"]  # train knows no later item
    for cut in ("2023-01-01", "2025-01-01"):
        with pytest.raises(InputError, match=r"cut.*no event.*between 2024-01-01"):
            data.split.time(cut)


def test_time_split_by_share_leaves_that_share():
    train, test = events(n=1000).split.time(test=0.1)
    assert len(test) == 100
    assert train.time.max() < test.time.min()


def test_leave_last_out_takes_the_file_order_on_ties():
    frame = {"u": [1, 1, 1, 2], "i": ["a", "b", "c", "a"], "t": [5, 5, 5, 1]}
    data = Dataset.from_frame(frame, user="u", item="i", time="t", time_unit="index")
    train, test = data.split.leave_last_out()
    assert test.to_table().to_pylist()[0]["i"] == "c"
    assert len(train) == 3  # user 2 has a single event and stays in train


def test_held_out_users_are_in_no_other_part():
    train, fold, test = events(text=True).split.user_held_out(10, seed=3)
    held = set(test.user_ids.values.to_pylist())
    assert len(held) == 10
    assert held == set(fold.user_ids.values.to_pylist())
    assert not held & set(train.user_ids.values.to_pylist())
    assert len(train) + len(fold) + len(test) == 900
    assert 0.7 < len(fold) / (len(fold) + len(test)) < 0.9


def test_kfold_tests_share_out_the_events():
    data = events(n=103)
    sizes = [(len(train), len(test)) for train, test in data.split.kfold(5)]
    assert sorted(test for _, test in sizes) == [20, 20, 21, 21, 21]
    assert all(train + test == 103 for train, test in sizes)


def test_decayed_matrix_weighs_a_pair_by_its_latest_event():
    day = 86_400_000_000
    frame = {"u": [1, 1, 1], "i": [1, 1, 2], "t": [0, 2 * day, 4 * day]}
    data = Dataset.from_frame(frame, user="u", item="i", time="t", time_unit="index")
    assert data.history().matrix(half_life=2.0).toarray().tolist() == [[0.5, 1.0]]
    assert data.history().matrix("count").toarray().tolist() == [[2.0, 1.0]]


def test_contexts_of_either_kind_of_text_can_be_joined():
    kinds = [pa.string(), pa.large_string()]
    frames = [pa.table({"u": ["a", "b"], "i": ["x", "y"], "where": pa.array(["home", "away"], kind)}) for kind in kinds]
    first, second = (Dataset.from_frame(frame, user="u", item="i", context=["where"]) for frame in frames)
    assert first.context.schema == second.context.schema
    assert recsys.EASE().fit(first).partial_fit(second).history_.context.num_rows == 4


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("int32", -5, 40), ("int8", -128, 127), ("uint8", 0, 255), ("int16", -30_000, 30_000),
     ("int64", 10**12, 10**12 + 9_000), ("uint32", 2**32 - 5_000, 2**32 - 1)],
)  # fmt: skip
def test_numbers_close_together_are_coded_as_a_hash_codes_them(kind, low, high, monkeypatch):
    numbers = np.random.default_rng(0).integers(low, high, 30_000, dtype=kind, endpoint=True)
    column = pa.chunked_array([numbers[:999], numbers[999:]])
    assert _ids._of_close_numbers(column) is not None
    codes, ids = _ids.encode(column, "user")
    monkeypatch.setattr(_ids, "_of_close_numbers", lambda column: None)
    by_hash, their_ids = _ids.encode(column, "user")
    np.testing.assert_array_equal(codes, by_hash)
    assert codes.dtype == by_hash.dtype
    assert ids.values.equals(their_ids.values)


def test_numbers_far_apart_are_coded_by_a_hash():
    for column in (pa.chunked_array([[1, 10**15] * 99]), pa.chunked_array([["a", "b"] * 99])):
        assert _ids._of_close_numbers(column) is None
        assert _ids.encode(column, "user")[0].tolist() == [0, 1] * 99
