"""The kept signs of a matrix as sparse rows: what a linear layer adds beside its untouched weights.

    x (W + lambda S)^T = x W^T + lambda x S^T

At alpha 0.97 one entry in thirty or fewer is kept, so the second product costs a tenth of the first.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from tswitch.bank._resident import unpack
from tswitch.switch import _fast


@dataclass
class SparseSigns:
    """Ternary signs (m, n) by rows.

    Attributes:
        starts: (2 m + 1,) int64; row o's plus columns begin at 2 o, its minus columns at 2 o + 1.
        columns: (kept,) int32.
        shape: (m, n).
    """

    starts: Tensor
    columns: Tensor
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        self._matrix: Tensor | None = None
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, codes: Tensor, shape: tuple[int, int], *, transposed: bool = False) -> SparseSigns:
        """From two-bit codes of a matrix of this shape, or of its transpose."""
        signs = unpack(codes, shape[0] * shape[1]).view(shape)
        signs = signs.T if transposed else signs
        height = signs.shape[0]
        row, column = signs.nonzero(as_tuple=True)
        half = 2 * row + (signs[row, column] < 0)
        order = half.argsort(stable=True)
        starts = torch.zeros(2 * height + 1, dtype=torch.int64, device=codes.device)
        starts[1:] = torch.bincount(half, minlength=2 * height).cumsum(0)
        return cls(starts, column[order].to(torch.int32), (height, signs.shape[1]))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.starts.nbytes + self.columns.nbytes

    def add(self, x: Tensor, factors: Tensor, out: Tensor) -> None:
        """out[r] += factors[r] * (x[r] S^T), summed in float32 or wider.

        Args:
            x: (R, n), any floating dtype.
            factors: (R,) float32.
            out: (R, m), changed in place; of a narrower dtype it is rounded once.
        """
        if not self.columns.numel():
            return
        kind = torch.promote_types(x.dtype, torch.float32)
        kernels = _kernels(self.shape[0] * self.shape[1]) if x.is_cpu and kind == torch.float32 else None
        if kernels is None:
            made = torch.sparse.mm(self._torch(kind), x.to(kind).T).T
            added = torch.addcmul(out.to(kind), made, factors.to(out.device, kind)[:, None])
            out.copy_(added)
            return
        if self._arrays is None:
            self._arrays = self.starts.numpy(), self.columns.numpy()
        plain = out.dtype == kind and out.is_contiguous()
        target = out if plain else out.to(kind).contiguous()
        scales = factors.numpy()
        for first in range(0, len(x), kernels.WIDTH):
            part = slice(first, first + kernels.WIDTH)
            inputs = x[part].T.contiguous().to(kind).numpy()
            kernels.add_signs(*self._arrays, inputs, scales[part], target[part].numpy())
        if not plain:
            out.copy_(target)

    def _torch(self, kind: torch.dtype) -> Tensor:
        """The same as torch's sparse matrix."""
        if self._matrix is None or self._matrix.dtype != kind:
            counts = self.starts.diff()
            rows = torch.arange(self.shape[0], device=counts.device).repeat_interleave(counts.view(-1, 2).sum(1))
            signs = torch.tensor([1.0, -1.0], dtype=kind, device=counts.device).repeat(self.shape[0])
            places = torch.stack([rows, self.columns.long()])
            matrix = torch.sparse_coo_tensor(
                places, signs.repeat_interleave(counts), self.shape, check_invariants=False
            )
            self._matrix = matrix.coalesce()
        return self._matrix


def _kernels(size: int) -> ModuleType | None:
    """The compiled loop, where numba is installed and there is much to do."""
    return _loaded() if _fast.kernels(size) is not None else None


@functools.cache
def _loaded() -> ModuleType:
    return importlib.import_module("tswitch.bank._row_kernels")
