"""The five real sets that the claims run on, of `$NINEFOLD_DATA/recsys` (`ninefold data get recsys` makes them).

Nothing is downloaded here. The set that comes with the package is `recsys.datasets.embedded_retail`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from ninefold.datasets import find
from ninefold.errors import InputError
from recsys import Dataset
from recsys.data._untyped import pc
from recsys.loaders._text_files import open_text

_SHA256 = {
    "coupon/coupons.csv.gz": "332f8694b6d3032b477304c83a2a6a5ab12527d059345f2bc9811bfeb8bb32b5",
    "entree/sessions.csv.gz": "648137a16c9ffdf58ff91ac692cc2e73bc4e13d5a48d594a02bd8337d77eb060",
    "ml_latest_small/movies.csv.gz": "3746e8385723ce48753a59b28da111a6ef1c499bc27d2b54ad5bdcf795d7644f",
    "ml_latest_small/ratings.csv.gz": "b722091bcee4c02bbb2e4a5af4647fb9ee740a1b7fea5dad3252bc1b7ef7b5a3",
    "msweb/anonymous-msweb.data.gz": "10f092981e89f80c09dab2b074a9111316cfeb80723d7d872798273a835b7976",
    "msweb/anonymous-msweb.test.gz": "df461d364377d6279781113574b6fcc13b13a9e8848ee832d730fa663508eb3a",
    "online_retail/online_retail.parquet": "fa3dbe4b805d7ba0c6e194545c72c78a389855e9d2423f5dc8232a8677e3b9a0",
}


def path_of(relative: str) -> Path:
    """Where a file of the five sets is, its checksum verified; the error says where to put it."""
    return find("recsys", relative, sha256=_SHA256[relative])


def online_retail() -> Dataset:
    """Purchases of an online shop, 2010-12 to 2011-12 (UCI, Chen 2015): 396,337 lines, 4,334 customers, 3,659 products.

    Lines without a customer, cancelled, with non-positive quantity or price, and non-products (a code that does not
    start with five digits) are left out, in file order. value: quantity; context: InvoiceNo; items: Description.
    """
    table = pyarrow.parquet.read_table(path_of("online_retail/online_retail.parquet"))
    keep = pc.and_(pc.is_valid(table["CustomerID"]), pc.invert(pc.starts_with(table["InvoiceNo"], "C")))
    keep = pc.and_(keep, pc.and_(pc.greater(table["Quantity"], 0), pc.greater(table["UnitPrice"], 0)))
    keep = pc.and_(keep, pc.match_substring_regex(table["StockCode"], "^[0-9]{5}"))
    table = table.filter(keep)
    texts = table.select(["StockCode", "Description"]).filter(pc.is_valid(table["Description"]))
    counted = texts.group_by(["StockCode", "Description"]).aggregate([([], "count_all")])
    ordered = counted.sort_by([("StockCode", "ascending"), ("count_all", "descending"), ("Description", "ascending")])
    items = ordered.group_by("StockCode", use_threads=False).aggregate([("Description", "first")])
    items = items.rename_columns({"Description_first": "Description"})  # a product's most frequent spelling
    return Dataset.from_frame(
        table, user="CustomerID", item="StockCode", value="Quantity", time="InvoiceDate", context=["InvoiceNo"],
        items=items,
    )  # fmt: skip


def msweb() -> tuple[Dataset, Dataset]:
    """Areas of microsoft.com visited in one week of 1998 (UCI, Breese et al.), as (train, test) with other users.

    Both files number their users from 10001, though these are other people: ids are "train-10001", "test-10001".
    items: title, url.
    """
    train, test = (
        dst(path_of(f"msweb/anonymous-msweb.{file}.gz"), users=f"{part}-")
        for file, part in (("data", "train"), ("test", "test"))
    )
    return train, test


def entree() -> Dataset:
    """Steps of sessions with a restaurant guide, 1996 to 1999 (UCI, Burke 2000); user: the session.

    Items are Chicago restaurants; context: action, what the visitor did at it (browse, cheaper, ...; "end" for the last
    one seen). Entry items may be of another city, so they are left out. Steps of a session share its start time.
    """
    table = pyarrow.csv.read_csv(
        path_of("entree/sessions.csv.gz"),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(("steps", "end_item"), pa.string())),
    )
    steps = pc.split_pattern(pc.fill_null(table["steps"], ""), " ").combine_chunks()
    session, text = pc.list_parent_indices(steps), pc.list_flatten(steps)
    real = pc.greater(pc.utf8_length(text), 0)
    session, text = session.filter(real).to_numpy(), text.filter(real)
    ends = pc.is_valid(table["end_item"]).to_numpy() & (
        pc.utf8_length(pc.fill_null(table["end_item"], "")).to_numpy() > 0
    )
    end_items = table["end_item"].filter(pa.array(ends)).combine_chunks()
    all_sessions = np.concatenate([session, np.flatnonzero(ends)])
    order = np.argsort(all_sessions, kind="stable")
    item = pa.concat_arrays([pc.utf8_slice_codeunits(text, 0, -1), end_items]).cast(pa.int64()).take(pa.array(order))
    letters = pc.utf8_slice_codeunits(text, -1)
    names = {"L": "browse", "M": "cheaper", "N": "nicer", "O": "closer", "P": "traditional", "Q": "creative",
             "R": "livelier", "S": "quieter", "T": "cuisine"}  # fmt: skip
    place = pc.index_in(letters, value_set=pa.array(list(names)))
    action = pa.concat_arrays([pa.array(list(names.values())).take(place), pa.array(["end"] * int(ends.sum()))])
    rows = pa.array(all_sessions[order])
    frame = pa.table(
        {
            "session": table["session_id"].take(rows).combine_chunks(),
            "restaurant": item,
            "time": table["started_at"].take(rows).combine_chunks(),
            "action": action.take(pa.array(order)),
        }
    )
    return Dataset.from_frame(frame, user="session", item="restaurant", time="time", context=["action"])


def ml_latest_small() -> Dataset:
    """MovieLens ml-latest-small of 2016: 100,004 ratings 0.5 to 5 (GroupLens, research use). items: title, genres."""
    return Dataset.from_frame(
        path_of("ml_latest_small/ratings.csv.gz"), user="userId", item="movieId", value="rating", time="timestamp",
        items=path_of("ml_latest_small/movies.csv.gz"), scale=(0.5, 5.0),
    )  # fmt: skip


def coupon() -> Dataset:
    """Whether respondents would take a coupon in a driving scene (UCI, Wang et al. 2017): 12,684 answers, 5 coupons.

    value: accepted, 0 or 1; context: all other columns, empty cells as "missing".
    """
    table = pyarrow.csv.read_csv(
        path_of("coupon/coupons.csv.gz"), convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    )
    for index, column in enumerate(table.columns):
        if pa.types.is_string(column.type):
            table = table.set_column(index, table.column_names[index], pc.fill_null(column, "missing"))
    context = [name for name in table.column_names if name not in ("respondent_id", "coupon", "accepted")]
    return Dataset.from_frame(table, user="respondent_id", item="coupon", value="accepted", context=context)


def all_but_one(test: Dataset, *, seed: int = 0) -> tuple[Dataset, Dataset]:
    """(given, hidden): one random event of each user hidden, single-event users left out (Breese et al. 1998)."""
    counts = np.bincount(test.user, minlength=test.n_users)
    rows = np.flatnonzero(counts[test.user] > 1)
    if len(rows) == 0:
        raise InputError("test", got="no user with two events", expected="users to hide an event of")
    draw = np.random.default_rng(seed).random(len(rows))
    order = rows[np.lexsort((draw, test.user[rows]))]
    first = np.append(True, test.user[order][1:] != test.user[order][:-1])
    return test.take(np.sort(order[~first])), test.take(np.sort(order[first]))


def dst(path: str | Path, *, users: str = "") -> Dataset:
    """UCI DST files, such as Anonymous Microsoft Web Data: `A` lines name items, `C` lines open a user, `V` are events.

    Columns: user, item; items: title, url. Lines of other kinds are ignored.

    Args:
        path: .data, .test or .dst, Latin-1, perhaps .gz.
        users: put before each user's number, which then is text: files of one set may number other people alike.
    Raises:
        InputError: for a line that cannot be read, a vote before any case, or no votes at all.
    """
    path = Path(path)
    items: dict[int, tuple[str, str]] = {}
    user: list[int] = []
    item: list[int] = []
    case: int | None = None
    with open_text(path, "latin-1") as file:
        for number, fields in enumerate(csv.reader(file), start=1):
            try:
                if fields[:1] == ["A"]:
                    items[int(fields[1])] = (fields[3], fields[4])
                elif fields[:1] == ["C"]:
                    case = int(fields[2])
                elif fields[:1] == ["V"]:
                    item.append(int(fields[1]))
                    user.append(_not_none(case))
            except (ValueError, IndexError):
                expected = "A,id,1,title,url; C,number,number; or V,id,1 after a C line"
                raise InputError(f"line {number}", where=path, got=",".join(fields)[:60], expected=expected) from None
    if not item:
        raise InputError(f"file {path}", got="no V line", expected="events of users (DST)")
    side = {
        "item": list(items),
        "title": [title for title, _ in items.values()],
        "url": [url for _, url in items.values()],
    }
    frame = {"user": [f"{users}{one}" for one in user] if users else user, "item": item}
    return Dataset.from_frame(frame, user="user", item="item", items=side if items else None)


def _not_none(case: int | None) -> int:
    if case is None:
        raise ValueError
    return case
