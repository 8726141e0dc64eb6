"""Ids in the forms that users have: whole floats, decimals, numbers beyond 64 bits, mixed types: right, or named."""

import gzip
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import recsys
from ninefold.errors import InputError
from recsys import Dataset, Popular
from recsys.cli import app
from typer.testing import CliRunner

pd = pytest.importorskip("pandas")

USERS, ITEMS = [1, 1, 2, 2, 3, 3, 40], [7, 8, 7, 9, 8, 9, 8]
FLOATS = [float(one) for one in USERS]
WHOLE = {  # the same users in other forms
    "list of floats": FLOATS,
    "floats and integers": [1.0, *USERS[1:]],
    "float64": np.array(FLOATS),
    "float32": np.array(FLOATS, np.float32),
    "float16": np.array(FLOATS, np.float16),
    "pandas": pd.Series(FLOATS),
    "pandas category": pd.Series(FLOATS).astype("category"),
    "pandas Int64": pd.Series(USERS, dtype="Int64"),
    "decimals": [Decimal(f"{one}.00") for one in USERS],
    "decimals without a point": [Decimal(one) for one in USERS],
    "unsigned": np.array(USERS, np.uint64),
    "Arrow": pa.chunked_array([pa.array(FLOATS[:3]), pa.array(FLOATS[3:])]),
    "numpy scalars": [np.float64(one) for one in USERS],
}
WRONG = {
    "fraction": [1.5, *FLOATS[1:]],
    "fraction in float32": np.array([1.5, *FLOATS[1:]], np.float32),
    "decimal fraction": [Decimal("1.50"), *[Decimal(one) for one in USERS[1:]]],
    "infinite": [float("inf"), *FLOATS[1:]],
    "float64 that may be rounded": [2.0**53, *FLOATS[1:]],
    "float32 that may be rounded": np.array([2**24, *USERS[1:]], np.float32),
    "float16 that may be rounded": np.array([2**11, *USERS[1:]], np.float16),
    "70 bits": [2**70, *USERS[1:]],
    "70 bits below 0": [-(2**70), *USERS[1:]],
    "64 bits": [2**63, *USERS[1:]],
    "unsigned 64 bits": np.array([2**63, *USERS[1:]], np.uint64),
    "70 bits among floats": [2**70, *FLOATS[1:]],
    "70 bits as a float": [2.0**70, *FLOATS[1:]],
    "70 bits as a decimal": [Decimal(2**70), *[Decimal(one) for one in USERS[1:]]],
    "text and integer": ["1", *USERS[1:]],
    "text, integer and float": ["1", 1, 1.0, *USERS[3:]],
    "truth and integer": [True, *USERS[1:]],
    "integer and truth": [1, True, *USERS[2:]],
    "float and truth": [1.0, True, *USERS[2:]],
    "truths": [True, False, True, True, False, True, True],
    "complex": [1j, *USERS[1:]],
    "bytes": [str(one).encode() for one in USERS],
    "lists": [[one] for one in USERS],
    "dates": pd.to_datetime(["2026-01-01"] * 7),
}


def column_of(values, kind):
    """A frame of a kind with these users, or None where the kind cannot hold them."""
    if kind == "dict":
        return {"user": values, "item": ITEMS}
    if kind == "item":
        return {"user": ITEMS, "item": values}
    try:
        if kind == "pandas":
            given = values.to_pandas() if isinstance(values, pa.ChunkedArray) else values
            kept = pd.Series(given, dtype=None if hasattr(given, "dtype") else object)
            return pd.DataFrame({"user": kept, "item": ITEMS})
        if any(one is True for one in values) and type(values[0]) is float:
            return None  # Arrow has made 1.0 of True
        return pa.table({"user": values if isinstance(values, pa.ChunkedArray) else pa.array(values), "item": ITEMS})
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        return None


@pytest.mark.parametrize("kind", ["dict", "pandas", "arrow"])
@pytest.mark.parametrize("form", WHOLE)
def test_whole_numbers_of_any_type_are_the_same_ids(form, kind):
    frame = column_of(WHOLE[form], kind)
    if frame is None:
        pytest.skip("this frame has no such column")
    data = Dataset.from_frame(frame, user="user", item="item")
    plain = Dataset.from_frame({"user": USERS, "item": ITEMS}, user="user", item="item")
    assert data.user_ids.type_name == "integer"
    assert data.to_table().equals(plain.to_table())
    model = Popular().fit(data)
    assert model.recommend([1, 2, 40], 2).equals(Popular().fit(plain).recommend([1, 2, 40], 2))


def test_floats_read_as_integers_are_noted():
    data = Dataset.from_frame({"user": FLOATS, "item": ITEMS}, user="user", item="item")
    assert data.notes == ("column 'user': ids such as 7.0 are read as integers, 7",)
    assert Dataset.from_frame({"user": USERS, "item": ITEMS}, user="user", item="item").notes == ()


