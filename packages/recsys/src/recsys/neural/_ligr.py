"""LiGR block: what a layer adds to its input passes a learned gate (Borisyuk et al. 2025, arXiv 2502.03417)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from recsys.neural._attention import Drop, attend


class LiGRBlock(nn.Module):
    """x + attention(norm(x)) * sigmoid(W x + b), then likewise with a SwiGLU layer of four times the width.

    SwiGLU is second(silu(first z) * lift z), without biases (Shazeer 2020, arXiv 2002.05202).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.gate, self.inner_gate = nn.Linear(width, width), nn.Linear(width, width)
        self.first, self.lift = (nn.Linear(width, 4 * width, bias=False) for _ in range(2))
        self.second = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, allowed: Tensor, heads: int, drop: Drop) -> Tensor:
        """States (rows, steps, d) of states; `allowed`, `heads` and `drop` as in `attend`."""
        z = self.norm(x)
        mixed = self.out(attend(self.query(z), self.key(z), self.value(z), allowed, heads, drop))
        x = x + self.gate(x).sigmoid() * drop(mixed)
        z = self.inner_norm(x)
        inner = self.second(drop(F.silu(self.first(z)) * self.lift(z)))
        return x + self.inner_gate(x).sigmoid() * drop(inner)
