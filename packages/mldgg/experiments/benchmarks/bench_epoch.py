"""A GCN step beside PyG's, a training step with pivots beside dense cosine, what doubling the graph costs: JSON lines.

uv run python packages/mldgg/experiments/benchmarks/bench_epoch.py
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from mldgg.encoders import GraphTensors
from mldgg.paper import Settings
from mldgg.paper._loop import episode_gradient
from mldgg.paper._network import Network
from mldgg.paper._settings import settings_of
from ninefold.measure import compare, emit, peak_rss_anon
from ninefold_graphs import Graph
from torch_geometric.nn import GCNConv


def random_graph(nodes: int, edges: int, seed: int = 0) -> Graph:
    """A graph without meaning: `edges` random pairs, 64 normal features, random labels."""
    draws = np.random.default_rng(seed)
    x, pairs = draws.normal(size=(nodes, 64)).astype(np.float32), draws.integers(0, nodes, (2, edges))
    return Graph.of(x, pairs, draws.integers(0, 4, nodes), classes=range(4), name=f"random {seed}")


def gcn_steps(nodes: int, edges: int) -> dict[str, Callable[[], object]]:
    """Forward and backward of one GCN layer: PyG's GCNConv with cached normalisation, and ours."""
    graph = random_graph(nodes, edges)
    tensors = GraphTensors.of(graph, np.asarray(graph.x))
    edges = torch.from_numpy(graph.edge_index)
    layer = GCNConv(64, 64, bias=False, cached=True)
    weight = torch.nn.Parameter(layer.lin.weight.detach().T.clone())
    x = torch.from_numpy(np.asarray(graph.x)).requires_grad_()
    return {
        "PyG GCNConv": lambda: layer(x, edges).sum().backward(),
        "sparse step": lambda: (tensors.hop @ (x @ weight)).sum().backward(),
    }


def gradient_step(tensors: GraphTensors, settings: Settings) -> Callable[[], object]:
    """A call that takes the loss over all nodes and its gradient."""
    torch.manual_seed(0)
    network = Network(tensors.width, tensors.classes, settings)
    params = {name: one.detach() for name, one in network.named_parameters()}
    nodes = torch.arange(len(tensors))
    return lambda: episode_gradient(network, params, tensors, nodes, nodes, steps=0, rate=0, order=1, seed=0)


def epoch_steps(nodes: int, edges: int, pivots: int) -> dict[str, Callable[[], object]]:
    """One loss and its gradient with every node as a pivot (dense cosine) and with `pivots` of them."""
    graph = random_graph(nodes, edges)
    tensors, options = GraphTensors.of(graph, np.asarray(graph.x)), {"draws": 0, "sparse": 0.0, "rounds": 1}
    return {
        name: gradient_step(tensors, settings_of("repaired", num_pivots=count, semantics=False, hops=0, **options))
        for name, count in (("dense cosine", nodes), ("pivots", pivots))
    }


def cost(nodes: int) -> tuple[float, float]:
    """Processor seconds, which a busy machine changes little, and peak bytes of a step in a process of its own."""
    settings = settings_of("repaired", num_pivots=1000, draws=0, sparse=0.0, rounds=1, semantics=False, hops=0)
    graph, taken = random_graph(nodes, 5 * nodes), []
    step = gradient_step(GraphTensors.of(graph, np.asarray(graph.x)), settings)
    with peak_rss_anon(0.01) as peak:
        for _ in range(3):
            start = time.process_time()
            step()
            taken.append(time.process_time() - start)
    return min(taken), peak.above


if __name__ == "__main__":
    one = compare(gcn_steps(10_000, 50_000), repeats=9)["sparse step"]
    emit(benchmark="PyG GCNConv / sparse step, N = 10,000, E = 50,000", ratio=one.ratio, low=one.low, high=one.high)
    steps = epoch_steps(10_000, 50_000, 1000)
    one = compare(steps, repeats=3, warmup=0)["pivots"]
    emit(benchmark="dense cosine / 1,000 pivots, a step at N = 10,000", ratio=one.ratio, low=one.low, high=one.high)
    costs = []
    for nodes in (10_000, 20_000, 40_000):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            costs.append(pool.submit(cost, nodes).result())
    for (seconds, memory), (more_seconds, more_memory), nodes in zip(costs, costs[1:], (20_000, 40_000), strict=False):
        emit(
            benchmark=f"doubling N and E at 1,000 pivots, to {nodes:,} nodes",
            times_seconds=more_seconds / seconds,
            times_memory=more_memory / memory,
        )
