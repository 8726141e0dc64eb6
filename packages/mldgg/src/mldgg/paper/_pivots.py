"""Pivot structure learner: weighted multi-head cosine of nodes to a few pivots, never N x N (GraphGLOW, section 3).

Its regulariser (eq. 4), and refinement: structure from embeddings, embeddings from structure, until it stands still.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

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


def pivot_graph(b: Tensor) -> Tensor:
    """E = (P / N) B^T diag(1 / rowsum B) B, (P, P), from (N, P) similarities; rows of zeros count for nothing.

    The factor keeps the entries' size whatever the number of nodes: without it the squared E grows with (N / P)^2 and
    outweighs the labels.
    """
    rows = b.sum(dim=1, keepdim=True)
    return (b.T @ (b / rows.clamp(min=1e-12))) * (b.shape[1] / b.shape[0])


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


TOLERANCE = 8.5e-5  # of the squared relative change of B
_BLOCK = 8192  # rows


def refine(
    first: Tensor, learn: Callable[[Tensor], Tensor], encode: Callable[[Tensor, Tensor], Tensor], rounds: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Run the loop until |B_t - B_(t-1)|^2 / |B_t|^2 is at most 8.5e-5.

    Args:
        first: (N, d) embedding that the first structure is taken from.
        learn: embedding -> B.
        encode: (B_t, B_0) -> r_t.
        rounds: T, refinements after the first structure.
    Returns: structures B_0, B_1, ... (N, P), and embeddings r_0, r_1, ... (N, d), the last being the result.
    """
    start = learn(first)
    structures, embeddings = [start], [encode(start, start)]
    for number in range(rounds):
        now, before = learn(embeddings[-1]), structures[-1]
        structures.append(now)
        embeddings.append(encode(now, start))
        if number + 1 < rounds and _change(now.detach(), before.detach()) <= TOLERANCE:
            break
    return structures, embeddings


def _change(now: Tensor, before: Tensor) -> float:
    """|now - before|^2 / |now|^2, row by row in blocks: no third matrix of that size."""
    moved, size = 0.0, 1e-12
    for one, other in zip(now.split(_BLOCK), before.split(_BLOCK), strict=True):
        moved += float((one - other).square().sum())
        size += float(one.square().sum())
    return moved / size
