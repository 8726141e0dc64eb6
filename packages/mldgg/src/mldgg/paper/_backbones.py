"""The GNN of the publication, two layers with pivot passing beside the graph's own edges, on GCN layers.

Each layer: Z <- (1 - alpha) PivotMP(Z W; B) + alpha Conv(Z W). The convolution is a sparse product of our own (equal to
PyG's, and faster).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mldgg.encoders import GraphTensors, Masks, Sparse
from mldgg.paper._pivots import PivotGraph, pivot_pass


@dataclass(frozen=True)
class GnnOptions:
    """How a GNN is built.

    Attributes:
        hidden: d, width of both layers and of r.
        skip: alpha, share of the message over the graph's own edges.
        refine_share: eta, share of B_t against B_0 in the first layer's message.
        hops: 0 for two convolutions as published; else the layers look at single nodes, and so many steps of
            personalised PageRank with both kinds of message follow.
        restart: of those steps.
        norm: LayerNorm after each layer.
        dropout: share of entries dropped before each layer.
    """

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
        self.options = options
        hidden = options.hidden
        self.first, self.second = nn.Parameter(torch.empty(width, hidden)), nn.Parameter(torch.empty(hidden, hidden))
        nn.init.xavier_uniform_(self.first)
        nn.init.xavier_uniform_(self.second)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden) if options.norm else nn.Identity() for _ in range(2)])

    def forward(self, graph: GraphTensors, masks: Masks, b: PivotGraph | None, b_start: PivotGraph | None) -> Tensor:
        """(N, hidden) r, given the structures B_t and B_0 (None: the graph's own edges alone)."""
        return Rounds(self, graph, masks)(b, b_start)

    def message(self, x: Tensor | Sparse, weight: Tensor, masks: Masks, layer: int) -> Tensor:
        """(N, hidden) x W with entries dropped."""
        if isinstance(x, Sparse):  # dropping entries of a product's factor would change the matrix: drop its columns
            return x @ (masks(torch.ones_like(weight[:, :1]), layer) * weight)
        return masks(x, layer) @ weight

    def walk(self, graph: GraphTensors, start: Tensor, b: PivotGraph | None = None) -> Tensor:
        """(N, d) after `hops` steps of personalised PageRank from `start`."""
        z, restart = start, self.options.restart
        for _ in range(self.options.hops):
            z = (1 - restart) * self.mixed(z, graph.hop @ z, b) + restart * start
        return z

    def mixed(self, message: Tensor, own: Tensor, b: PivotGraph | None) -> Tensor:
        """A message over pivots and the one over the graph's own edges, by the shares that `skip` gives them."""
        if b is None:
            return own
        return (1 - self.options.skip) * pivot_pass(b, message, own) + self.options.skip * own


class Rounds:
    """Forward passes over one graph with the same masks; what does not change between rounds is computed once.

    Attributes:
        start: (N, hidden) Z^0, which the first structure is taken from.
    """

    def __init__(self, gnn: PivotGNN, graph: GraphTensors, masks: Masks) -> None:
        self._gnn, self._graph, self._masks = gnn, graph, masks
        self._message = gnn.message(graph.x, gnn.first, masks, 0)
        walks = gnn.options.hops > 0
        self._own = self._message if walks else graph.hop @ self._message
        self.start = torch.relu(gnn.norms[0](self._own))
        self._ahead = None
        if walks:
            self._ahead = gnn.norms[1](gnn.message(self.start, gnn.second, masks, 1))
        self._passed: tuple[PivotGraph, Tensor] | None = None

    def __call__(self, b: PivotGraph | None, b_start: PivotGraph | None) -> Tensor:
        """(N, hidden) r, given the structures B_t and B_0 (None: the graph's own edges alone)."""
        gnn = self._gnn
        if self._ahead is not None:
            return torch.relu(gnn.walk(self._graph, self._ahead, b))
        z = self.start if b is None else torch.relu(gnn.norms[0](self._first(b, b_start)))
        message = gnn.message(z, gnn.second, self._masks, 1)
        return torch.relu(gnn.norms[1](gnn.mixed(message, self._graph.hop @ message, b)))

    def _first(self, b: PivotGraph, b_start: PivotGraph | None) -> Tensor:
        """The first layer's message: of B_t and, by `refine_share`, of B_0."""
        skip, share = self._gnn.options.skip, self._gnn.options.refine_share
        if b_start is None or b_start is b:
            passed = self._over_start(b)
        else:
            now = pivot_pass(b, self._message, self._own)
            passed = share * now + (1 - share) * self._over_start(b_start)
        return (1 - skip) * passed + skip * self._own

    def _over_start(self, b: PivotGraph) -> Tensor:
        if self._passed is None or self._passed[0] is not b:
            self._passed = b, pivot_pass(b, self._message, self._own)
        return self._passed[1]
