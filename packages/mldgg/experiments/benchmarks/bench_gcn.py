"""Forward and backward of one GCN layer, ours beside PyG's: one JSON line.

uv run python packages/mldgg/experiments/benchmarks/bench_gcn.py
"""

from mldgg.evaluation import gcn_steps
from ninefold.measure import compare, emit

one = compare(gcn_steps(10_000, 50_000), repeats=9)["sparse step"]
emit(benchmark="PyG GCNConv / sparse step, N = 10,000, E = 50,000", ratio=one.ratio, low=one.low, high=one.high)
