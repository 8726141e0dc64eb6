"""Embedding of CS by our encoder against the same layers of PyG: one JSON line.

uv run python packages/mecoin/experiments/benchmarks/bench_embed.py
"""

import torch
from mecoin import SessionStream, datasets
from mecoin.encoders._gcn import GcnEncoder
from ninefold.measure import compare, emit
from torch_geometric.nn import GCNConv

data = datasets.load("CS")
base = SessionStream(data, 5, 1)[0]
encoder = GcnEncoder(128, epochs=1)
encoder.fit(base.graph, base.graph.positions(base.train), base.graph.positions(base.validation))
first, second = GCNConv(data.width, 256, cached=True), GCNConv(256, 128, cached=True)
x, edges = torch.from_numpy(data.x.toarray()), torch.from_numpy(data.edge_index)


def pyg() -> None:
    with torch.no_grad():
        second(first(x, edges).relu(), edges)


timing = compare({"PyG": pyg, "ours": lambda: encoder._embed(data)})["ours"]
emit(benchmark="embed CS, times as fast as PyG", ratio=timing.ratio, low=timing.low, high=timing.high)
