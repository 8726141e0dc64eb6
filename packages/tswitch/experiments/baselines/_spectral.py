"""Merges of 2024 and 2025 that look at a layer as a matrix: TSV-M, Iso-C and Iso-CTS, WUDI, and LiNeS over its depth.

Each rule takes the task vectors of one matrix, (K, m, n), and gives what the merged model adds to it, (m, n). What is
no matrix that inputs are multiplied with (vectors, tables of embeddings) is averaged, as the publications do, or
summed; the scale of the whole is tuned on validation rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

Rule = Callable[[Tensor], Tensor]
_LAYER = re.compile(r"\.(\d+)\.")


def tsv_m(deltas: Tensor) -> Tensor:
    """TSV-M (arXiv 2412.00081): 1/K of each task's singular vectors, all tasks' made orthogonal together."""
    rank = max(min(deltas.shape[1:]) // len(deltas), 1)
    left, values, right = first(deltas, rank)
    return (orthogonal(torch.cat([*left], 1)) * values.reshape(-1)) @ orthogonal(torch.cat([*right], 0))


def iso_c(deltas: Tensor) -> Tensor:
    """Iso-C (arXiv 2502.04959): the sum of the task vectors with all singular values at their mean."""
    left, values, right = svd(deltas.sum(0))
    return values.mean() * (left @ right)


def iso_cts(deltas: Tensor, common: float = 0.8) -> Tensor:
    """Iso-CTS (arXiv 2502.04959): the sum's first singular vectors, then the first of what they leave of each task.

    Args:
        deltas: (K, m, n).
        common: share of the directions that the sum gives; the others are shared out evenly among the tasks.
    """
    left, values, right = svd(deltas.sum(0))
    own = round((len(values) - int(common * len(values))) / len(deltas))
    count = len(values) - own * len(deltas)
    shared = left[:, :count]
    u, s, v = first(deltas - shared @ (shared.T @ deltas), own) if own else ((), (), ())
    lefts, sizes, rights = [shared, *u], [values[:count], *s], [right[:count], *v]
    return torch.cat(sizes).mean() * (orthogonal(torch.cat(lefts, 1)) @ orthogonal(torch.cat(rights, 0)))


def orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal matrix that is closest: the solution of Procrustes' problem, U V' of its singular vectors."""
    left, _, right = svd(matrix)
    return left @ right


def first(matrices: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` largest singular values of each matrix (K, m, n) with their vectors, (K, m, c), (K, c), (K, c, n).

    From the eigenvectors of the smaller of M M' and M' M.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    rows = matrices if wide else matrices.mT
    values, vectors = torch.linalg.eigh(rows @ rows.mT)
    near = vectors[..., -count:].flip(-1)
    sizes = values[..., -count:].flip(-1).clamp(min=1e-30).sqrt()
    far = (near.mT @ rows) / sizes[..., None]
    return (near, sizes, far) if wide else (far.mT, sizes, near.mT)


def svd(matrices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thin singular value decomposition; by the slower algorithm where the quick one gives up over equal values."""
    try:
        return torch.linalg.svd(matrices, full_matrices=False)
    except torch.linalg.LinAlgError:
        stack = matrices.reshape(-1, *matrices.shape[-2:]).double().numpy()
        found = [linalg.svd(one, full_matrices=False, lapack_driver="gesvd") for one in stack]
        lead = matrices.shape[:-2]
        u, s, v = (torch.from_numpy(np.stack(part)).to(matrices.dtype) for part in zip(*found, strict=True))
        return u.reshape(*lead, *u.shape[1:]), s.reshape(*lead, *s.shape[1:]), v.reshape(*lead, *v.shape[1:])


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
            found[name] = rule(deltas) if is_matrix(name, value) else deltas.mean(0)
    return found


def is_matrix(name: str, value: Tensor) -> bool:
    """Whether inputs are multiplied with this tensor: no vector, no table of embeddings."""
    return value.dim() == 2 and "embedding" not in name


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
