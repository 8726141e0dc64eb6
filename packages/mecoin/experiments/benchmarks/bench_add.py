"""On CS: adding a class beside the published method and by the number of base nodes, growing memory, embedding.

uv run python packages/mecoin/experiments/benchmarks/bench_add.py
"""

import copy

import numpy as np
import torch
from mecoin import Graph, SessionStream, datasets
from mecoin.encoders._encoder import dense as features_of
from mecoin.encoders._gcn import GcnEncoder
from mecoin.evaluation._compare import make_learner
from mecoin.memory._plus import MecoinPlus
from mecoin.paper import PaperMecoin
from mecoin.protocol._learner import Learner
from ninefold.measure import compare, emit
from torch_geometric.nn import GCNConv

stream = SessionStream(datasets.load("CS"), 5, 1, 5, seed=0)
base, new = stream[0], stream[1]


def measure(benchmark: str, learners: dict[str, Learner], **how: int) -> None:
    for learner in learners.values():
        learner.encoder.embed(new.graph)
    calls = {name: lambda one=one: copy.copy(one).add_classes(new.graph, new.support) for name, one in learners.items()}
    for name, one in compare(calls, **how).items():
        emit(benchmark=benchmark, arm=name, seconds=one.seconds, ratio=one.ratio, low=one.low, high=one.high)


learners: dict[str, Learner] = {}
for entry in (PaperMecoin, MecoinPlus):
    learners[entry.name] = make_learner(entry, base, epochs=60)
    learners[entry.name].fit_base(base.graph, base.support, base.validation)
measure("add one 5-shot class on CS, embedded", learners, repeats=3, warmup=0)

memory = learners["mecoin+"]
assert isinstance(memory, MecoinPlus)
for session in list(stream)[1:]:
    memory.add_classes(session.graph, session.support)
grown = memory.memory_report()["prototypes (grow)"]
nodes, words = 5 * len(stream.data.classes), stream.data.x.nnz / len(stream.data)
dense, sparse = (100 * grown / (nodes * size) for size in (stream.data.width * 4, words * 8))
benchmark = "growing memory on CS against a replay buffer of five nodes a class"
emit(benchmark=benchmark, bytes=grown, percent_of_dense=dense, percent_of_sparse=sparse)

part, sizes = np.random.default_rng(0).permutation(len(base.graph)), {}
for share in (0.25, 1.0):
    graph: Graph = base.graph.induced(np.union1d(part[: int(share * len(part))], base.graph.positions(base.validation)))
    support = {code: np.intersect1d(nodes, graph.ids) for code, nodes in base.support.items()}
    learner = make_learner("mecoin+", base)
    learner.fit_base(graph, support, base.validation)
    sizes[f"{sum(map(len, support.values())):,} labelled base nodes"] = learner
measure("add one class after more base nodes", sizes, repeats=5)

encoder = GcnEncoder(128, epochs=1)
encoder.fit(base.graph, base.graph.positions(base.train), base.graph.positions(base.validation))
first, second = GCNConv(stream.data.width, 256, cached=True), GCNConv(256, 128, cached=True)
x, edges = features_of(stream.data), torch.from_numpy(stream.data.edge_index)
layers = torch.no_grad()(lambda: second(first(x, edges).relu(), edges))
timing = compare({"PyG": layers, "ours": lambda: encoder._embed(stream.data)})["ours"]
emit(benchmark="embed CS, times as fast as PyG", ratio=timing.ratio, low=timing.low, high=timing.high)
