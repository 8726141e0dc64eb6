"""Prediction over many prototypes, and embedding of a large graph: seconds and memory.

uv run python packages/mecoin/benchmarks/bench_scale.py
"""

import time

import numpy as np
from mecoin import Graph
from mecoin.encoders._encoder import GcnEncoder, SgcEncoder
from mecoin.memory._smu import Smu
from ninefold.proof.bench import emit, peak_rss_anon

draws = np.random.default_rng(0)
keys = draws.normal(size=(1_000_000, 128)).astype(np.float32)
smu = Smu(draws.normal(size=(1000, 128)).astype(np.float32), np.arange(1000))
start = time.perf_counter()
smu.nearest(keys)
emit(benchmark="nearest of 1,000 prototypes for 1,000,000 nodes", seconds=time.perf_counter() - start)
del keys

n, e, d = 1_000_000, 10_000_000, 128
x = draws.normal(size=(n, d)).astype(np.float32)
edges = draws.integers(0, n, (2, e // 2))
with peak_rss_anon(0.05) as peak:
    start = time.perf_counter()
    graph = Graph(x, np.concatenate([edges, edges[::-1]], axis=1), np.full(n, -1), (), np.arange(n))
    some = np.arange(1000)
    small = Graph(x[some], np.zeros((2, 0), np.int64), some % 5, tuple(range(5)), some)
    for encoder in (SgcEncoder(64), GcnEncoder(128, epochs=1)):
        encoder.fit(small, some[:800], some[800:])
        start = time.perf_counter()
        z = encoder.embed(graph)
        emit(benchmark=f"embed 1 M nodes, 10 M edges, {encoder.kind}", seconds=time.perf_counter() - start)
        del z
        encoder._embeddings.clear()
emit(benchmark="peak of anonymous memory above the features", gigabytes=peak.above / 1e9)
