"""A constant sparse matrix times a dense one: forward, backward and twice backward by compressed rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor


class Sparse:
    """A scipy matrix and its transpose as torch CSR tensors; `matrix @ dense` is differentiable in the dense factor."""

    def __init__(self, matrix: sp.spmatrix, *, symmetric: bool = False) -> None:
        matrix = sp.csr_matrix(matrix, dtype=np.float32)
        self.forward = _tensor(matrix)
        self.transposed = self.forward if symmetric else _tensor(matrix.T.tocsr())
        self.shape: tuple[int, int] = tuple(matrix.shape)  # type: ignore[assignment]

    def __matmul__(self, dense: Tensor) -> Tensor:
        return _Product.apply(dense, self.forward, self.transposed)  # type: ignore[return-value]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.matrices = (transposed, matrix)
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Product.apply(gradients[0], *ctx.matrices), None, None  # type: ignore[return-value]


def _tensor(matrix: sp.csr_matrix) -> Tensor:
    matrix.sort_indices()
    parts = (torch.from_numpy(np.array(part)) for part in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Ss]parse CSR tensor support is in beta.*")
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)
