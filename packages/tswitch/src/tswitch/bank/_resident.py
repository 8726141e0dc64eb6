"""Resident form of a switch: two bits for each parameter, added to a live tensor by table look-up.

Four ternary codes share one byte, first element in the lowest bits: 0 is zero, 1 plus, 2 minus. A byte stands for four
neighbours, so a 256 x 4 table with the knob lambda folded in turns it into four floats at once:

    theta = theta_base + sum_i w_i lambda_i S_A^i * S_P^i          (paper, section 3; step 5 of the method)

Whatever is written comes from a pristine base, never from the tensor's current content: nothing drifts, and a tensor
that two names share is the same after one write or two. Terms are added in their order, in float32 (float64 for float64
tensors), and the sum is rounded once to the tensor's dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_CPU_CHUNK = 1 << 18  # elements for each thread: 1 MB of float32 stays in the second-level cache
_DEVICE_CHUNK = 1 << 24  # elsewhere few launches matter more, and 64 MB of scratch is little
_PLACES = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)


@dataclass(frozen=True)
class Term:
    """One switch's part in a tensor: `codes` (ceil(n / 4),) uint8, and `scale`, the task's weight times lambda."""

    codes: Tensor
    scale: float


def pack(signs: Tensor) -> Tensor:
    """Ternary signs (any shape, values -1, 0, 1) to codes (ceil(n / 4),) uint8; the last byte is filled with zeros."""
    flat = signs.reshape(-1)
    codes = (flat > 0).to(torch.uint8) + 2 * (flat < 0).to(torch.uint8)
    codes = torch.nn.functional.pad(codes, (0, -codes.numel() % 4)).view(-1, 4)
    return (codes << _PLACES.to(codes.device)).sum(1, dtype=torch.uint8)


def unpack(codes: Tensor, numel: int) -> Tensor:
    """Codes to ternary signs (numel,) int8."""
    return _signs(codes.device)[codes.int()].view(-1)[:numel].to(torch.int8)


def invalid_codes(codes: Tensor) -> int:
    """How many bytes hold the unused code 3."""
    return int(((codes & (codes >> 1) & 0x55) != 0).sum())


def write(base: Tensor, terms: Sequence[Term], out: Tensor) -> None:
    """out = base + sum of terms, flat (n,) and contiguous, on any device.

    Args:
        base: (n,), on any device.
        terms: added in this order.
        out: (n,), its content does not matter.
    """
    wide = torch.promote_types(out.dtype, torch.float32)
    tables = [(term.codes, table(term.scale, wide, out.device)) for term in terms]
    chunk = _CPU_CHUNK * torch.get_num_threads() if out.device.type == "cpu" else _DEVICE_CHUNK
    for start in range(0, out.numel() if terms else 0, chunk):
        target = out[start : start + chunk]
        total = base[start : start + chunk].to(out.device, wide)
        for codes, rows in tables:
            total = total + _select(rows, codes[start // 4 : (start + chunk) // 4])[: target.numel()]
        target.copy_(total)
    if not terms:
        out.copy_(base)


def table(scale: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(256, 4) values of `dtype`: what each of a byte's four codes adds; `scale` is first rounded to float32."""
    return (_signs(device) * torch.tensor(scale, dtype=torch.float32, device=device)).to(dtype)


def _select(rows: Tensor, codes: Tensor) -> Tensor:
    """rows (256, 4) looked up by codes (m,) -> (4 m,). Four float32 move as one 16-byte element: twice as fast."""
    index = codes.int()
    if rows.dtype == torch.float32 and rows.device.type in ("cpu", "cuda"):
        return torch.index_select(rows.view(torch.complex128).view(256), 0, index).view(torch.float32)
    return torch.index_select(rows, 0, index).view(-1)


@functools.cache
def _signs(device: torch.device) -> Tensor:
    """(256, 4) float32 in {-1, 0, 1}: the meaning of each code byte."""
    codes = (torch.arange(256, dtype=torch.uint8)[:, None] >> _PLACES) & 3
    return torch.tensor([0.0, 1.0, -1.0, 0.0], device=device)[codes.to(device).int()]
