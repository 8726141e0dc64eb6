"""Joint source-channel coders: DeepJSCC (Bourtsoulatze et al. 2019) and ADJSCC with SNR attention (Xu et al. 2021).

Both make H/4 x W/4 features of `channels` reals, so a picture takes channels * H * W / 32 complex symbols, and
normalise the power of each picture by itself, which the receiver need not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn


@dataclass(frozen=True)
class JsccConfig:
    """Sizes of a coder.

    Attributes:
        kind: `adjscc` (one model for all SNRs) or `deepjscc` (as published, for the SNR it was trained at).
        channels: feature channels c; the bandwidth ratio is c / 96.
        width: inner channels of `adjscc`.
        stages: convolutions with GDN and SNR attention, of width and size unchanged, that `adjscc` has more on each
            side; each adds to what it is given.
    """

    kind: str = "adjscc"
    channels: int = 8
    width: int = 64
    stages: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("adjscc", "deepjscc"):
            raise InputError("kind", got=repr(self.kind), expected="adjscc or deepjscc")
        if self.channels < 1 or self.width < 8:
            raise InputError("channels, width", got=(self.channels, self.width), expected="at least 1 and 8")
        if self.stages < 0 or (self.stages and self.kind != "adjscc"):
            raise InputError("stages", got=f"{self.stages} of {self.kind}", expected="0 or more of adjscc")

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> JsccConfig:
        """The config that `to_meta` gave."""
        return cls(str(meta["kind"]), int(meta["channels"]), int(meta["width"]), int(meta.get("stages", 0)))

    def to_meta(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class Gdn(nn.Module):
    """Generalised divisive normalisation, x / sqrt(beta + gamma x^2), or its inverse."""

    def __init__(self, width: int, inverse: bool = False) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(width))
        self.gamma = nn.Parameter(0.1 * torch.eye(width) + 0.001)
        self.inverse = inverse

    def forward(self, x: Tensor) -> Tensor:
        weight = self.gamma.abs()[:, :, None, None]
        norm = F.conv2d(x * x, weight, self.beta.abs() + 1e-4).sqrt()
        return x * norm if self.inverse else x / norm


class _SnrAttention(nn.Module):
    """Scales channels by what the pooled features and the SNR say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width + 1, width // 4), nn.Linear(width // 4, width)

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        about = torch.cat([x.mean((2, 3)), snr_db[:, None] / 10], dim=1)
        return x * torch.sigmoid(self.second(F.relu(self.first(about))))[:, :, None, None]


class _Stage(nn.Module):
    """Convolution, GDN, SNR attention, convolution, added to the input; at first it adds a bias alone."""

    def __init__(self, width: int, inverse: bool = False) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        self.norm, self.attention = Gdn(width, inverse), _SnrAttention(width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        return x + self.second(self.attention(self.norm(self.first(x)), snr_db))


class JsccCoder(nn.Module):
    """Encoder and decoder of pictures in [0, 1] whose sides are multiples of four."""

    kind = "semcom.jscc"

    def __init__(self, config: JsccConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or JsccConfig()
        if c.kind == "deepjscc":
            widths = [3, 16, 32, 32, 32, c.channels]
            strides = [2, 2, 1, 1, 1]
            self.encoder = nn.ModuleList(
                nn.Conv2d(a, b, 5, s, 2) for a, b, s in zip(widths, widths[1:], strides, strict=False)
            )
            back, steps = widths[::-1], strides[::-1]
            self.decoder = nn.ModuleList(
                nn.ConvTranspose2d(a, b, 5, s, 2, output_padding=s - 1)
                for a, b, s in zip(back, back[1:], steps, strict=False)
            )
            self.slopes = nn.ParameterList(nn.Parameter(torch.full((1,), 0.25)) for _ in range(8))
            return
        w = c.width
        self.encoder = nn.ModuleList(
            [
                nn.Conv2d(3, w, 5, 2, 2),
                nn.Conv2d(w, w, 5, 2, 2),
                nn.Conv2d(w, w, 3, 1, 1),
                nn.Conv2d(w, c.channels, 3, 1, 1),
            ]
        )
        self.decoder = nn.ModuleList(
            [nn.Conv2d(c.channels, w, 3, 1, 1), nn.Conv2d(w, w, 3, 1, 1), nn.Conv2d(w, 4 * w, 3, 1, 1)]
        )
        self.last = nn.Conv2d(w, 12, 3, 1, 1)
        self.encoder_norms = nn.ModuleList(Gdn(w) for _ in range(3))
        self.decoder_norms = nn.ModuleList(Gdn(w, inverse=True) for _ in range(2))
        self.encoder_attention = nn.ModuleList(_SnrAttention(w) for _ in range(3))
        self.decoder_attention = nn.ModuleList(_SnrAttention(w) for _ in range(2))
        self.encoder_stages = nn.ModuleList(_Stage(w) for _ in range(c.stages))
        self.decoder_stages = nn.ModuleList(_Stage(w, inverse=True) for _ in range(c.stages))

    def symbols(self, height: int, width: int) -> int:
        """Complex symbols of a picture."""
        return self.config.channels * (height // 4) * (width // 4) // 2

    def encode(self, images: Tensor, snr_db: Tensor) -> Tensor:
        """Unit-variance reals of each picture.

        Args:
            images: (B, 3, H, W) in [0, 1].
            snr_db: (B,) Es/N0 that both sides know; of no effect in `deepjscc`.
        Returns: (B, channels * H/4 * W/4), mean square 1 in each row.
        """
        x = (images - 0.47) / 0.25
        if self.config.kind == "deepjscc":
            for place, layer in enumerate(self.encoder):
                x = layer(x)
                x = F.prelu(x, self.slopes[place]) if place < 4 else x
        else:
            for layer, norm, attention in zip(self.encoder, self.encoder_norms, self.encoder_attention, strict=False):
                x = attention(norm(layer(x)), snr_db)
            for stage in self.encoder_stages:
                x = stage(x, snr_db)
            x = self.encoder[3](x)
        flat = x.flatten(1).float()
        return flat / flat.square().mean(dim=1, keepdim=True).add(1e-8).sqrt()

    def decode(self, reals: Tensor, snr_db: Tensor, height: int, width: int) -> Tensor:
        """Pictures (B, 3, height, width), not clamped, of received reals (B, channels * H/4 * W/4)."""
        x = reals.reshape(len(reals), self.config.channels, height // 4, width // 4)
        if self.config.kind == "deepjscc":
            for place, layer in enumerate(self.decoder):
                x = layer(x)
                x = F.prelu(x, self.slopes[4 + place]) if place < 4 else x
        else:
            for place in range(2):
                x = self.decoder_attention[place](self.decoder_norms[place](self.decoder[place](x)), snr_db)
            for stage in self.decoder_stages:
                x = stage(x, snr_db)
            x = F.leaky_relu(F.pixel_shuffle(self.decoder[2](x), 2), 0.1)
            x = F.pixel_shuffle(self.last(x), 2)
        return x.float() * 0.25 + 0.47
