"""Ratios of the statistics core to R limma, R coxph, lifelines and gseapy, one JSON line each.

uv run --package proteus python packages/proteus/experiments/benchmarks/bench_statistics.py
"""

from ninefold.measure import emit
from proteus_experiments.benchmarks._timing import timings

if __name__ == "__main__":
    for row in timings().to_dict()["rows"]:
        emit(**row)
