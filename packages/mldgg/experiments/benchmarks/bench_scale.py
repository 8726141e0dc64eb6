"""Closed-form adaptation at N = 200,000 and E = 2,000,000: a pass with 1,000 pivots and a ridge on r; the default's.

uv run python packages/mldgg/experiments/benchmarks/bench_scale.py
"""

import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from mldgg import MLDGG
from mldgg.encoders import GraphTensors
from mldgg.evaluation._speed import random_graph
from mldgg.meta import Network, settings_of
from ninefold.measure import emit, peak_rss_anon
from ninefold_graphs import centred_update

graph = random_graph(200_000, 1_000_000)  # both directions: E = 2,000,000
settings = settings_of("repaired", num_pivots=1000, num_heads=4, rounds=1, hops=0)
torch.manual_seed(0)
network = Network(64, 4, settings)
support = torch.arange(20)
with peak_rss_anon(0.01) as peak:
    tensors = GraphTensors.of(graph, np.asarray(graph.x))
    start, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
        r = network(tensors).r
        targets = torch.nn.functional.one_hot(tensors.y[support], 4).float()
        scores = r.numpy() @ centred_update(r[support].numpy(), targets.numpy(), 1.0)
    taken, cpu = time.perf_counter() - start, time.process_time() - cpu
emit(
    benchmark="closed-form adaptation, N = 200,000, E = 2,000,000, P = 1,000",
    seconds=taken,
    cpu_seconds=cpu,
    gigabytes=peak.above / 1e9,
)

small = [replace(random_graph(3000, 15_000, seed=seed), name=f"small{seed}") for seed in (1, 2)]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    solver = MLDGG(network=False).fit(small).solver
assert solver is not None
with peak_rss_anon(0.01) as peak:
    start, cpu = time.perf_counter(), time.process_time()
    z = solver.inputs(graph)
    weights = solver.chances(graph, z)
    gated = time.process_time() - cpu
    rows = solver.features(graph, z, weights)
    shown = support.numpy()
    rows @ solver.ridge.update(rows[shown], graph.y[shown])
    taken, cpu = time.perf_counter() - start, time.process_time() - cpu
emit(
    benchmark="the default's gate (three rounds), hops and ridge, N = 200,000, E = 2,000,000, 64 columns",
    seconds=taken,
    cpu_seconds=cpu,
    cpu_seconds_of_the_gate=gated,
    gigabytes=peak.above / 1e9,
)
