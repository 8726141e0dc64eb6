"""The GNN of the publication: two GCN layers, with pivot passing beside the graph's own edges.

Each layer: Z <- (1 - alpha) PivotMP(Z W; B) + alpha A Z W. The sparse product equals PyG's GCNConv, and is faster.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mldgg.paper._pivots import pivot_pass
from mldgg.paper._tensors import GraphTensors, Masks


class PivotGNN(nn.Module):
    """Theta_g: from a graph's features to r (N, hidden), after ReLU. W are Xavier, without bias.

    Args:
        width, hidden: of the features and of both layers.
        skip: alpha, share of the message over the graph's own edges.
        refine_share: eta, share of B_t against B_0 in the first layer's message.
    """

    def __init__(self, width: int, hidden: int, skip: float = 0.3, refine_share: float = 0.25) -> None:
        super().__init__()
        self.skip, self.refine_share = skip, refine_share
        self.first, self.second = nn.Parameter(torch.empty(width, hidden)), nn.Parameter(torch.empty(hidden, hidden))
        nn.init.xavier_uniform_(self.first)
        nn.init.xavier_uniform_(self.second)

    def begin(self, graph: GraphTensors, masks: Masks) -> tuple[Tensor, Tensor]:
        """(N, hidden) message X W of the first layer, and A X W, both the same in all rounds."""
        if graph.x.layout == torch.sparse_csr:  # dropping stored entries would change the matrix: drop its columns
            message = graph.x @ (masks(torch.ones_like(self.first[:, :1]), 0) * self.first)
        else:
            message = masks(graph.x, 0) @ self.first
        return message, graph.hop @ message

    def forward(
        self, graph: GraphTensors, masks: Masks, begun: tuple[Tensor, Tensor], b: Tensor | None, b_start: Tensor | None
    ) -> Tensor:
        """(N, hidden) r, given the structures B_t and B_0 (None: the graph's own edges alone)."""
        message, own = begun
        z = own
        if b is not None and b_start is not None:
            z = self._mixed(b_start, message, own)
            if b_start is not b:
                z = self.refine_share * self._mixed(b, message, own) + (1 - self.refine_share) * z
        message = masks(torch.relu(z), 1) @ self.second
        own = graph.hop @ message
        return torch.relu(own if b is None else self._mixed(b, message, own))

    def _mixed(self, b: Tensor, message: Tensor, own: Tensor) -> Tensor:
        return (1 - self.skip) * pivot_pass(b, message, own) + self.skip * own
