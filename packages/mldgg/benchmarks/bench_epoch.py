"""A training step with pivots beside one with dense cosine, and what doubling the graph costs: JSON lines.

uv run python packages/mldgg/benchmarks/bench_epoch.py
"""

import time

import numpy as np
from mldgg.encoders import GraphTensors
from mldgg.evaluation._speed import epoch_steps, gradient_step, random_graph
from mldgg.meta import settings_of
from ninefold.proof.bench import compare, emit, peak_rss_anon

steps = epoch_steps(10_000, 50_000, 1000, semantics=False, hops=0)
one = compare(steps, repeats=3, warmup=0)["pivots"]
emit(benchmark="dense cosine / 1,000 pivots, a step at N = 10,000", ratio=one.ratio, low=one.low, high=one.high)

seconds, memory = [], []  # of the processor: a busy machine changes them little
settings = settings_of("repaired", num_pivots=1000, draws=0, sparse=0.0, rounds=1, semantics=False, hops=0)
for nodes in (10_000, 20_000):
    graph = random_graph(nodes, 5 * nodes)
    step = gradient_step(GraphTensors.of(graph, np.asarray(graph.x)), settings)
    taken = []
    with peak_rss_anon(0.01) as peak:
        for _ in range(3):
            start = time.process_time()
            step()
            taken.append(time.process_time() - start)
    seconds.append(min(taken))
    memory.append(peak.above)
emit(
    benchmark="doubling N and E at 1,000 pivots",
    times_seconds=seconds[1] / seconds[0],
    times_memory=memory[1] / memory[0],
)
