"""The GNN of the publication, two layers with pivot passing beside the graph's own edges, on four kinds of layer.

Each layer: Z <- (1 - alpha) PivotMP(Z W; B) + alpha Conv(Z W). GCN's convolution is a sparse product of our own (equal
to PyG's, and faster); GAT, SAGE and GCNII are PyG's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from mldgg.encoders._masks import Masks
from mldgg.encoders._sparse import Sparse
from mldgg.encoders._tensors import GraphTensors
from mldgg.structure import pivot_pass

BACKBONES = ("gcn", "gat", "sage", "gcnii")


@dataclass(frozen=True)
class GnnOptions:
    """How a GNN is built.

    Attributes:
        backbone: one of BACKBONES.
        hidden: d, width of both layers and of r.
        skip: alpha, share of the message over the graph's own edges.
        refine_share: eta, share of B_t against B_0 in the first layer's message.
        hops: 0 for two convolutions as published; else the layers look at single nodes, and so many steps of
            personalised PageRank with both kinds of message follow.
        restart: of those steps.
        norm: LayerNorm after each layer.
        dropout: share of entries dropped before each layer.
    """

    backbone: str = "gcn"
    hidden: int = 64
    skip: float = 0.3
    refine_share: float = 0.25
    hops: int = 0
    restart: float = 0.1
    norm: bool = False
    dropout: float = 0.6


class PivotGNN(nn.Module):
    """Theta_g: from a graph's input to r (N, hidden), after ReLU. W are Xavier, without bias."""

    def __init__(self, width: int, options: GnnOptions) -> None:
        super().__init__()
        if options.backbone not in BACKBONES:
            raise InputError("backbone", got=repr(options.backbone), expected=f"one of {', '.join(BACKBONES)}")
        self.options = options
        hidden = options.hidden
        self.first, self.second = nn.Parameter(torch.empty(width, hidden)), nn.Parameter(torch.empty(hidden, hidden))
        nn.init.xavier_uniform_(self.first)
        nn.init.xavier_uniform_(self.second)
        self.convs = nn.ModuleList([_conv(options.backbone, hidden, layer) for layer in (1, 2)])
        self.norms = nn.ModuleList([nn.LayerNorm(hidden) if options.norm else nn.Identity() for _ in range(2)])

    def start(self, graph: GraphTensors, masks: Masks) -> Tensor:
        """(N, hidden) Z^0, which the first structure is taken from."""
        message = self._message(graph.x, self.first, masks, 0)
        if self.options.hops:
            return torch.relu(self.norms[0](message))
        return torch.relu(self.norms[0](self._conv(0, graph, message)))

    def forward(self, graph: GraphTensors, masks: Masks, b: Tensor | None, b_start: Tensor | None) -> Tensor:
        """(N, hidden) r, given the structures B_t and B_0 (None: the graph's own edges alone)."""
        message = self._message(graph.x, self.first, masks, 0)
        if self.options.hops:
            return self._walk(graph, masks, message, b)
        z = self._mixed(message, self._conv(0, graph, message), b, b_start)
        z = torch.relu(self.norms[0](z))
        message = self._message(z, self.second, masks, 1)
        return torch.relu(self.norms[1](self._mixed(message, self._conv(1, graph, message, z), b, None)))

    def _walk(self, graph: GraphTensors, masks: Masks, message: Tensor, b: Tensor | None) -> Tensor:
        z = torch.relu(self.norms[0](message))
        start = z = self.norms[1](self._message(z, self.second, masks, 1))
        for _ in range(self.options.hops):
            z = (1 - self.options.restart) * self._mixed(z, graph.hop @ z, b, None) + self.options.restart * start
        return torch.relu(z)

    def _message(self, x: Tensor | Sparse, weight: Tensor, masks: Masks, layer: int) -> Tensor:
        if isinstance(x, Sparse):  # dropping entries of a product's factor would change the matrix: drop columns of W
            return x @ masks(weight, layer)
        return masks(x, layer) @ weight

    def _conv(self, layer: int, graph: GraphTensors, message: Tensor, start: Tensor | None = None) -> Tensor:
        return self.convs[layer](message, graph, message if start is None else start)

    def _mixed(self, message: Tensor, own: Tensor, b: Tensor | None, b_start: Tensor | None) -> Tensor:
        if b is None:
            return own
        passed = pivot_pass(b, message, own)
        if b_start is not None and b_start is not b:
            share = self.options.refine_share
            passed = share * passed + (1 - share) * pivot_pass(b_start, message, own)
        return (1 - self.options.skip) * passed + self.options.skip * own


class _Conv(nn.Module):
    """A convolution of messages that W has already been applied to."""

    def __init__(self, layer: nn.Module | None, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.layer, self._call = layer, call

    def forward(self, message: Tensor, graph: GraphTensors, start: Tensor) -> Tensor:
        return self._call(self.layer, message, graph, start)


def _conv(backbone: str, hidden: int, layer: int) -> _Conv:
    if backbone == "gcn":
        return _Conv(None, lambda _, message, graph, __: graph.hop @ message)
    from torch_geometric import nn as layers

    made: Any
    if backbone == "gat":
        made = layers.GATConv(hidden, hidden, heads=1, edge_dim=1, bias=False)
        return _Conv(made, lambda conv, z, graph, _: conv(z, graph.edge_index, graph.edge_weight[:, None]))
    if backbone == "sage":
        made = layers.SAGEConv(hidden, hidden, bias=False)
        return _Conv(made, lambda conv, z, graph, _: conv(z, graph.edge_index))
    made = layers.GCN2Conv(hidden, alpha=0.1, theta=0.5, layer=layer)
    return _Conv(made, lambda conv, z, graph, start: conv(z, start, graph.edge_index, graph.edge_weight))
