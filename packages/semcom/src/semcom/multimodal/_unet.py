"""The denoiser: a U-Net on pixel-unshuffled pictures, conditioned on the coarse picture, the text and the SNR."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from semcom.links import Settings


@dataclass(frozen=True)
class UnetConfig(Settings):
    """Sizes of a `Unet`.

    Attributes:
        text_dim: numbers of a text vector.
        width: channels at half of the picture's resolution; twice as many at a quarter.
        scale: the diffusion's data are (picture - coarse picture) / scale.
        plain_scale: the same without a coarse picture: (picture - 1/2) / plain_scale.
    """

    text_dim: int = 16
    width: int = 64
    scale: float = 0.085
    plain_scale: float = 0.25

    def __post_init__(self) -> None:
        if self.width % 8 or self.text_dim < 1:
            raise InputError("width", got=self.width, expected="a multiple of 8")
        if not (self.scale > 0 and self.plain_scale > 0):
            raise InputError("scale", got=(self.scale, self.plain_scale), expected="positive numbers")


@dataclass
class Condition:
    """What the denoiser is given, all of the same number of rows.

    Attributes:
        coarse: (B, 3, H, W) in [0, 1].
        has_coarse: (B,) bool.
        text: (B, text_dim); see `ReceivedText.vectors`.
        has_text: (B,) bool.
        snr_db: (B,).
    """

    coarse: Tensor
    has_coarse: Tensor
    text: Tensor
    has_text: Tensor
    snr_db: Tensor


class _Res(nn.Module):
    """Two convolutions, the second scaled and shifted by the condition (FiLM)."""

    def __init__(self, into: int, out: int, told: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, into), nn.Conv2d(into, out, 3, 1, 1)
        self.norm2, self.conv2 = nn.GroupNorm(8, out), nn.Conv2d(out, out, 3, 1, 1)
        self.film = nn.Linear(told, 2 * out)
        self.skip = nn.Conv2d(into, out, 1) if into != out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(told)[:, :, None, None].chunk(2, dim=1)
        return self.skip(x) + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.norm, self.heads = nn.GroupNorm(8, width), heads
        self.qkv, self.out = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(3, 4).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(2, 3).reshape(b, c, h, w))


class Unet(nn.Module):
    """Predicts v of the residual between a picture and its coarse version. Sides are multiples of four."""

    kind = "semcom.diffusion"

    def __init__(self, config: UnetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or UnetConfig()
        w, told = c.width, 2 * c.width
        self.told = nn.Sequential(nn.Linear(64 + c.text_dim + 3, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU())
        self.stem = nn.Conv2d(24, w, 3, 1, 1)
        self.down = nn.ModuleList([_Res(w, w, told), _Res(w, w, told)])
        self.shrink = nn.Conv2d(w, 2 * w, 3, 2, 1)
        self.middle = nn.ModuleList([_Res(2 * w, 2 * w, told), _Res(2 * w, 2 * w, told)])
        self.attention = _Attention(2 * w)
        self.grow = nn.Conv2d(2 * w, w, 3, 1, 1)
        self.up = nn.ModuleList([_Res(2 * w, w, told), _Res(2 * w, w, told)])
        self.last = nn.GroupNorm(8, w)
        self.out = nn.Conv2d(w, 12, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, z: Tensor, alphabar: Tensor, condition: Condition) -> Tensor:
        """v of noisy residuals.

        Args:
            z: (B, 12, H/2, W/2).
            alphabar: (B,).
            condition: of B rows.
        Returns: (B, 12, H/2, W/2).
        """
        level = (alphabar / (1 - alphabar).clamp(min=1e-8)).clamp(1e-8, 1e8).log().float()[:, None] / 4
        angles = level * torch.exp(torch.linspace(0, math.log(64.0), 32))
        has_text, has_coarse = condition.has_text.float()[:, None], condition.has_coarse.float()[:, None]
        parts = [angles.sin(), angles.cos(), condition.text * has_text, has_text, has_coarse]
        told = self.told(torch.cat([*parts, condition.snr_db[:, None] / 10], dim=1))
        coarse = F.pixel_unshuffle((condition.coarse - 0.5) * has_coarse[..., None, None] / 0.25, 2)
        x = self.stem(torch.cat([z, coarse], dim=1))
        skips = []
        for block in self.down:
            x = block(x, told)
            skips.append(x)
        x = self.middle[0](self.shrink(x), told)
        x = self.middle[1](self.attention(x), told)
        x = self.grow(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        for block in self.up:
            x = block(torch.cat([x, skips.pop()], dim=1), told)
        return self.out(F.silu(self.last(x)))

    def residual(self, images: Tensor, condition: Condition) -> Tensor:
        """The diffusion's data (B, 12, H/2, W/2) of pictures (B, 3, H, W) in [0, 1]."""
        base, scale = self._base(condition)
        return F.pixel_unshuffle((images - base) / scale, 2)

    def picture(self, residual: Tensor, condition: Condition) -> Tensor:
        """Inverse of `residual`, not clamped."""
        base, scale = self._base(condition)
        return base + scale * F.pixel_shuffle(residual, 2)

    def _base(self, condition: Condition) -> tuple[Tensor, Tensor]:
        has = condition.has_coarse[:, None, None, None]
        half = torch.full_like(condition.coarse, 0.5)
        c = self.config
        return torch.where(has, condition.coarse, half), torch.where(has, c.scale, c.plain_scale)
