"""Adapting to 1,000,000 nodes with 20,000,000 pairs, and predicting: seconds, and the memory of the whole process.

uv run python packages/mldgg/experiments/benchmarks/bench_million.py

The graphs are simulated: 128 columns of words, of which a node has about ten; four classes; seven in ten edges within one.
"""

import resource
import subprocess
import sys
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
    return Graph.of(
        x,
        np.stack([source, target]),
        np.arange(nodes) % CLASSES,
        classes=[f"class {k}" for k in range(CLASSES)],
        name=name,
    )


def measured() -> None:
    """The whole in this process, whose peak of memory is read at its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sources = [simulated(f"source {seed}", 3000, 30_000, seed) for seed in (1, 2, 3)]
        model = MLDGG().fit(sources)
        target = simulated("target", NODES, PAIRS, 9)
        truth = target.y
        shown = np.zeros(NODES, bool)
        shown[:20] = True  # five labels a class
        target = target.hidden(shown)
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        start, cpu = time.perf_counter(), time.process_time()
        adapted = model.adapt(target)
        between = time.perf_counter()
        found = adapted.predict()
    done = time.perf_counter()
    report = adapted.report()
    emit(
        benchmark=f"adapt and predict, {NODES:,} nodes, {target.edge_index.shape[1] // 2:,} pairs, {WIDTH} columns of words",
        seconds_of_adapt=between - start,
        seconds_of_predict=done - between,
        cpu_seconds=time.process_time() - cpu,
        gigabytes_of_the_process=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        gigabytes_before=base,
        accuracy=float((found == truth)[~shown].mean()),
        walk=report["walk"],
        off=", ".join(report["off"]),
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        measured()
    else:
        sys.exit(subprocess.run([sys.executable, __file__, "--here"], check=False).returncode)
