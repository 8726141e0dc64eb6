"""Structure regulariser (eq. 4): smoothness and sparsity of the pivot graph as a reward, with a policy gradient."""

from __future__ import annotations

import torch
from torch import Tensor


def pivot_graph(b: Tensor) -> Tensor:
    """E = B^T diag(1 / rowsum B) B, (P, P), from (N, P) similarities; rows of zeros count for nothing."""
    rows = b.sum(dim=1, keepdim=True)
    return b.T @ (b / rows.clamp(min=1e-12))


def structure_loss(b: Tensor, r: Tensor, *, smooth: float, sparse: float, draws: int, seed: int) -> Tensor:
    """Minus the reward of the pivot graph, divided by P squared.

    R(E) = -smooth * sum E_ij |r_i - r_j|^2 - sparse * sum E_ij^2. It counts at E itself, by its gradient, and at
    `draws` graphs E_s ~ Bernoulli(E / rowmax), by REINFORCE with their mean reward as baseline.

    Args:
        b: (N, P) similarities.
        r: (P, d) embeddings of the pivots.
        smooth, sparse: the weights a and b of the reward.
        draws: S, graphs drawn; 0 leaves the second part out.
        seed: of the draws.
    Returns: a scalar.
    """
    edges = pivot_graph(b)
    size = edges.shape[0] ** 2
    distance = torch.cdist(r, r).square() if smooth else None
    loss = -_reward(edges, distance, smooth, sparse)
    if draws:
        chances = (edges / edges.amax(dim=1, keepdim=True).clamp(min=1e-12)).clamp(1e-6, 1 - 1e-6)
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.bernoulli(chances.detach(), generator=generator) for _ in range(draws)]
        fixed = distance.detach() if distance is not None else None
        rewards = torch.stack([_reward(one, fixed, smooth, sparse) for one in drawn])
        gains = rewards - rewards.mean()
        for one, gain in zip(drawn, gains, strict=True):
            log_chance = (one * chances.log() + (1 - one) * (1 - chances).log()).sum()
            loss = loss - gain * log_chance / draws
    return loss / size


def _reward(edges: Tensor, distance: Tensor | None, smooth: float, sparse: float) -> Tensor:
    reward = -sparse * edges.square().sum()
    return reward if distance is None else reward - smooth * (edges * distance).sum()
