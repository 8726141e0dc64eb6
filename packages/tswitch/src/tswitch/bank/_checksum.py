"""Checksum of a tensor's bits: shows a write that autograd does not count, such as one through `tensor.data`."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from torch import Tensor

_LANES = 64  # words that are folded side by side: as fast as memory is read
_MIX = np.arange(1, 2 * _LANES, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def checksum(tensor: Tensor, kernels: ModuleType | None = None) -> int:
    """A number of 64 bits that depends on every bit of the tensor and on its place.

    The bits are rows of 64 words of 64 bits, the last one filled with zeros. Each column is folded, c <- rotate(c, 1) +
    (w ^ (w >> 29)), and the columns are added with odd weights.

    Args:
        tensor: any dtype and device; a copy is made only of one that is not contiguous or not in plain memory.
        kernels: the compiled loops (see `tswitch.switch._fast`), or None for numpy: the same number, later.
    """
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu().numpy()
    row = 8 * _LANES
    whole = flat.size // row * row
    rest = np.zeros(row, np.uint8)
    rest[: flat.size - whole] = flat[whole:]
    lanes = np.zeros(_LANES, np.uint64)
    fold = _fold if kernels is None else kernels.fold
    fold(flat[:whole].view(np.uint64), lanes)
    fold(rest.view(np.uint64), lanes)
    with np.errstate(over="ignore"):
        return int((lanes * _MIX).sum(dtype=np.uint64))


def _fold(words: np.ndarray, lanes: np.ndarray) -> None:
    """The numpy twin of the compiled loop."""
    one, last, shift = np.uint64(1), np.uint64(63), np.uint64(29)
    with np.errstate(over="ignore"):
        for row in words.reshape(-1, _LANES):
            lanes[:] = ((lanes << one) | (lanes >> last)) + (row ^ (row >> shift))
