"""Pivot structure learner: weighted multi-head cosine of nodes to a few pivots, never N x N (GraphGLOW, section 3)."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_LARGE = 20_000_000  # entries of B from which it is computed anew in the backward pass instead of being kept twice
_log = logging.getLogger("mldgg")


def choose_pivots(nodes: int, pivots: int, seed: int) -> Tensor:
    """(P,) distinct node indices, sorted; as many as there are nodes where `pivots` asks for more, which is logged."""
    if pivots > nodes:
        _log.info("num_pivots: %d pivots asked for, %d nodes: every node is a pivot", pivots, nodes)
        return torch.arange(nodes)
    drawn = torch.randperm(nodes, generator=torch.Generator().manual_seed(seed))[:pivots]
    return drawn.sort().values


class PivotLearner(nn.Module):
    """Theta_t: B_ip = max(0, mean over heads of cos(w_h * z_i, w_h * z_p)), zero where it is at most epsilon."""

    def __init__(self, channels: int, heads: int = 4, epsilon: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, channels))
        nn.init.xavier_uniform_(self.weight)
        self.epsilon = epsilon

    def forward(self, z: Tensor, pivots: Tensor) -> Tensor:
        """(N, d) embeddings and (P,) node indices -> (N, P) similarities >= 0."""
        if torch.is_grad_enabled() and z.shape[0] * pivots.numel() > _LARGE:
            return checkpoint(self._similarity, z, z[pivots], use_reentrant=False)  # type: ignore[return-value]
        return self._similarity(z, z[pivots])

    def _similarity(self, z: Tensor, of_pivots: Tensor) -> Tensor:
        heads = self.weight.shape[0]
        # the sum of the heads' cosines is one product of their unit vectors, side by side
        b = self._units(z) @ (self._units(of_pivots) / heads).T
        if torch.is_grad_enabled() and b.requires_grad:
            return torch.where(b > self.epsilon, b, 0).clamp(min=0)
        return torch.threshold_(b, max(self.epsilon, 0.0), 0.0)

    def _units(self, z: Tensor) -> Tensor:
        weighted = z[:, None, :] * self.weight
        return torch.nn.functional.normalize(weighted, dim=-1, eps=1e-8).flatten(1)


def pivot_pass(b: Tensor, message: Tensor, fallback: Tensor) -> Tensor:
    """RowNorm(B) (ColNorm(B)^T M): messages go from nodes to pivots and back, in O(NP).

    Args:
        b: (N, P) similarities >= 0.
        message: (N, d), Z W.
        fallback: (N, d) message over the graph's own edges, for nodes that resemble no pivot (zero rows of B).
    Returns: (N, d).
    """
    rows, columns = b.sum(dim=1, keepdim=True), b.sum(dim=0)[:, None]
    gathered = (message.T @ b).T / columns.clamp(min=1e-12)  # twice as fast as B.T @ M
    return torch.where(rows > 0, (b @ gathered) / rows.clamp(min=1e-12), fallback)
