"""The three losses of router training, and the gate that passes gradients through a hard choice (stage 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def straight_through(margin: Tensor, hard: Tensor) -> Tensor:
    """The hard gate in the forward pass, the gradient of the two-way softmax in the backward pass.

    Args:
        margin: (...) logit of computing minus logit of skipping.
        hard: (...) bool.
    Returns: (...) exactly 0 or 1.
    """
    soft = torch.sigmoid(margin)
    return hard.to(soft.dtype) + (soft - soft.detach())


def sparsity_loss(asked: Sequence[float], gates: Sequence[Tensor]) -> Tensor:
    """L_s = sum_i max(s_i - s^_i, 0), with s^_i = 1 - |K_i| / L; one-sided: to skip more costs nothing.

    Args:
        asked: s_i of each block.
        gates: (B, L) gates of each block, 1 = compute.
    """
    parts = [F.relu(s - (1 - gate.mean())) for s, gate in zip(asked, gates, strict=True)]
    return torch.stack(parts).sum()


def guide_loss(margins: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
    """L_g: cross-entropy of the router's two-way choice to the static router's gates, mean over tokens and blocks."""
    parts = [F.binary_cross_entropy_with_logits(m, g.to(m.dtype)) for m, g in zip(margins, guides, strict=True)]
    return torch.stack(parts).mean()


def guide_weight(step: int, steps: int) -> float:
    """1 at the start, 0 from half of the steps on, along a cosine."""
    half = max(1, steps // 2)
    return 0.0 if step >= half else 0.5 * (1 + math.cos(math.pi * step / half))


def distillation_loss(dense: Tensor, pruned: Tensor) -> Tensor:
    """L_d: KL(dense || pruned) of the logits (P, V) at temperature 1, mean over positions."""
    return F.kl_div(pruned.log_softmax(-1), dense.log_softmax(-1), log_target=True, reduction="batchmean")
