"""Switching on a GPU in one launch a tensor, by Triton, which comes with torch; `_resident` holds its torch twin.

A program takes a stretch of code bytes and the four entries that each of them stands for: it reads the base once, adds
the terms in their order in float32 (float64 for float64 tensors), rounds once and writes once. The torch twin reads
and writes the tensor once more for each term, through tables. Both give the same bits: a product of a sign and a scale
is exact, so that it does not matter whether the compiler fuses it with the sum. bfloat16 is widened and rounded by its
bits, to nearest even; only the payload of a NaN is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_BYTES = 256  # codes of a program: 1,024 entries


@triton.jit
def add_signs(
    base_pointer: Any,
    out_pointer: Any,
    codes_pointer: Any,
    scales: Any,
    numel: Any,
    TERMS: tl.constexpr,
    BFLOAT16: tl.constexpr,
    DOUBLE: tl.constexpr,
    BYTES: tl.constexpr,
):
    """out = base + sum of scales[t] * signs of term t.

    base_pointer, out_pointer: (numel,) of one dtype; bfloat16 as int16. codes_pointer: with one term its codes, uint8,
    and `scales` a number; with more the addresses of their codes, (TERMS,) int64, and `scales` (TERMS,) float32.
    """
    byte = tl.program_id(0).to(tl.int64) * BYTES + tl.arange(0, BYTES)
    place = tl.arange(0, 4)
    entry = byte[:, None] * 4 + place[None, :]
    there = entry < numel
    some = byte * 4 < numel
    held = tl.load(base_pointer + entry, mask=there, other=0)
    if BFLOAT16:
        total = (held.to(tl.int32) << 16).to(tl.float32, bitcast=True)
    elif DOUBLE:
        total = held
    else:
        total = held.to(tl.float32)
    for term in tl.static_range(TERMS):  # pyright: ignore[reportGeneralTypeIssues]
        if TERMS == 1:
            address = codes_pointer
            scale = scales
        else:
            address = tl.load(codes_pointer + term).to(tl.pointer_type(tl.uint8))
            scale = tl.load(scales + term)
        code = tl.load(address + byte, mask=some, other=0).to(tl.int32)
        two = (code[:, None] >> (2 * place)[None, :]) & 3
        sign = tl.where(two == 1, 1.0, tl.where(two == 2, -1.0, 0.0))
        added = sign.to(tl.float32) * scale
        if DOUBLE:
            added = added.to(tl.float64)
        total = total + added
    if BFLOAT16:
        bits = total.to(tl.int32, bitcast=True)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        rounded = tl.where((bits & 0x7FFFFFFF) > 0x7F800000, 0x7FC0, rounded)
        tl.store(out_pointer + entry, rounded.to(tl.int16), mask=there)
    else:
        tl.store(out_pointer + entry, total.to(out_pointer.dtype.element_ty), mask=there)


def write(base: Tensor, codes: Sequence[Tensor], scales: Sequence[float], out: Tensor) -> None:
    """out = base + sum of scales[t] * signs of codes[t]; all on one device.

    base, out: (n,), contiguous, of one floating dtype. codes: one or more of (ceil(n / 4),) uint8, contiguous. scales:
    each is rounded to float32 first.
    """
    bfloat16 = out.dtype == torch.bfloat16
    source, target = (base.view(torch.int16), out.view(torch.int16)) if bfloat16 else (base, out)
    if len(codes) == 1:
        pointer, factors = codes[0], float(scales[0])
    else:
        pointer = torch.tensor([one.data_ptr() for one in codes], dtype=torch.int64).to(out.device)
        factors = torch.tensor(scales, dtype=torch.float32).to(out.device)
    if not out.numel():
        return
    launch: Any = add_signs
    with torch.cuda.device_of(out):  # the GPU that holds it, which need not be the current one
        launch[(triton.cdiv(out.numel(), 4 * _BYTES),)](
            source, target, pointer, factors, out.numel(),
            TERMS=len(codes), BFLOAT16=bfloat16, DOUBLE=out.dtype == torch.float64, BYTES=_BYTES,
        )  # fmt: skip
