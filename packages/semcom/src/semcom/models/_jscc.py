"""Joint source-channel coders: DeepJSCC (Bourtsoulatze et al. 2019) and ADJSCC with SNR attention (Xu et al. 2021).

Both make H/4 x W/4 features of `channels` reals, so a picture takes channels * H * W / 32 complex symbols, and
normalise the power of each picture by itself, which the receiver need not know.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from semcom.links import Settings
from semcom.models._bands import banded, banded_means, in_one_band


@dataclass(frozen=True)
class JsccConfig(Settings):
    """Sizes of a coder.

    Attributes:
        kind: `adjscc` (one model for all SNRs), `deepjscc` (as published, for the SNR it was trained at) or
            `deepjscc-sigmoid` (public checkpoints: pixels not centred, one more PReLU, a sigmoid at the end).
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
        if self.kind not in ("adjscc", "deepjscc", "deepjscc-sigmoid"):
            raise InputError("kind", got=repr(self.kind), expected="adjscc, deepjscc or deepjscc-sigmoid")
        if self.channels < 1 or self.width < 8:
            raise InputError("channels, width", got=(self.channels, self.width), expected="at least 1 and 8")
        if self.stages < 0 or (self.stages and self.kind != "adjscc"):
            raise InputError("stages", got=f"{self.stages} of {self.kind}", expected="0 or more of adjscc")


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


class Attention(nn.Module):
    """Factors of channels by their means over the picture and the state of the link, `conditions` numbers a picture."""

    def __init__(self, width: int, conditions: int = 1) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width + conditions, width // 4), nn.Linear(width // 4, width)

    def forward(self, means: Tensor, state: Tensor) -> Tensor:
        """Means (B, width), state (B, conditions) -> factors (B, width, 1, 1)."""
        about = torch.cat([means, state], dim=1)
        return torch.sigmoid(self.second(F.relu(self.first(about))))[:, :, None, None]


class _Stage(nn.Module):
    """Convolution, GDN, attention, convolution, added to the input; at first it adds a bias alone."""

    def __init__(self, width: int, conditions: int, inverse: bool = False) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        self.norm, self.attention = Gdn(width, inverse), Attention(width, conditions)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        inner = banded(lambda part: self.norm(self.first(part)), x, halo=1, stride=4)
        factors = self.attention(banded_means(_same, inner), state)
        return banded(lambda part, own: part + self.second(own * factors), x, inner, halo=1, stride=4, inplace=True)


