"""Seconds: a sparse GCN step beside PyG's, and an epoch beside one with dense cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ninefold.measure import compare
from ninefold.report import Table
from ninefold_graphs import Graph

from mldgg.encoders import GraphTensors
from mldgg.meta import Network, Settings, episode_gradient, settings_of


def random_graph(nodes: int, edges: int, width: int = 64, classes: int = 4, seed: int = 0) -> Graph:
    """A graph without meaning: `edges` random pairs, normal features, random labels."""
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(nodes, width)).astype(np.float32)
    pairs = draws.integers(0, nodes, (2, edges))
    return Graph.of(x, pairs, draws.integers(0, classes, nodes), classes=range(classes), name="random")


def gcn_steps(nodes: int, edges: int) -> dict[str, Any]:
    """Forward and backward of one GCN layer: PyG's GCNConv with cached normalisation, and ours."""
    from torch_geometric.nn import GCNConv

    graph = random_graph(nodes, edges)
    tensors = GraphTensors.of(graph, np.asarray(graph.x))
    layer = GCNConv(64, 64, bias=False, cached=True)
    weight = torch.nn.Parameter(layer.lin.weight.detach().T.clone())
    x = torch.from_numpy(np.asarray(graph.x)).requires_grad_()

    def pyg() -> None:
        layer(x, tensors.edge_index).sum().backward()

    def ours() -> None:
        (tensors.hop @ (x @ weight)).sum().backward()

    return {"PyG GCNConv": pyg, "sparse step": ours}


def epoch_steps(nodes: int, edges: int, pivots: int, **options: Any) -> dict[str, Any]:
    """One loss and its gradient with every node as a pivot (dense cosine) and with `pivots` of them."""
    graph = random_graph(nodes, edges)
    tensors = GraphTensors.of(graph, np.asarray(graph.x))
    calls = {}
    for name, count in (("dense cosine", nodes), ("pivots", pivots)):
        settings = settings_of("repaired", num_pivots=count, **{"draws": 0, "sparse": 0.0, "rounds": 1, **options})
        calls[name] = gradient_step(tensors, settings)
    return calls


def gradient_step(tensors: GraphTensors, settings: Settings) -> Any:
    """A call that takes the loss over all nodes and its gradient."""
    torch.manual_seed(0)
    network = Network(tensors.width, tensors.classes, settings)
    params = {name: one.detach() for name, one in network.named_parameters()}
    nodes = torch.arange(len(tensors))
    return lambda: episode_gradient(network, params, tensors, nodes, nodes, steps=0, rate=0, order=1, seed=0)


def speed_table(nodes: int = 4000, edges: int = 20_000, repeats: int = 5) -> Table:
    """Small forms of the benchmarks: seconds and ratios with intervals."""
    table = Table(["what", "seconds", "times as fast", "95 % interval"], title=f"{nodes:,} nodes, {edges:,} edges")
    for steps in (gcn_steps(nodes, edges), epoch_steps(nodes, edges, 200)):
        for one in compare(steps, repeats=repeats).values():
            table.rows.append([one.name, one.seconds, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"])
    return table
