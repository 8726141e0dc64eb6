"""Logs as shops have them: written by spreadsheets and databases, twice, in other zones, with returns."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import recsys
from ninefold.errors import InputError
from recsys import Dataset

WHEN = "2026-01-31T10:00:00"


def log(**columns):
    return {"user": ["a", "b", "a"], "item": ["x", "x", "y"], **columns}


def read(frame, **options):
    return Dataset.from_frame(frame, user="user", item="item", **options)


@pytest.mark.parametrize(
    ("sign", "price"),
    [(",", "1.5"), (",", '"1.5"'), (";", "1,5"), (";", '"1,5"'), (";", "1.5"), ("\t", "1,5"), ("|", "1.5")],
)
@pytest.mark.parametrize("ending", ["shop.csv", "shop.csv.gz"])
def test_a_csv_file_is_read_whatever_parts_its_fields(tmp_path, sign, price, ending):
    rows = [["user", "item", "price"], ["7", "tea, green" if sign != "," else "tea", price], ["8", "pot", "2"]]
    with pa.output_stream(str(tmp_path / ending)) as file:
        file.write("\n".join(sign.join(row) for row in rows).encode())
    data = read(tmp_path / ending, value="price")
    assert data.user_ids.values.to_pylist() == [7, 8]
    assert data.item_ids.values[0].as_py().startswith("tea")
    assert data.value.tolist() == [1.5, 2.0]


def test_fields_may_go_over_lines_in_a_file_of_many_blocks(tmp_path):
    rows = "".join(f'u{one},i{one % 50},"a note\nof two lines {"." * 200}"\n' for one in range(50_000))
    (tmp_path / "shop.csv").write_text("user,item,note\n" + rows)
    assert len(read(tmp_path / "shop.csv", context=["note"])) == 50_000


def test_a_file_in_another_encoding_says_what_to_do(tmp_path):
    (tmp_path / "shop.csv").write_bytes("user,item\na,thé\n".encode("latin1"))
    with pytest.raises(InputError, match="save it as UTF-8"):
        read(tmp_path / "shop.csv")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31 10:00:00+00", "2026-01-31 11:00:00 +0100", "2026-01-31 10:00:00 UTC",
        "2026-01-31T11:00:00.000+01:00", "2026-01-31T10:00:00.000000789Z", "2026-01-31 10:00:00.000000789",
        WHEN, f"{WHEN}Z", "2026-01-31 10:00",
    ],
)  # fmt: skip
def test_times_of_databases_are_read(text):
    assert read(log(at=[text] * 3), time="at").time.tolist() == [1_769_853_600_000_000] * 3


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["31/01/2026 10:00"] * 3, "%d/%m/%Y %H:%M"), (["01/31/2026 10:00"] * 3, "%m/%d/%Y %H:%M"),
        ([202601311000] * 3, "%Y%m%d%H%M"),
    ],
)  # fmt: skip
def test_other_times_are_read_by_their_form(values, form):
    assert read(log(at=values), time="at", time_unit=form).time.tolist() == [1_769_853_600_000_000] * 3
    with pytest.raises(InputError, match=r"column 'at'.*written as '%Y-%m'"):
        read(log(at=values), time="at", time_unit="%Y-%m")


def test_a_time_that_is_no_iso_text_says_how_to_name_its_form():
    with pytest.raises(InputError, match=r"column 'at'.*31/01/2026.*ISO.*time_unit="):
        read(log(at=["31/01/2026"] * 3), time="at")


def test_a_unit_that_would_be_ignored_is_refused():
    with pytest.raises(InputError, match=r"time_unit.*'s' for a column of string"):
        read(log(at=[WHEN] * 3), time="at", time_unit="s")


def test_numbers_and_ids_may_be_decimals(tmp_path):
    columns = {"user": pa.array([Decimal(7), Decimal(8), Decimal(7)], pa.decimal128(38, 0)), "item": ["x", "x", "y"]}
    columns["price"] = [Decimal("1.50")] * 3
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "shop.parquet")
    data = read(tmp_path / "shop.parquet", value="price")
    assert data.user_ids.values.to_pylist() == [7, 8]
    assert data.value.tolist() == [1.5] * 3


def test_events_written_twice_are_taken_once():
    rows = log(at=[1, 2, 1], n=[1.0, 1.0, 1.0])
    twice = {name: [*values, values[0], values[0]] for name, values in rows.items()}
    twice["at"][-1], twice["n"][1] = 9, 2.0  # bought again later
    data = read(twice, time="at", value="n", time_unit="index", duplicates="distinct")
    assert data.time.tolist() == [2, 1, 1, 9]
    assert data.notes == ("1 repeated events with the user, item, value and time of another: distinct",)
    found = recsys.doctor(read(twice, time="at", value="n", time_unit="index"))
    assert any('duplicates="distinct"' in one.text for one in found)
    assert len(read({**log(), "item": ["x"] * 3}, duplicates="distinct")) == 2  # without times: each pair once


def test_one_context_column_may_be_named_by_itself():
    assert read(log(scene=["in", "out", "in"]), context="scene").context.column_names == ["scene"]


def test_one_column_cannot_be_user_and_item():
    with pytest.raises(InputError, match="'user' twice"):
        Dataset.from_frame(log(), user="user", item="user")


@pytest.mark.parametrize("cut", [np.datetime64("2026-01-31"), dt.date(2026, 1, 31), "2026-01-31"])
def test_a_cut_may_be_of_any_kind_of_time(cut):
    data = read(log(at=["2026-01-30", "2026-01-31", "2026-02-01"]), time="at")
    assert [len(part) for part in data.split.time(cut)] == [1, 2]


def test_the_doctor_takes_data_sets_alone():
    with pytest.raises(InputError, match=r"data.*a dict.*from_frame"):
        recsys.doctor(log())
