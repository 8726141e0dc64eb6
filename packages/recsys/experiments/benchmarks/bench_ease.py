"""Seconds and memory of EASE on 10,000 items, from sparse events to weights. Run: python bench_ease.py"""

import time

import numpy as np
from ninefold.measure import emit
from ninefold_testing import peak_rss_anon
from recsys import EASE, Dataset
from recsys.recommender._rows import threads

ITEMS, USERS, EVENTS = 10_000, 50_000, 2_000_000

if __name__ == "__main__":
    draw = np.random.default_rng(0)
    frame = {"user": draw.integers(0, USERS, EVENTS), "item": draw.integers(0, ITEMS, EVENTS)}
    data = Dataset.from_frame(frame, user="user", item="item")
    start, worked = time.perf_counter(), time.process_time()
    with peak_rss_anon() as peak:
        EASE(l2=500.0).fit(data)
    emit(
        items=ITEMS, events=EVENTS, threads=threads(), seconds=time.perf_counter() - start,
        processor_seconds=time.process_time() - worked, peak_gib=peak.above / 2**30,
    )  # fmt: skip
