"""Compressors of one fine-tuned model by sparse changes in few bits: UltraDelta, DeltaDQ, ImPart, DeltaZip.

Each takes the change of a matrix, (m, n), and gives what is restored with the bits that it takes: those of an ideal
coder of the codes, symbol by symbol, and sixteen for each scale. Entries that are dropped at random cost nothing, as
their places follow from a seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

_DAMPING = 0.01  # of the mean diagonal, as in GPTQ
_SCALE = 16.0  # bits
_BLOCK = 128  # columns that are pruned and rounded before the columns after them are corrected


def rounded(matrix: Tensor, bits: int, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(codes in steps on either side of zero, the step) of a uniform quantiser up to the largest entry."""
    steps = 2.0 ** (bits - 1) - 1
    step = (matrix.abs().amax() if scale is None else scale).clamp(min=1e-30) / steps
    return (matrix / step).round().clamp(-steps, steps), step


def entropy(codes: Tensor) -> float:
    """Bits a code by an ideal coder."""
    counts = np.unique(codes.numpy(), return_counts=True)[1] / max(codes.numel(), 1)
    return float(-(counts * np.log2(counts)).sum()) + 0.0


def drops(changes: Mapping[str, Tensor], middle: float, step: float) -> dict[str, float]:
    """UltraDelta's share to drop of each tensor: `step` more in the third of least variance, less in that of most."""
    order = sorted(changes, key=lambda name: float(changes[name].var()))
    third = len(order) / 3
    return {name: min(max(middle + step * (1 - int(at / third)), 0.0), 1.0) for at, name in enumerate(order)}


def ultradelta(matrix: Tensor, drop: float, bits: int, draw: torch.Generator) -> tuple[Tensor, float]:
    """UltraDelta (arXiv 2505.13563): rounded, then the same share of the entries of each value dropped at random.

    What is left is divided by the share that is left; fitted or other factors come on top.
    """
    codes, step = rounded(matrix, bits)
    flat = codes.reshape(-1)
    left = torch.zeros_like(flat, dtype=torch.bool)
    at = float(torch.rand(1, generator=draw))  # shares of small groups are rounded up as often as they should be
    for value in flat.unique():
        places = (flat == value).nonzero()[:, 0]
        until = at + (1 - drop) * len(places)
        left[places[torch.randperm(len(places), generator=draw)[: int(until) - int(at)]]] = True
        at = until
    restored = torch.where(left, flat, 0.0).reshape(matrix.shape) * step / max(float(left.float().mean()), 1e-12)
    return restored, float(left.sum()) * entropy(flat[left]) + _SCALE


