"""10 M users, 1 M items, 100 M events on one machine, or a share of it: seconds and peak memory; JSON lines.

Run: python bench_scale.py [SHARE]. Events are written as Parquet a piece at a time, by one process; another reads them, fits iALS and saves it; a
third loads the model, builds the index of its items and makes lists for a tenth of the users.
"""

import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import recsys
from ninefold.measure import emit

USERS, ITEMS, EVENTS = 10_000_000, 1_000_000, 100_000_000
FACTORS, EPOCHS, PIECES = 32, 4, 20


def write(path, share):
    """Zipf items, a third of each user's events in one of a thousand clusters of items."""
    users, items, events = (int(share * one) for one in (USERS, ITEMS, EVENTS))
    weight = np.cumsum(1 / (20.0 + np.arange(items)))
    clusters = max(items // 1000, 2)
    with pyarrow.parquet.ParquetWriter(path, pa.schema({"user": pa.int32(), "item": pa.int32()})) as file:
        for piece in range(PIECES):
            draw = np.random.default_rng(piece)
            user = draw.integers(0, users, events // PIECES, dtype=np.int32)
            item = np.searchsorted(weight, draw.random(len(user)) * weight[-1]).astype(np.int32)
            own = draw.random(len(user)) < 0.33
            item[own] = item[own] // clusters * clusters + (user[own].astype(np.int64) * 7919 % clusters).astype(
                np.int32
            )
            item = np.minimum(item, items - 1)
            file.write_table(pa.table({"user": user, "item": item}))


def fit(path, folder):
    """From the file to a saved model."""
    start = time.perf_counter()
    data = recsys.Dataset.from_frame(path, user="user", item="item")
    read = time.perf_counter() - start
    emit(what="read", data=repr(data), seconds=read, peak_GiB=peak())
    model = recsys.IALS(factors=FACTORS, epochs=EPOCHS, reg=0.003).fit(data)
    fitted = time.perf_counter() - start - read
    emit(what=f"fit, {FACTORS} factors, {EPOCHS} epochs", seconds=fitted, peak_GiB=peak())
    model.save(folder, force=True)
    emit(what="saved", seconds=time.perf_counter() - start - read - fitted, peak_GiB=peak())


def lists(folder):
    """An index of recall .95 or more, and through it the lists of a tenth of the users."""
    start = time.perf_counter()
    model = recsys.load(folder)
    loaded = time.perf_counter() - start
    index = recsys.build_index(model)
    built = time.perf_counter() - start - loaded
    emit(what="index", seconds=built, load_seconds=loaded, recall=index.recall, width=index.width, peak_GiB=peak())
    some = len(model.user_ids_) // 10
    start, block = time.perf_counter(), 10_000
    for first in range(0, some, block):
        index.recommend(model.user_ids_.values.slice(first, block), k=10)
    seconds = time.perf_counter() - start
    emit(what=f"lists of {some:,} users", seconds=seconds, minutes_of_all=10 * seconds / 60, peak_GiB=peak())


def peak():
    """GiB that this process took at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    if len(sys.argv) > 2:
        step, *places = sys.argv[1:]
        if step == "write":
            write(places[0], float(places[1]))
        elif step == "fit":
            fit(*places)
        else:
            lists(places[0])
        sys.exit()
    share = sys.argv[1] if len(sys.argv) > 1 else "1"
    with tempfile.TemporaryDirectory() as place:
        file, folder = f"{place}/events.parquet", f"{place}/model"
        for step in (["write", file, share], ["fit", file, folder], ["lists", folder, ""]):
            subprocess.run([sys.executable, __file__, *step], check=True)
