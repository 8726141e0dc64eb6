"""Prediction over many prototypes, and embedding of a large graph: seconds and memory.

uv run python packages/mecoin/experiments/benchmarks/bench_scale.py
"""

import time

import numpy as np
from mecoin import Graph
from mecoin.encoders._gcn import GcnEncoder
from mecoin.encoders._sgc import SgcEncoder
from mecoin.memory._plus import MecoinPlus
from ninefold.measure import emit
from ninefold_testing import peak_rss_anon

draws = np.random.default_rng(0)


class Given(SgcEncoder):
    """An encoder whose output is known, so that prediction alone is timed."""

    def __init__(self, z: np.ndarray) -> None:
        super().__init__(z.shape[1])
        self.z = z

    def embed(self, graph: Graph) -> np.ndarray:
        return self.z[: len(graph)]


n, classes, width = 1_000_000, 1000, 128
encoder = Given(draws.normal(size=(n, width)).astype(np.float32))
codes = np.arange(10 * classes) % classes
small = Graph(encoder.z[: len(codes)], np.zeros((2, 0), np.int64), codes, tuple(range(classes)), np.arange(len(codes)))
large = Graph(np.zeros((n, 1), np.float32), np.zeros((2, 0), np.int64), np.full(n, -1), (), np.arange(n))
learner = MecoinPlus(encoder)
learner.fit_base(small, {code: np.flatnonzero(codes == code) for code in range(classes)}, small.ids)
with peak_rss_anon(0.05) as peak:
    start = time.perf_counter()
    learner.predict(large, large.ids)
    seconds = time.perf_counter() - start
emit(benchmark="predict 1,000,000 nodes over 1,000 classes, embedded", seconds=seconds, gigabytes=peak.above / 1e9)
del encoder, learner, small, large

n, e, d = 1_000_000, 10_000_000, 128
x = draws.normal(size=(n, d)).astype(np.float32)
edges = draws.integers(0, n, (2, e // 2))
with peak_rss_anon(0.05) as peak:
    graph = Graph(x, np.concatenate([edges, edges[::-1]], axis=1), np.full(n, -1), (), np.arange(n))
    small = Graph(x[:1000], np.zeros((2, 0), np.int64), np.arange(1000) % 5, tuple(range(5)), np.arange(1000))
    for encoder in (SgcEncoder(64), GcnEncoder(128, epochs=1)):
        encoder.fit(small, small.ids[:800], small.ids[800:])
        start = time.perf_counter()
        z = encoder.embed(graph)
        emit(benchmark=f"embed 1 M nodes, 10 M edges, {encoder.kind}", seconds=time.perf_counter() - start)
        del z
        encoder._embeddings.clear()
emit(benchmark="peak of anonymous memory above the features", gigabytes=peak.above / 1e9)
