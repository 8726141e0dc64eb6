"""Dropout whose masks depend on a seed and a place alone, so that they stay fixed within one inner trajectory."""

from __future__ import annotations

import torch
from torch import Tensor


class Masks:
    """Draws the mask of each place in the network from (seed, place).

    Args:
        seed: another one for each trajectory.
        rate: share of entries that is dropped; 0 or `seed` None leaves all.
    """

    def __init__(self, seed: int | None = None, rate: float = 0.0) -> None:
        self.seed, self.rate = seed, rate

    def __call__(self, z: Tensor, place: int) -> Tensor:
        """`z` with a share of its entries dropped and the others scaled up."""
        if self.seed is None or self.rate == 0:
            return z
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + place) % 2**63)
        kept = torch.rand(z.shape, generator=generator) >= self.rate
        return z * kept / (1 - self.rate)
