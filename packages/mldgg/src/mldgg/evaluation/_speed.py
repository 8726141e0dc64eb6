"""Seconds: a sparse GCN step beside PyG's, and an adaptation of the default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ninefold.measure import compare
from ninefold.report import Table
from ninefold_graphs import Graph

from mldgg.encoders import GraphTensors
from mldgg.meta import MLDGG


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


def adaptation(nodes: int, edges: int) -> Any:
    """A call that adapts a model of two small graphs to one of that size, and predicts all of its nodes."""
    sources = [replace(random_graph(1000, 5000, seed=seed), name=f"source{seed}") for seed in (1, 2)]
    target = random_graph(nodes, edges)
    model, target = MLDGG().fit(sources), target.hidden(np.zeros(nodes, bool))
    return lambda: model.predict_proba(target)


def speed_table(nodes: int = 4000, edges: int = 20_000, repeats: int = 5) -> Table:
    """Small forms of the benchmarks: seconds of an adaptation, and a GCN step beside PyG's with intervals."""
    table = Table(["what", "seconds", "times as fast", "95 % interval"], title=f"{nodes:,} nodes, {edges:,} edges")
    for one in compare(gcn_steps(nodes, edges), repeats=repeats).values():
        table.rows.append([one.name, one.seconds, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"])
    (one,) = compare({"adapt and predict": adaptation(nodes, edges)}, repeats=repeats).values()
    table.rows.append([one.name, one.seconds, None, ""])
    return table