def deltadq(matrix: Tensor, group: int, count: int, bits: int, draw: torch.Generator) -> tuple[Tensor, float]:
    """DeltaDQ (arXiv 2410.08666): of each `group` entries of a row `count` are left, at random, by group / count.

    They are rounded uniformly. Its separate quantisation stores the codes in parts of fewer bits each, whose values are
    the same; an ideal coder of the codes takes no more.
    """
    rows, columns = matrix.shape
    group = min(group, columns)
    padded = -(-columns // group) * group
    order = torch.rand(rows, padded // group, group, generator=draw)
    order.view(rows, padded)[:, columns:] = 2.0  # a last group that is not full keeps fewer
    rank = order.argsort(-1).argsort(-1).view(rows, padded)[:, :columns]
    full = torch.full((padded // group,), float(count))
    full[-1] = round(count * (group - (padded - columns)) / group)
    left = rank < full.repeat_interleave(group)[:columns]
    codes, step = rounded(torch.where(left, matrix, 0.0), bits)
    kept = codes[left]
    return codes * step * (matrix.numel() / max(int(left.sum()), 1)), len(kept) * entropy(kept) + _SCALE


def ratios(values: Sequence[float], drop: float, prune: float, power: float) -> list[float]:
    """ImPart's share to drop of each singular vector: none of the first one, all of the last.

    Args:
        values: singular values, from the largest on.
        drop: share over all vectors.
        prune: share of the vectors that is dropped whole before.
        power: of the relative singular value, by which importance is measured.
    """
    count = int(len(values) * (1 - prune))
    wanted = (drop - prune) / (1 - prune)
    found = [(1 - (value / values[0]) ** power) * wanted for value in values[:count]]
    last = count
    while last and math.fsum(found) / count < wanted:
        last -= 1
        found[last] = 1.0
    return found[:last]


def impart(
    factors: tuple[Tensor, Tensor, Tensor], drop: float, prune: float, power: float, bits: int, draw: torch.Generator
) -> tuple[Tensor, float]:
    """ImPart (arXiv 2504.13237): singular vectors with entries dropped at random, the fewer the larger their value.

    What is left of a vector is divided by the share that is left, so that the mean over draws is the vector, and
    rounded in its own scale.

    Args:
        factors: left (m, r), values (r,) and right (r, n) of the change's singular value decomposition.
        drop, prune, power: see `ratios`.
        bits: of each entry that is left.
        draw: of the entries that are dropped.
    """
    left, values, right = factors
    shares = ratios(values.tolist(), drop, prune, power)
    total, size = torch.zeros(left.shape[0], right.shape[1]), 0.0
    all_codes = []
    for at, share in enumerate(shares):
        made = []
        for vector in (left[:, at], right[at]):
            kept = torch.randperm(len(vector), generator=draw)[int(len(vector) * share) :]
            codes, step = rounded(vector[kept], bits)
            made.append(torch.zeros_like(vector).index_copy_(0, kept, codes * step / max(1 - share, 1e-12)))
            all_codes.append(codes)
            size += _SCALE
        total.addr_(made[0], made[1], alpha=float(values[at]))
    codes = torch.cat(all_codes) if all_codes else torch.zeros(0)
    return total, size + codes.numel() * entropy(codes)


def deltazip(matrix: Tensor, second: Tensor | None, bits: int) -> tuple[Tensor, float]:
    """DeltaZip (arXiv 2312.05215): two of four entries of a row left, in few bits, by SparseGPT on the layer's inputs.

    An error is made up for by the entries after it, under the second moments (n, n) of the inputs; without these the
    two larger entries are left and rounded to nearest. A pattern of four takes log2(6) bits.
    """
    rows, columns = matrix.shape
    if columns % 4:
        raise InputError("columns", got=columns, expected="a multiple of four")
    if second is None:
        second = torch.eye(columns)
    damped = second + _DAMPING * second.diagonal().mean() * torch.eye(columns)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    left, scales = matrix.clone(), matrix.abs().amax(1)
    codes, kept = torch.zeros_like(matrix), torch.zeros_like(matrix, dtype=torch.bool)
    step = scales.clamp(min=1e-30) / (2.0 ** (bits - 1) - 1)
    for start in range(0, columns, _BLOCK):
        stop = min(start + _BLOCK, columns)
        errors = torch.zeros(rows, stop - start)
        for at in range(start, stop):
            if at % 4 == 0:
                worth = (left[:, at : at + 4] / upper.diagonal()[at : at + 4]).square()
                kept[:, at : at + 4].scatter_(1, worth.topk(2, dim=1).indices, value=True)
            column = left[:, at]
            code, _ = rounded(column / scales.clamp(min=1e-30), bits, torch.tensor(1.0))
            codes[:, at] = torch.where(kept[:, at], code, 0.0)
            errors[:, at - start] = (column - codes[:, at] * step) / upper[at, at]
            left[:, at + 1 : stop] -= errors[:, at - start, None] * upper[at, at + 1 : stop]
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    size = int(kept.sum()) * entropy(codes[kept]) + matrix.numel() / 4 * math.log2(6) + _SCALE * rows
    return codes * step[:, None], size
