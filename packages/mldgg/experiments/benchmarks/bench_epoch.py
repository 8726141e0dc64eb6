"""A GCN step beside PyG's, a training step with pivots beside dense cosine, what doubling the graph costs: JSON lines.

uv run python packages/mldgg/experiments/benchmarks/bench_epoch.py
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from mldgg.paper import Settings
from mldgg.paper._network import Network
from mldgg.paper._tensors import GraphTensors
from mldgg.paper._train import episode_gradient
from ninefold.measure import compare, emit
from ninefold_graphs import Graph
from ninefold_testing import peak_rss_anon
from torch_geometric.nn import GCNConv

SIZES = (10_000, 20_000, 40_000)


def random_graph(nodes: int) -> Graph:
    """A graph without meaning: five random pairs a node, 64 normal features, random labels."""
    draws = np.random.default_rng(0)
    x, pairs = draws.normal(size=(nodes, 64)).astype(np.float32), draws.integers(0, nodes, (2, 5 * nodes))
    return Graph.of(x, pairs, draws.integers(0, 4, nodes), classes=range(4), name="random")


def step(graph: Graph, pivots: int) -> Callable[[], object]:
    """A call that takes the loss over all nodes and its gradient, without regulariser and causal learner."""
    settings = Settings(num_pivots=pivots, rounds=1, draws=0, sparse=0.0, semantics=False)
    tensors, nodes = GraphTensors.of(graph), torch.arange(len(graph))
    network = Network(tensors.width, tensors.classes, settings)
    params = {name: one.detach() for name, one in network.named_parameters()}
    return lambda: episode_gradient(network, params, tensors, nodes, nodes, steps=0, rate=0, order=1, seed=0)


def cost(nodes: int) -> tuple[float, float]:
    """Processor seconds, which a busy machine changes little, and peak bytes of a step in a process of its own."""
    call, taken = step(random_graph(nodes), 1000), []
    with peak_rss_anon(0.01) as peak:
        for _ in range(3):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
    return min(taken), peak.above


if __name__ == "__main__":
    graph = random_graph(SIZES[0])
    tensors, edges, layer = GraphTensors.of(graph), torch.from_numpy(graph.edge_index), GCNConv(64, 64, cached=True)
    x, weight = tensors.x.requires_grad_(), layer.lin.weight.detach().T.clone().requires_grad_()
    gcn = {
        "PyG": lambda: layer(x, edges).sum().backward(),
        "ours": lambda: (tensors.hop @ (x @ weight)).sum().backward(),
    }
    one = compare(gcn, repeats=9)["ours"]
    emit(benchmark="PyG GCNConv / sparse step, N = 10,000, E = 50,000", ratio=one.ratio, low=one.low, high=one.high)
    steps = {"dense cosine": step(graph, len(graph)), "pivots": step(graph, 1000)}
    one = compare(steps, repeats=3, warmup=0)["pivots"]
    emit(benchmark="dense cosine / 1,000 pivots, a step at N = 10,000", ratio=one.ratio, low=one.low, high=one.high)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        costs = np.array(list(pool.map(cost, SIZES)))
    for nodes, (seconds, memory) in zip(SIZES[1:], costs[1:] / costs[:-1], strict=True):
        emit(
            benchmark=f"doubling N and E at 1,000 pivots, to {nodes:,} nodes",
            times_seconds=seconds,
            times_memory=memory,
        )