@pytest.mark.parametrize("kind", ["dict", "pandas", "arrow", "item"])
@pytest.mark.parametrize("form", WRONG)
def test_other_ids_are_refused_by_name(form, kind):
    frame = column_of(WRONG[form], kind)
    if frame is None:
        pytest.skip("this frame has no such column")
    with pytest.raises(InputError, match=r"user|item|frame|64 bits"):
        Dataset.from_frame(frame, user="user", item="item")


@pytest.mark.parametrize("missing", [None, float("nan")])
@pytest.mark.parametrize("kind", ["dict", "pandas", "category", "csv", "parquet"])
def test_a_missing_value_makes_floats_of_ids_which_stay_ids(missing, kind, tmp_path):
    frame = pd.DataFrame({"user": [1.0, missing, 2.0, 40.0], "item": [7, 8, 7, 9]})
    source = frame
    if kind == "dict":
        source = {"user": [1.0, missing, 2.0, 40.0], "item": [7, 8, 7, 9]}
    elif kind == "category":
        source = frame.astype({"user": "category"})
    elif kind == "csv":
        frame.to_csv(source := tmp_path / "events.csv", index=False)
    elif kind == "parquet":
        frame.to_parquet(source := tmp_path / "events.parquet")
    with pytest.raises(InputError, match=r"column 'user': got null in 1 of 4 rows, first 1"):
        Dataset.from_frame(source, user="user", item="item")
    data = Dataset.from_frame(source, user="user", item="item", nulls="drop")
    assert data.to_table().to_pydict() == {"user": [1, 2, 40], "item": [7, 7, 9]}
    assert "1 rows without an id dropped" in data.notes
    assert any("7.0 are read as integers" in one for one in data.notes) or kind == "category"


TEXTS = {  # ids as they stand in a file -> the ids that they are, or the error
    ("1", "2", "10"): [1, 2, 10],
    ("1.0", "2.0", "10.0"): [1, 2, 10],
    ("1", "1.0", "1.00"): [1, 1, 1],
    ("-3.0", "0.0", "5"): [-3, 0, 5],
    ("007", "1", "2"): ["007", "1", "2"],
    ("1.5", "2.0", "3.0"): ["1.5", "2.0", "3.0"],
    ("1.0", "a", "1"): ["1.0", "a", "1"],
    ("1", "1180591620717411303424", "2"): ["1", "1180591620717411303424", "2"],
    ("1.5", "1", "1.0"): r"ids '1', '1.0': one number",
    ("1.5", "2.00", "2.0"): r"ids '2.00', '2.0': one number",
    ("1180591620717411303424", "2", "2.0"): r"ids '2', '2.0': one number",
    ("1.23457E+11", "2", "3"): r"ids such as '1.23457E\+11'.*all digits",
    ("1.1805916207174113e+21", "2.0", "3.0"): r"ids such as '1.18.*all digits",
    ("12e4", "3e5", "4e6"): ["12e4", "3e5", "4e6"],
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", "semicolons"])
@pytest.mark.parametrize("texts", TEXTS, ids=" ".join)
def test_ids_of_text_files_are_right_or_named(texts, suffix, tmp_path):
    sign, wanted = {".tsv": "\t", "semicolons": ";"}.get(suffix, ","), TEXTS[texts]
    path = tmp_path / f"events{'.csv' if suffix == 'semicolons' else suffix}"
    content = f"user{sign}item\n" + "".join(f"{one}{sign}x{place}\n" for place, one in enumerate(texts))
    path.write_bytes(gzip.compress(content.encode()) if suffix.endswith("gz") else content.encode())
    if isinstance(wanted, str):
        with pytest.raises(InputError, match=rf"column 'user': got {wanted}"):
            Dataset.from_frame(path, user="user", item="item")
        return
    data = Dataset.from_frame(path, user="user", item="item")
    assert data.to_table()["user"].to_pylist() == wanted
    noted = isinstance(wanted[0], int) and any("." in one for one in texts)
    assert bool(data.notes) == noted


def test_decimal_commas_are_decimals(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("user;item\n1,0;a\n2,0;b\n1;c\n")
    assert Dataset.from_frame(path, user="user", item="item").to_table()["user"].to_pylist() == [1, 2, 1]


def test_tables_beside_the_events_are_read_alike(tmp_path):
    (tmp_path / "events.csv").write_text("user,item\n1.0,7.0\n2.0,8.0\n")
    (tmp_path / "items.csv").write_text("item,kind\n7,a\n8.0,b\n9,c\n")
    ties = pd.DataFrame({"a": [1.0], "b": [2.0]})
    data = Dataset.from_frame(
        tmp_path / "events.csv", user="user", item="item", items=tmp_path / "items.csv", ties=ties
    )
    assert (data.item_ids.values.to_pylist(), data.items["kind"].to_pylist()) == ([7, 8, 9], ["a", "b", "c"])
    assert data.ties.nnz == 2


@pytest.fixture(scope="module")
def model():
    frame = {"user": [str(one) for one in USERS], "item": [f"i{one}" for one in ITEMS]}
    return (
        recsys.EASE(l2=1.0).fit(Dataset.from_frame({"user": USERS, "item": ITEMS}, user="user", item="item")),
        recsys.EASE(l2=1.0).fit(Dataset.from_frame(frame, user="user", item="item")),
    )


@pytest.mark.parametrize("given", [3, 3.0, np.float64(3), np.float32(3), np.float16(3), Decimal("3.0"), np.int8(3)])
def test_a_model_answers_for_whole_numbers_of_any_type(given, model):
    numbers, texts = model
    assert numbers.recommend([given], 2).equals(numbers.recommend([3], 2))
    assert numbers.recommend_one(given, 2) == numbers.recommend_one(3, 2)
    assert numbers.explain(given, 8).equals(numbers.explain(3, 8))
    assert numbers.similar_users([given], 2).to_pydict() == numbers.similar_users([3], 2).to_pydict()
    assert numbers.predict({"user": [given], "item": [7]}).equals(numbers.predict({"user": [3], "item": [7]}))
    assert numbers.recommend([1], 3, exclude=[given + 6]).equals(numbers.recommend([1], 3, exclude=[9]))
    for ask in (texts.recommend, texts.similar_users):
        with pytest.raises(InputError, match=r"user ids: got 3.*expected text ids"):
            ask([given])


@pytest.mark.parametrize("given", [3.5, float("nan"), float("inf"), 2.0**53, 2**63, 2**70, -(2**70), True, b"3", None])
def test_a_model_refuses_what_is_no_id(given, model):
    for one in model:
        for ask in (
            lambda one=one: one.recommend([given]), lambda one=one: one.recommend_one(given),
            lambda one=one: one.recommend([1, given]), lambda one=one: one.explain(given, 8),
            lambda one=one: one.similar_items([given]), lambda one=one: one.recommend([1], exclude=[given]),
            lambda one=one: one.predict({"user": [given], "item": [7]}),
        ):  # fmt: skip
            with pytest.raises(InputError):
                ask()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("3", 3), ("3.0", 3), ("3.00", 3), ("-3", -3), ("3.5", None), ("007", None), ("1_0", None),
     ("\N{ARABIC-INDIC DIGIT THREE}", None), ("", None), ("1e1", None), ("nan", None), (str(2**70), None),
     ("u3", None)],
)  # fmt: skip
def test_ids_of_the_command_line_are_right_or_named(text, wanted, model, tmp_path):
    from recsys.cli._arguments import typed_ids

    numbers, texts = model
    assert typed_ids(texts, [text], "user") == [text]
    numbers.save(tmp_path / "model")
    result = CliRunner().invoke(app, ["recommend", str(tmp_path / "model"), "--for", text, "-k", "2"])
    if wanted is None:
        assert result.exit_code != 0
        assert isinstance(result.exception, (InputError, SystemExit)), result.exception
    else:
        assert result.exit_code == 0, result.output
        assert typed_ids(numbers, [text], "user") == [wanted]


