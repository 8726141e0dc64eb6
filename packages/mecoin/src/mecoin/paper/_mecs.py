"""MeCs: memory construction, node features that query the old prototypes (paper, figure 1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MeCs(nn.Module):
    """H = softmax((Z W_Q)(M W_K)^T / sqrt(m)) M W_V, and H', a small learned read-out of H.

    In the published code a hard choice of keys keeps gradients from these projections; here they get them through
    `soft` matching and the edge loss.

    Args:
        width: m, the encoder's dimension.
        key: dimension of a prototype.
        readout: dimension of H'.
    """

    def __init__(self, width: int, key: int, readout: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query = _matrix(width, width, generator)
        self.key = _matrix(key, width, generator)
        self.value = _matrix(key, width, generator)
        self.readout = _matrix(width, readout, generator)

    def attend(self, z: Tensor, prototypes: Tensor) -> Tensor:
        """z (n, m), prototypes (P, key) -> H (n, m)."""
        scores = (z @ self.query) @ (prototypes @ self.key).T / math.sqrt(z.shape[1])
        return scores.softmax(dim=1) @ (prototypes @ self.value)

    def forward(self, z: Tensor, prototypes: Tensor) -> Tensor:
        """z (n, m), prototypes (P, key) -> H' (n, readout)."""
        return self.attend(z, prototypes) @ self.readout


def _matrix(rows: int, columns: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns, generator=generator) / math.sqrt(rows))
