"""Merges of 2024 and 2025 that look at a layer as a matrix, beside those of the package: Iso-C, WUDI, LiNeS.

Each rule takes the task vectors of one matrix, (K, m, n), and gives what the merged model adds to it, (m, n). What is
no matrix that inputs are multiplied with (vectors, tables of embeddings) is averaged, as the publications do, or
summed; the scale of the whole is tuned on validation rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from tswitch.baselines._spectral import is_matrix, svd

Rule = Callable[[Tensor], Tensor]
_LAYER = re.compile(r"\.(\d+)\.")


def iso_c(deltas: Tensor) -> Tensor:
    """Iso-C (arXiv 2502.04959): the sum of the task vectors with all singular values at their mean."""
    left, values, right = svd(deltas.sum(0))
    return values.mean() * (left @ right)


def wudi(deltas: Tensor, rate: float = 1e-5, steps: int = 300) -> Tensor:
    """WUDI (arXiv 2503.08099): from the sum, Adam on sum_i |(tau - tau_i) tau_i'|^2 / |tau_i|^2, without any data.

    The loss is a quadratic form, so its gradient is 2 (tau H - G) with H = sum_i tau_i' tau_i / |tau_i|^2.
    """
    scaled = deltas / deltas.square().sum((1, 2), keepdim=True).clamp(min=1e-30)
    second = (scaled.transpose(1, 2) @ deltas).sum(0)
    target = (deltas @ (scaled.transpose(1, 2) @ deltas)).sum(0)
    merged = deltas.sum(0).requires_grad_()
    optimizer = torch.optim.Adam([merged], lr=rate)
    for _ in range(steps):
        merged.grad = 2 * (merged.detach() @ second - target)
        optimizer.step()
    return merged.detach()


def merged_changes(base: Mapping[str, Tensor], models: Sequence[Mapping[str, Tensor]], rule: Rule) -> dict[str, Tensor]:
    """What a merged model adds to the base, by tensor: `rule` on matrices of linear layers, the mean of all else."""
    found = {}
    for name, value in base.items():
        if value.is_floating_point():
            deltas = torch.stack([model[name] - value for model in models])
            found[name] = rule(deltas) if is_matrix(name, value.shape) else deltas.mean(0)
    return found


def lines(changes: Mapping[str, Tensor], summed: Mapping[str, Tensor], count: int, deep: float) -> dict[str, Tensor]:
    """LiNeS (arXiv 2410.17146): a merge scaled by depth, from alpha in the first layer to alpha + `deep` in the last.

    alpha = |sum of the task vectors| / (K |the merge|), which is averaging's size; embeddings count as the first
    layer, what stands behind the last one (a pooler) as the last.

    Args:
        changes: what the merge adds to the base.
        summed: the sum of the task vectors.
        count: K.
        deep: beta, tuned on validation rows.
    """
    shallow = _norm(summed) / (count * _norm(changes))
    found = {name: _LAYER.search(name) for name in changes}
    last = max((int(match[1]) for match in found.values() if match), default=0)
    scaled = {}
    for name, match in found.items():
        depth = int(match[1]) if match else 0 if "embedding" in name else last
        scaled[name] = changes[name] * (shallow + deep * depth / max(last, 1))
    return scaled


def _norm(changes: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(one.double().square().sum()) for one in changes.values()))
