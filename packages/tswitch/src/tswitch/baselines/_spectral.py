"""Merges that look at a layer as a matrix: TSV-M and Iso-CTS, from the singular vectors of its task vectors.

The rules take the task vectors of one matrix, (K, m, n), and give what the merged model adds to it, (m, n). What is no
matrix that inputs are multiplied with (vectors, convolutions, tables of embeddings) is averaged, as the publications
do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tswitch.baselines._base import Merger, share
from tswitch.switch._tasks import Piece

_TABLE = re.compile(r"embed|wte|wpe|lm_head|relative_attention_bias|(^|\.)shared\.")


@dataclass(frozen=True, kw_only=True)
class Spectral(Merger):
    """Scale times `combine` of each matrix, and scale times the mean of all else."""

    limits = "holds the task vectors of one matrix at a time; tables of embeddings and convolutions are averaged"
    scale: float = 1.0

    def combine(self, deltas: Tensor) -> Tensor:
        """(m, n): what the rule makes of the task vectors of one matrix, (K, m, n)."""
        raise NotImplementedError

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Scale times the rule's matrix, or the mean."""
        if not is_matrix(piece.name, piece.shape):
            return self.scale * piece.deltas.mean(0)
        return self.scale * self.combine(piece.deltas.reshape(-1, *piece.shape)).reshape(-1)

    def takes_whole(self, name: str, shape: tuple[int, ...]) -> bool:
        """A matrix is read as a whole, all else in chunks."""
        return is_matrix(name, shape)


@dataclass(frozen=True, kw_only=True)
class IsoCts(Spectral):
    """Iso-CTS: common and task-specific directions, all with the same singular value.

    Attributes:
        common: share of the directions that the sum of the task vectors gives; the tasks share the others.
        scale: of what is added to the base.
    """

    name = "iso_cts"
    source = "No Task Left Behind, arXiv 2502.04959"
    common: float = 0.8

    def __post_init__(self) -> None:
        share(self.common, "common", zero=False)

    def combine(self, deltas: Tensor) -> Tensor:
        """Directions of the sum, then of what each task has beyond them."""
        return iso_cts(deltas, self.common)


@dataclass(frozen=True, kw_only=True)
class TsvM(Spectral):
    """TSV-M: 1/K of each task's singular vectors, made orthogonal together.

    Attributes:
        scale: of what is added to the base.
    """

    name = "tsv_m"
    source = "Task Singular Vectors, arXiv 2412.00081"

    def combine(self, deltas: Tensor) -> Tensor:
        """Each task's first singular vectors, orthogonal to those of the others."""
        return tsv_m(deltas)


def tsv_m(deltas: Tensor) -> Tensor:
    """TSV-M (arXiv 2412.00081): 1/K of each task's singular vectors, all tasks' made orthogonal together."""
    rank = max(min(deltas.shape[1:]) // len(deltas), 1)
    left, values, right = first(deltas, rank)
    return (orthogonal(torch.cat([*left], 1)) * values.reshape(-1)) @ orthogonal(torch.cat([*right], 0))


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
    """Thin singular value decomposition; in double precision where single precision does not converge."""
    try:
        return torch.linalg.svd(matrices, full_matrices=False)
    except RuntimeError:  # LinAlgError, which has no public name
        found = np.linalg.svd(matrices.double().numpy(), full_matrices=False)
        u, s, v = (torch.from_numpy(part).to(matrices.dtype) for part in found)
        return u, s, v


def is_matrix(name: str, shape: Sequence[int]) -> bool:
    """Whether inputs are multiplied with this tensor: no vector, no convolution, no table of embeddings."""
    return len(shape) == 2 and min(shape) > 0 and not _TABLE.search(name)
