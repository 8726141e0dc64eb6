"""Adding a class: seconds beside the published method, and by the number of base nodes; growing memory on CS.

uv run python packages/mecoin/experiments/benchmarks/bench_add.py
"""

import copy

import numpy as np
from mecoin import Graph, SessionStream, datasets
from mecoin.evaluation._compare import make_learner
from mecoin.memory._plus import MecoinPlus
from mecoin.paper import PaperMecoin
from ninefold.measure import compare, emit

stream = SessionStream(datasets.load("CS"), 5, 1, 5, seed=0)
base, new = stream[0], stream[1]
entries = {PaperMecoin.name: PaperMecoin, "mecoin+": "mecoin+"}
learners = {name: make_learner(entry, base, epochs=60) for name, entry in entries.items()}
for learner in learners.values():
    learner.fit_base(base.graph, base.support, base.validation)
    learner.encoder.embed(new.graph)
calls = {name: lambda one=one: copy.copy(one).add_classes(new.graph, new.support) for name, one in learners.items()}
for name, timing in compare(calls, repeats=3, warmup=0).items():
    emit(
        benchmark="add one 5-shot class on CS, embedded",
        arm=name,
        seconds=timing.seconds,
        times_as_fast=timing.ratio,
        low=timing.low,
        high=timing.high,
    )

memory = learners["mecoin+"]
assert isinstance(memory, MecoinPlus)
for session in list(stream)[1:]:
    memory.add_classes(session.graph, session.support)
report = memory.memory_report()
grown = report["prototypes (grow)"]
classes, width = len(stream.data.classes), stream.data.width
words = stream.data.x.nnz / len(stream.data)
emit(
    benchmark="growing memory on CS against a replay buffer of five nodes a class",
    bytes=grown,
    percent_of_dense=100 * grown / (classes * 5 * width * 4),
    percent_of_sparse=100 * grown / (classes * 5 * words * 8),
)

part = np.random.default_rng(0).permutation(len(base.graph))
sizes = {}
for share in (0.25, 1.0):
    graph: Graph = base.graph.induced(np.union1d(part[: int(share * len(part))], base.graph.positions(base.validation)))
    support = {code: np.intersect1d(nodes, graph.ids) for code, nodes in base.support.items()}
    learner = make_learner("mecoin+", base)
    learner.fit_base(graph, support, base.validation)
    sizes[f"{sum(map(len, support.values())):,} labelled base nodes"] = learner
calls = {name: lambda one=one: copy.copy(one).add_classes(new.graph, new.support) for name, one in sizes.items()}
for name, timing in compare(calls, repeats=5).items():
    emit(
        benchmark="add one class after more base nodes",
        arm=name,
        seconds=timing.seconds,
        ratio=timing.ratio,
        low=timing.low,
        high=timing.high,
    )
