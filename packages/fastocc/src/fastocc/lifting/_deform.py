"""Modulated deformable 3 x 3 convolution (DCNv2) in three equal forms.

U(p) = sum over k of m_k(p) W_k F(p + p_k + D_k(p)), with bilinear F that is zero outside the map. Native is
torchvision's operator: ONNX has it as DeformConv, and onnxruntime runs it well, but its backward on a CPU is slow.
Decomposed is one grid_sample of nine maps and one matrix product: any runtime runs it, and a CPU trains it two to three
times faster. Gathered is the fastest without gradients on a CPU where C is large: a sample is a weighted sum of four
rows of the map with channels last, which `embedding_bag` adds in one pass, and blocks of rows stay in the cache.
"""

from __future__ import annotations

import time

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCK = 1 << 21  # numbers that `gathered` samples at a time, 8 MiB


def deform_conv_native(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """torchvision's operator.

    Args:
        x: (B, C, Y, X). offset: (B, 18, Y, X), (row, column) of each of nine points. mask: (B, 9, Y, X).
        weight: (C', C, 3, 3). bias: (C',) or None.
    Returns: (B, C', Y, X).
    """
    from torchvision.ops import deform_conv2d

    return deform_conv2d(x, offset, weight, bias, padding=(1, 1), mask=mask)


def deform_conv_decomposed(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same by grid_sample and one product; arguments as `deform_conv_native`."""
    batch, channels, height, width = x.shape
    moved = offset.view(batch, 9, 2, height, width)
    steps = torch.arange(-1, 2, device=x.device, dtype=x.dtype)
    rows = torch.arange(height, device=x.device, dtype=x.dtype).view(1, 1, -1, 1) + steps.repeat_interleave(3).view(
        1, 9, 1, 1
    )
    columns = torch.arange(width, device=x.device, dtype=x.dtype).view(1, 1, 1, -1) + steps.repeat(3).view(1, 9, 1, 1)
    v = (rows + moved[:, :, 0]) * 2 / max(height - 1, 1) - 1
    u = (columns + moved[:, :, 1]) * 2 / max(width - 1, 1) - 1
    place = torch.stack([u, v], -1).view(batch, 9 * height, width, 2)
    taken = F.grid_sample(x, place, align_corners=True).view(batch, channels, 9, height, width) * mask[:, None]
    return F.conv2d(taken.flatten(1, 2), weight.flatten(2).flatten(1)[..., None, None], bias)


def deform_conv_gathered(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same from rows of the map with channels last; arguments as `deform_conv_native`."""
    batch, channels, height, width = x.shape
    moved = offset.view(batch, 9, 2, height, width).permute(2, 0, 3, 4, 1)  # (2, B, Y, X, 9)
    steps = torch.arange(-1, 2, device=x.device, dtype=x.dtype)
    row = moved[0] + torch.arange(height, device=x.device, dtype=x.dtype).view(-1, 1, 1) + steps.repeat_interleave(3)
    column = moved[1] + torch.arange(width, device=x.device, dtype=x.dtype).view(-1, 1) + steps.repeat(3)
    top, left = row.floor(), column.floor()
    down, right = row - top, column - left
    rows, columns = (torch.stack(one, -1) for one in ([top, top, top + 1, top + 1], [left, left + 1, left, left + 1]))
    share = torch.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], -1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    share = (share * mask.permute(0, 2, 3, 1)[..., None] * inside).view(batch, -1, 4)
    place = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    place = place.nan_to_num(0).long().view(batch, -1, 4)  # where an offset is NaN, its share makes the result so
    maps, flat = x.permute(0, 2, 3, 1).reshape(batch, -1, channels), weight.permute(0, 2, 3, 1).flatten(1)
    step = 9 * max(1, _BLOCK // (9 * channels))

    def block(rows: Tensor, at: Tensor, shares: Tensor) -> Tensor:
        taken = F.embedding_bag(at, rows, per_sample_weights=shares, mode="sum")
        return flat @ taken.view(-1, 9 * channels).T

    blocks = [
        torch.cat([block(one, *some) for some in zip(at.split(step), part.split(step), strict=True)], 1)
        for one, at, part in zip(maps, place, share, strict=True)
    ]
    made = torch.stack(blocks).view(batch, -1, height, width)
    return made if bias is None else made + bias[:, None, None]


BACKENDS = {"native": deform_conv_native, "decomposed": deform_conv_decomposed, "gathered": deform_conv_gathered}


class DeformConv(nn.Module):
    """(B, C, Y, X) -> (B, C', Y, X); offsets and modulation come from a 3 x 3 convolution that starts at zero.

    Args:
        inputs: C. outputs: C'. backend: native, decomposed or gathered.
    """

    def __init__(self, inputs: int, outputs: int, backend: str = "decomposed") -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise InputError("backend", got=repr(backend), expected=f"one of {', '.join(BACKENDS)}")
        self.backend = backend
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.field = nn.Conv2d(inputs, 27, 3, padding=1)
        nn.init.zeros_(self.field.weight)
        nn.init.zeros_(self.field.bias)  # type: ignore[arg-type]

    def offsets(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 18, Y, X) offsets in cells, and (B, 9, Y, X) modulation in 0..1."""
        offset, mask = self.field(x).split([18, 9], 1)
        return offset, mask.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B, C', Y, X); narrow types are sampled in float32: bfloat16 has no 129.5."""
        wide = torch.promote_types(x.dtype, torch.float32)
        given = (one.to(wide) for one in (x, *self.offsets(x), self.weight, self.bias))
        return BACKENDS[self.backend](*given).to(x.dtype)


def offset_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Weights that offsets and modulation come from: they are trained at a tenth of the rate, as deformable layers are.

    Found by name: `field` is theirs alone.
    """
    return [weight for name, weight in module.named_parameters() if "field" in name.split(".")]


def set_backend(module: nn.Module, backend: str) -> None:
    """Switch each deformable convolution inside `module`."""
    if backend not in BACKENDS:
        raise InputError("backend", got=repr(backend), expected=f"one of {', '.join(BACKENDS)}")
    for part in module.modules():
        if isinstance(part, DeformConv):
            part.backend = backend


@torch.no_grad()
def faster_backend(module: nn.Module, example: Tensor, repeats: int = 3) -> str:
    """Time `module(example)` with each backend on this machine; the module is left with the faster one."""
    taken = {}
    for backend in BACKENDS:
        set_backend(module, backend)
        module(example)
        begin = time.perf_counter()
        for _ in range(repeats):
            module(example)
        taken[backend] = time.perf_counter() - begin
    best = min(taken, key=taken.__getitem__)
    set_backend(module, best)
    return best
