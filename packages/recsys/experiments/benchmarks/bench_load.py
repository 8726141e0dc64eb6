"""Seconds and memory of loading 20 million events made by `simulate`. Run: python bench_load.py [ROWS]"""

import sys
import tempfile
import time
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
from ninefold.measure import emit
from ninefold_testing import peak_rss_anon
from recsys import Dataset, simulate

ROWS, USERS, ITEMS = 20_000_000, 50_000, 400


def write(path: Path, rows: int) -> None:
    """Events with text ids, a rating, a time and a scene."""
    table = simulate(USERS, ITEMS, rows, seed=0).data.to_table()
    (pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table)(table, path)


if __name__ == "__main__":
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        for form in ("parquet", "csv"):
            path = Path(folder) / f"events.{form}"
            write(path, rows)
            start, worked = time.perf_counter(), time.process_time()
            with peak_rss_anon() as peak:
                data = Dataset.from_frame(path, user="user", item="item", value="rating", time="time")
            emit(
                form=form, rows=len(data), seconds=time.perf_counter() - start,
                processor_seconds=time.process_time() - worked, peak_gib=peak.above / 2**30,
            )  # fmt: skip
            path.unlink()
