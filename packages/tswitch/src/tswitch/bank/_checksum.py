"""Checksum of a tensor's bits: shows a write that autograd does not count, such as one through `tensor.data`."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from torch import Tensor

_STEP = np.uint64(0x9E3779B97F4A7C15)  # makes the place of a word count, so that a permutation shows, too
_CHUNK = 1 << 16


def checksum(tensor: Tensor, kernels: ModuleType | None = None) -> int:
    """Sum over its 64-bit words w_i of (m(w_i) + i c)^2 modulo 2^64, where m(w) = w ^ (w >> 32), plus the last bytes.

    Args:
        tensor: any dtype and device; a copy is made only of one that is not contiguous or not in plain memory.
        kernels: the compiled loops (see `tswitch.switch._fast`), or None for numpy: the same number, later.
    """
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu().numpy()
    whole = flat.size // 8 * 8
    words = flat[:whole].view(np.uint64)
    total = sum(int(byte) << (8 * place) for place, byte in enumerate(flat[whole:]))
    if kernels is not None:
        return (total + int(kernels.checksum(words, _STEP))) % 2**64
    with np.errstate(over="ignore"):
        for start in range(0, words.size, _CHUNK):
            part = words[start : start + _CHUNK]
            part = part ^ (part >> np.uint64(32))
            part += np.arange(start, start + part.size, dtype=np.uint64) * _STEP
            total += int((part * part).sum(dtype=np.uint64))
    return total % 2**64
