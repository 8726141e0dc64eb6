"""Seconds of the method against the mean it starts from: one JSON line.

uv run python packages/template-package/experiments/benchmarks/bench_estimate.py
"""

import numpy as np
from ninefold.measure import compare, emit
from template_package import james_stein

samples = np.random.default_rng(0).normal(size=(20, 1_000_000))
ratio = compare({"np.mean": lambda: samples.mean(axis=0), "james_stein": lambda: james_stein(samples)})["james_stein"]
emit(benchmark="james_stein / np.mean", ratio=ratio.ratio, low=ratio.low, high=ratio.high)
