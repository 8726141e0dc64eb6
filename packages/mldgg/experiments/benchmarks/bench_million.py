"""Adapting to 1,000,000 nodes with 20,000,000 pairs, and predicting: seconds, and the memory of the whole process.

uv run python packages/mldgg/experiments/benchmarks/bench_million.py

The graphs are simulated: 128 columns of words, of which a node has about ten; four classes; seven in ten edges within one.
"""

import resource
import time
import warnings

import numpy as np
import scipy.sparse as sp
from mldgg import MLDGG
from ninefold.measure import emit
from ninefold_graphs import Graph

CLASSES, WIDTH, WORDS = 4, 128, 12
NODES, PAIRS = 1_000_000, 20_000_000


def simulated(name: str, nodes: int, pairs: int, seed: int) -> Graph:
    """Nodes of class index mod four, words of their class twice as likely as others, and pairs of which most agree."""
    draws = np.random.default_rng(seed)
    words = draws.random((nodes, WORDS)).astype(np.float32)
    own = words < 0.25  # of the class's quarter of the columns; else of all
    columns = draws.integers(0, WIDTH // CLASSES, (nodes, WORDS), np.int32) * CLASSES
    columns += np.where(own, (np.arange(nodes) % CLASSES)[:, None], draws.integers(0, CLASSES, (nodes, WORDS)))
    ends = np.arange(0, nodes * WORDS + 1, WORDS, dtype=np.int32)
    x = sp.csr_array((np.ones(columns.size, np.float32), columns.ravel().astype(np.int32), ends), (nodes, WIDTH))
    x.sum_duplicates()
    x.data[:] = 1
    source = draws.integers(0, nodes, pairs)
    target = draws.integers(0, nodes, pairs)
    agree = draws.random(pairs, np.float32) < 0.6
    target[agree] += (source - target)[agree] % CLASSES
    target %= nodes  # a multiple of the number of classes
    names = [f"class {k}" for k in range(CLASSES)]
    return Graph.of(x, np.stack([source, target]), np.arange(nodes) % CLASSES, classes=names, name=name)


def gigabytes() -> float:
    """The largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    model = MLDGG().fit([simulated(f"source {seed}", 3000, 30_000, seed) for seed in (1, 2, 3)])
    whole = simulated("target", NODES, PAIRS, 9)
    truth, shown = whole.y, np.arange(NODES) < 5 * CLASSES  # five labels a class
    target = whole.hidden(shown)
    del whole
    base, start, cpu = gigabytes(), time.perf_counter(), time.process_time()
    adapted = model.adapt(target)
    between = time.perf_counter()
    found = adapted.predict()
    done, report = time.perf_counter(), adapted.report()
    emit(
        benchmark=f"adapt and predict, {NODES:,} nodes, {target.edge_index.shape[1] // 2:,} pairs, {WIDTH} columns of words",
        seconds_of_adapt=between - start, seconds_of_predict=done - between, cpu_seconds=time.process_time() - cpu,
        gigabytes_of_the_process=gigabytes(), gigabytes_before=base,
        accuracy=float((found == truth)[~shown].mean()), walk=report["walk"], off=", ".join(report["off"]),
    )  # fmt: skip