def test_a_service_takes_whole_floats_and_names_the_rest(model, tmp_path):
    pytest.importorskip("starlette")
    from .test_serve import serving

    numbers, _ = model
    folder = numbers.save(tmp_path / "model")
    with serving(folder, events=tmp_path / "events.sqlite") as client:
        plain = client.ask("/recommend", users=[3, 40], k=2)
        assert plain[0] == 200
        assert client.ask("/recommend", users=[3.0, 40.0], k=2) == plain
        assert client.ask("/recommend", users=[3, 4e1], k=2) == plain
        assert client.ask("/recommend", users=[3], k=2, exclude=[9.0]) == client.ask(
            "/recommend", users=[3], k=2, exclude=[9]
        )
        assert client.ask("/explain", user=3.0, item=8.0) == client.ask("/explain", user=3, item=8)
        assert client.ask("/similar", items=[8.0], k=2) == client.ask("/similar", items=[8], k=2)
        for wrong in (3.5, 2.0**53, 2.0**70, 2**63, 2**70, -(2**70), "3", True, None, [3]):
            for path, fields in (
                ("/recommend", {"users": [wrong]}), ("/recommend", {"users": [3, wrong]}),
                ("/recommend", {"users": [3], "exclude": [wrong]}), ("/similar", {"items": [wrong]}),
                ("/explain", {"user": wrong, "item": 8}), ("/events", {"events": {"user": [wrong], "item": [8]}}),
                ("/events", {"events": {"user": [3, wrong], "item": [8, 8]}}),
                ("/fold_in", {"events": {"user": [3], "item": [wrong]}}),
            ):  # fmt: skip
                status, answer = client.ask(path, **fields)
                assert (status, list(answer)) == (400, ["error"]), (path, fields, answer)
        assert client.ask("/events", events={"user": [3.0, 41.0], "item": [7.0, 8]}) == (200, {"stored": 2})
        events = client.service.log.since(0)[1]
        assert [(one.user, one.item) for one in events] == [(3, 7), (41, 8)]
        assert all(type(one.user) is int and type(one.item) is int for one in events)
        after = client.ask("/recommend", users=[3.0, 41.0], k=2)[1]["lists"]
        assert [one["user"] for one in after] == [3, 41]
        assert not {7, 8, 9} & set(after[0]["items"])
        assert after[1]["sources"][0] == "fold_in"
