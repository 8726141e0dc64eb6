"""The kept signs of a matrix as sparse rows: what a linear layer adds beside its untouched weights.

    x (W + lambda S)^T = x W^T + lambda x S^T

At alpha 0.97 one entry in thirty or fewer is kept, so the second product costs a tenth of the first.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

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
        kernel = x.is_cpu and kind == torch.float32 and _fast.kernels(self.shape[0] * self.shape[1]) is not None
        target = out if out.dtype == kind and out.is_contiguous() else out.to(kind).contiguous()
        if kernel:
            kernels = importlib.import_module("tswitch.bank._row_kernels")
            width = kernels.WIDTH
            tiled = functional.pad(x.float(), (0, 0, 0, -len(x) % width))
            tiled = tiled.view(-1, width, x.shape[1]).transpose(1, 2).contiguous()
            starts, columns = self.starts.numpy(), self.columns.numpy()
            kernels.add_sparse(starts, columns, tiled.numpy(), factors.numpy(), target.numpy())
        else:
            made = torch.sparse.mm(self._torch(kind), x.to(kind).T).T
            target += factors.to(target.device, kind)[:, None] * made
        if target is not out:
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
