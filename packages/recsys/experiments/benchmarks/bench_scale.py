"""10 M users, 1 M items, 100 M events on one machine, or a share of it: seconds and peak memory; JSON lines.

Run: python bench_scale.py [SHARE]. Events are written as Parquet a piece at a time, by one process; another reads them, fits iALS and saves it; a
third loads the model, makes exact lists for a tenth of the users, then builds an index of the items and makes their lists through it. That the
model learned something is seen in events that it was not given: how often they are on the user's list, and among the most popular items.
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
FACTORS, EPOCHS, PIECES, TASTES, LATER = 32, 12, 20, 24, 20_000
MISSING = 500  # a0 times the items; at a million of them iALS' default would be 100,000, and nothing be learned


def drawn(seed, events, share):
    """Users and items of some events: Zipf items, a third of a user's in that one of TASTES kinds that the user likes."""
    users, items, draw = int(share * USERS), int(share * ITEMS), np.random.default_rng(seed)
    weight = np.cumsum(1 / (20.0 + np.arange(items)))
    user = draw.integers(0, users, events, dtype=np.int32)
    item = np.searchsorted(weight, draw.random(events) * weight[-1]).astype(np.int32)
    own = draw.random(events) < 0.33
    item[own] = item[own] // TASTES * TASTES + user[own] % TASTES
    return user, np.minimum(item, items - 1)


def write(path, share):
    """A Parquet file of the events, a piece at a time."""
    with pyarrow.parquet.ParquetWriter(path, pa.schema({"user": pa.int32(), "item": pa.int32()})) as file:
        for piece in range(PIECES):
            user, item = drawn(piece, int(share * EVENTS) // PIECES, share)
            file.write_table(pa.table({"user": user, "item": item}))


def fit(path, folder):
    """From the file to a saved model."""
    start = time.perf_counter()
    data = recsys.Dataset.from_frame(path, user="user", item="item")
    read = time.perf_counter() - start
    emit(what="read", data=repr(data), seconds=read, peak_GiB=peak())
    model = recsys.IALS(factors=FACTORS, epochs=EPOCHS, reg=0.01, a0=MISSING / data.n_items).fit(data)
    fitted = time.perf_counter() - start - read
    emit(what=f"fit, {FACTORS} factors, {EPOCHS} epochs", seconds=fitted, peak_GiB=peak())
    model.save(folder, force=True)
    emit(what="saved", seconds=time.perf_counter() - start - read - fitted, peak_GiB=peak())


def lists(folder, share):
    """Lists of a tenth of the users, exact, and through an index of recall .95 or more."""
    start = time.perf_counter()
    model = recsys.load(folder)
    emit(what="loaded", seconds=time.perf_counter() - start, peak_GiB=peak())
    learned(model, share)
    timed(model, "exact lists")
    start = time.perf_counter()
    index = recsys.build_index(model)
    built = time.perf_counter() - start
    emit(what="index", seconds=built, recall=index.recall, width=index.width, peak_GiB=peak())
    timed(index, "lists through the index")


def learned(model, share):
    """How many later events, new to their users, are among ten items."""
    user, item = drawn(PIECES, LATER, share)
    known = [set(one) for one in model.history_.matrix()[model.user_ids_.codes(user)].tolil().rows]
    later = model.item_ids_.codes(item)
    popular = np.argsort(-model.popular_, kind="stable")[:100].tolist()
    table = model.recommend(user, 10)
    ranked = model.item_ids_.codes(table.column("item")).reshape(-1, 10)
    new = [row for row in range(LATER) if later[row] not in known[row]]
    hits = {
        "model": sum(later[row] in ranked[row] for row in new),
        "popular": sum(later[row] in [one for one in popular if one not in known[row]][:10] for row in new),
    }
    emit(what="later events among ten items", events=len(new), **hits)


def timed(source, what, block=10_000):
    """Seconds for a tenth of the users."""
    ids = getattr(source, "model", source).user_ids_
    some, start = len(ids) // 10, time.perf_counter()
    for first in range(0, some, block):
        source.recommend(ids.values.slice(first, block), k=10, block=block)
    seconds = time.perf_counter() - start
    emit(what=f"{what}, {some:,} users", seconds=seconds, minutes_of_all=10 * seconds / 60, peak_GiB=peak())


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
            lists(places[0], float(places[1]))
        sys.exit()
    share = sys.argv[1] if len(sys.argv) > 1 else "1"
    with tempfile.TemporaryDirectory() as place:
        file, folder = f"{place}/events.parquet", f"{place}/model"
        for step in (["write", file, share], ["fit", file, folder], ["lists", folder, share]):
            subprocess.run([sys.executable, __file__, *step], check=True)
