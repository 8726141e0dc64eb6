"""Approximate beside exact top-10 of inner products, 500,000 x 64, at recall .95. Run: python bench_ann.py [ITEMS]

Vectors are made as factor models make them: tastes in clusters, lengths that differ. On vectors without any structure
(plain normal draws) no graph finds neighbours fast.
"""

import sys
import time

import numpy as np
from ninefold.measure import compare, emit
from recsys.recommender._longest import top_of_factors
from recsys.recommender._rows import threads
from recsys.serving._ann import Index, _graph

WIDTH, QUERIES, CENTRES = 64, 1000, 2000


def made(draw: np.random.Generator, rows: int, centres: np.ndarray) -> np.ndarray:
    """Vectors around centres, with lengths that differ by a third."""
    around = centres[draw.integers(0, len(centres), rows)] + 0.5 * draw.standard_normal((rows, WIDTH)) / np.sqrt(WIDTH)
    return (around * np.exp(0.3 * draw.standard_normal((rows, 1)))).astype(np.float32)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((CENTRES, WIDTH)) / np.sqrt(WIDTH)
    items, queries = made(draw, count, centres), made(draw, QUERIES, centres)
    start, graph = time.perf_counter(), _graph(WIDTH)
    graph.add(np.arange(count, dtype=np.uint64), items, threads=threads())
    built = time.perf_counter() - start
    exact = top_of_factors(queries, items, 10).item.reshape(-1, 10)
    index = Index(None, graph, 32, 0.0)  # type: ignore[arg-type]  # a search needs no model
    while True:
        near = index.search(queries, 10)
        recall = float((near[:, :, None] == exact[:, None, :]).any(axis=1).mean())
        if recall >= 0.95 or index.width >= 4096:
            break
        index.width *= 2
    callables = {
        "exact": lambda: top_of_factors(queries, items, 10),
        "index": lambda: index.search(queries, 10),
    }
    found = compare(callables, repeats=5)["index"]  # its ratio: how many times as fast as the exact search
    emit(
        items=count, width=WIDTH, build_seconds=built, recall=recall, candidates=index.width, threads=threads(),
        times_exact=found.ratio, low=found.low, high=found.high,
    )  # fmt: skip
