"""Seconds and memory of loading 20 million events from Parquet and from CSV with text ids. Run: python bench_load.py"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from ninefold.bench import emit, peak_rss_anon
from recsys import Dataset

ROWS, USERS, ITEMS = 20_000_000, 500_000, 50_000


def made(text: bool) -> pa.Table:
    """Events of Zipf items, in order of time."""
    draw = np.random.default_rng(0)
    user, item = pa.array(draw.integers(0, USERS, ROWS)), pa.array(draw.zipf(1.3, ROWS) % ITEMS)
    if text:
        user = pa.array([f"u{code}" for code in range(USERS)]).take(user)
        item = pa.array([f"sku-{code}" for code in range(ITEMS)]).take(item)
    value = draw.integers(1, 6, ROWS).astype(np.float32)
    at = np.sort(draw.integers(1_500_000_000, 1_700_000_000, ROWS))
    return pa.table({"user": user, "item": item, "value": value, "time": at})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for form, write in (("parquet", pyarrow.parquet.write_table), ("csv", pyarrow.csv.write_csv)):
            path = Path(folder) / f"events.{form}"
            write(made(text=form == "csv"), path)
            start = time.perf_counter()
            with peak_rss_anon() as peak:
                data = Dataset.from_frame(path, user="user", item="item", value="value", time="time")
            emit(form=form, rows=len(data), seconds=time.perf_counter() - start, peak_gib=peak.above / 2**30)
            path.unlink()