class Adjscc(nn.Module):
    """The layers of ADJSCC (Xu et al. 2021): pictures to features at stride 4 and back, by the state of the link."""

    def add_layers(self, width: int, channels: int, stages: int, conditions: int = 1) -> None:
        """Give the module its layers; `conditions` numbers a picture are its state."""
        w = width
        widths, sizes = (3, w, w, w, channels), (5, 5, 3, 3)
        self.encoder = nn.ModuleList(
            nn.Conv2d(a, b, size, 2 if size == 5 else 1, size // 2)
            for a, b, size in zip(widths, widths[1:], sizes, strict=False)
        )
        self.decoder = nn.ModuleList(nn.Conv2d(a, b, 3, 1, 1) for a, b in ((channels, w), (w, w), (w, 4 * w)))
        self.last = nn.Conv2d(w, 12, 3, 1, 1)
        self.encoder_norms = nn.ModuleList(Gdn(w) for _ in range(3))
        self.decoder_norms = nn.ModuleList(Gdn(w, inverse=True) for _ in range(2))
        self.encoder_attention = nn.ModuleList(Attention(w, conditions) for _ in range(3))
        self.decoder_attention = nn.ModuleList(Attention(w, conditions) for _ in range(2))
        self.encoder_stages = nn.ModuleList(_Stage(w, conditions) for _ in range(stages))
        self.decoder_stages = nn.ModuleList(_Stage(w, conditions, inverse=True) for _ in range(stages))

    def to_features(self, images: Tensor, state: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), uint8 or in [0, 1] -> (B, width, H/4, W/4), before the encoder's last convolution."""
        first, second, third = (
            nn.Sequential(*layers) for layers in zip(self.encoder, self.encoder_norms, strict=False)
        )

        def entry(part: Tensor) -> Tensor:
            return first((_unit(part) - 0.47) / 0.25)

        # at stride 2 the features of a large picture are made twice: they take ten times the memory of the picture
        x, kept, stride = (entry(images), _same, 2) if in_one_band(images, 1) else (images, entry, 1)
        scale = self.encoder_attention[0](banded_means(kept, x, halo=2, stride=stride), state)
        x = banded(lambda part: second(kept(part) * scale), x, halo=8, stride=stride)
        scale = self.encoder_attention[1](banded_means(_same, x), state)
        x = banded(lambda part: third(part * scale), x, halo=1, stride=4)
        x = _attended(x, self.encoder_attention[2], state)
        for stage in self.encoder_stages:
            x = stage(x, state)
        return x

    def from_received(self, x: Tensor, state: Tensor) -> Tensor:
        """Received features (B, channels, H/4, W/4) -> (B, width, H/4, W/4)."""
        for layer, norm, attention in zip(self.decoder, self.decoder_norms, self.decoder_attention, strict=False):
            x = banded(functools.partial(_of_sent, layer, norm), x, halo=1, stride=4)
            x = _attended(x, attention, state)
        for stage in self.decoder_stages:
            x = stage(x, state)
        return x

    def to_pictures(self, x: Tensor) -> Tensor:
        """(B, width, H/4, W/4) -> pictures (B, 3, H, W), not clamped."""
        x = F.leaky_relu(F.pixel_shuffle(self.decoder[2](x), 2), 0.1)
        return F.pixel_shuffle(self.last(x), 2).float() * 0.25 + 0.47


def _unit(images: Tensor) -> Tensor:
    """Pixels in [0, 1] of uint8 or of such pixels."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def _same(x: Tensor) -> Tensor:
    return x


def _of_sent(layer: nn.Conv2d, norm: nn.Module, part: Tensor) -> Tensor:
    """A layer of the decoder on the channels that were sent, which are its first ones; further ones count as zeros."""
    return norm(F.conv2d(part, layer.weight[:, : part.shape[1]], layer.bias, padding=1))


def _attended(x: Tensor, attention: nn.Module, state: Tensor) -> Tensor:
    factors = attention(banded_means(_same, x), state)
    return banded(lambda part: part * factors, x, halo=0, stride=4, inplace=True)


class JsccCoder(Adjscc):
    """Encoder and decoder of pictures in [0, 1] whose sides are multiples of four."""

    kind = "semcom.jscc"

    def __init__(self, config: JsccConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or JsccConfig()
        self._sigmoid = c.kind == "deepjscc-sigmoid"
        if c.kind != "adjscc":
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
            self.slopes = nn.ParameterList(nn.Parameter(torch.full((1,), 0.25)) for _ in range(8 + self._sigmoid))
            return
        self.add_layers(c.width, c.channels, c.stages)

    def symbols(self, height: int, width: int) -> int:
        """Complex symbols of a picture."""
        return self.config.channels * (height // 4) * (width // 4) // 2

    def encode(self, images: Tensor, snr_db: Tensor) -> Tensor:
        """Unit-variance reals of each picture.

        Args:
            images: (B, 3, H, W) in [0, 1].
            snr_db: (B,) Es/N0 that both sides know; of no effect in DeepJSCC.
        Returns: (B, channels * H/4 * W/4), mean square 1 in each row.
        """
        if self.config.kind != "adjscc":
            x = images if self._sigmoid else (images - 0.47) / 0.25
            for place, layer in enumerate(self.encoder):
                x = layer(x)
                x = F.prelu(x, self.slopes[place]) if place < 4 + self._sigmoid else x
        else:
            x = self.encoder[3](self.to_features(images, snr_db[:, None] / 10))
        flat = x.flatten(1).float()
        return flat / flat.square().mean(dim=1, keepdim=True).add(1e-8).sqrt()

    def decode(self, reals: Tensor, snr_db: Tensor, height: int, width: int) -> Tensor:
        """Pictures (B, 3, height, width), not clamped, of received reals (B, channels * H/4 * W/4)."""
        x = reals.reshape(len(reals), self.config.channels, height // 4, width // 4)
        if self.config.kind != "adjscc":
            for place, layer in enumerate(self.decoder):
                x = layer(x)
                x = F.prelu(x, self.slopes[place - 4]) if place < 4 else x
            return torch.sigmoid(x) if self._sigmoid else x.float() * 0.25 + 0.47
        return self.to_pictures(self.from_received(x, snr_db[:, None] / 10))
