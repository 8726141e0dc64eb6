"""How the data files of recsys are made of what their sources hold (`ninefold data get recsys`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

_PERSON = (
    "gender", "age", "maritalStatus", "has_children", "education", "occupation", "income", "car", "cartype",
)  # fmt: skip
_HABITS = ("Bar", "CoffeeHouse", "CarryAway", "RestaurantLessThan20", "Restaurant20To50")
_RENAMED = {"passanger": "passenger", "couponType": "coupon", "Y": "accepted"}


def retail(sources: Sequence[Path]) -> bytes:
    """The invoice lines with missing descriptions null again, whole customer numbers and times in seconds."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(sources[0]).replace_schema_metadata(None)
    texts, customers = table["Description"], table["CustomerID"]
    texts = pc.if_else(pc.equal(texts, "Unknown"), pa.scalar(None, texts.type), texts)
    customers = pc.if_else(pc.is_nan(customers), pa.scalar(None, customers.type), customers)
    table = table.set_column(2, "Description", texts).set_column(6, "CustomerID", customers)
    kinds = {
        "Quantity": pa.int32(),
        "InvoiceDate": pa.timestamp("s"),
        "UnitPrice": pa.float64(),
        "CustomerID": pa.int32(),
    }
    table = table.cast(pa.schema([(name, kinds.get(name, pa.large_string())) for name in table.column_names]))
    made = io.BytesIO()
    pq.write_table(table, made, compression="zstd", compression_level=19)
    return made.getvalue()


def features(sources: Sequence[Path]) -> bytes:
    """Numbers and names of what restaurants have."""
    return _table(["feature_id", "label"], (line.split("\t") for line in _lines(sources[0])))


def restaurants(sources: Sequence[Path]) -> bytes:
    """The restaurants of eight cities, A to H by the order of their files."""
    rows = []
    for city, path in zip("ABCDEFGH", sources, strict=True):
        for number, name, has in (line.split("\t") for line in _lines(path)):
            rows.append([city, int(number), name.strip(), has.strip()])
    return _table(["city", "item_id", "name", "feature_ids"], rows)


def sessions(sources: Sequence[Path]) -> bytes:
    """The sessions of all quarters by time, without the visitor's host."""
    rows = []
    for path in sources:
        for line in _lines(path):
            at, _, entry, *steps, end = (field.strip() for field in line.split("\t"))
            start = datetime.strptime(at, "%d/%b/%Y:%H:%M:%S")
            rows.append(
                [start, "" if entry == "0" else entry, " ".join(filter(None, steps)), "" if end == "-1" else end]
            )
    rows.sort(key=lambda row: row[0])
    columns = ["session_id", "started_at", "entry", "steps", "end_item"]
    return _table(columns, ([number, row[0].isoformat(), *row[1:]] for number, row in enumerate(rows)))


def coupons(sources: Sequence[Path]) -> bytes:
    """The answers without what describes a person; a number stands for each respondent, whose rows are neighbours."""
    with sources[0].open(encoding="utf-8", newline="") as file:
        answers = list(csv.DictReader(file))
    kept = [name for name in answers[0] if name not in _PERSON]
    rows, profile, number = [], None, -1
    for one in answers:
        if profile != (profile := [one[key] for key in one if key in _PERSON or key in _HABITS]):
            number += 1
        rows.append([number, *(one[name] for name in kept)])
    return _table(["respondent_id", *(_RENAMED.get(name, name) for name in kept)], rows)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="latin-1").splitlines()


def _table(columns: list[str], rows: Iterable[Sequence[object]]) -> bytes:
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\n").writerows([columns, *rows])
    return made.getvalue().encode()
