"""Closed-form adaptation of the default at N = 200,000 and E = 2,000,000: one JSON line.

uv run python packages/mldgg/experiments/benchmarks/bench_scale.py
"""

import time
import warnings
from dataclasses import replace

import numpy as np
from bench_epoch import random_graph
from mldgg import MLDGG
from ninefold.measure import emit, peak_rss_anon

graph = random_graph(200_000, 1_000_000)  # both directions: E = 2,000,000
support = np.arange(20)
small = [random_graph(3000, 15_000, seed=seed) for seed in (1, 2)]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    solver = MLDGG().fit(small).fitted
solver = replace(solver, power=2.0)  # the gate acts
with peak_rss_anon(0.01) as peak:
    start, cpu = time.perf_counter(), time.process_time()
    solver.weights(graph)
    gated = time.process_time() - cpu
    seen = solver.see(graph)
    seen.rows @ seen.ridge.update(seen.rows[support], graph.y[support])
    taken, cpu = time.perf_counter() - start, time.process_time() - cpu
emit(
    benchmark="the default's gate (three rounds), hops and ridge, N = 200,000, E = 2,000,000, 64 columns",
    seconds=taken,
    cpu_seconds=cpu,
    cpu_seconds_of_the_gate=gated,
    gigabytes=peak.above / 1e9,
)
