"""Joint source-channel coder for whole pictures of any size: ADJSCC (Xu et al. 2021) with coarser context.

Fully convolutional: a picture is padded to multiples of 16 and becomes features of H/4 x W/4, of which `channels`
reals are sent at each position: channels * H * W / 32 complex symbols, a bandwidth ratio of channels / 96. One model
serves all SNRs and all numbers of channels. No position is coded by itself: a U-shaped context at strides 8 and 16 on
both sides sees 100 pixels and more around it, which is what smooth pictures need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from semcom.links import Settings
from semcom.models._bands import banded
from semcom.models._jscc import Adjscc, Attention, JsccCoder

MULTIPLE = 16  # sides are padded to multiples of this


@dataclass(frozen=True)
class PictureConfig(Settings):
    """Sizes of a coder.

    Attributes:
        channels: most feature channels that can be sent; the bandwidth ratio is channels / 96.
        width: inner channels at stride 4.
        stages: residual stages at stride 4 on each side.
        context: channels at strides 8 and 16; 0 for no context.
        blocks: residual blocks at stride 8 on the decoder's side; the encoder has one fewer.
    """

    channels: int = 16
    width: int = 64
    stages: int = 2
    context: int = 112
    blocks: int = 2

    def __post_init__(self) -> None:
        if self.channels < 2 or self.channels % 2 or self.width < 8:
            raise InputError("channels, width", got=(self.channels, self.width), expected="even from 2, and at least 8")
        if min(self.stages, self.context, self.blocks) < 0:
            got = (self.stages, self.context, self.blocks)
            raise InputError("stages, context, blocks", got=got, expected="0 or more")


class _Block(nn.Module):
    """Two convolutions, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.1)), 0.1))


class _Context(nn.Module):
    """A U over strides 8 and 16, added to features at stride 4; it adds nothing before training."""

    def __init__(self, width: int, inner: int, blocks: int) -> None:
        super().__init__()
        self.down, self.deeper = nn.Conv2d(width, inner, 4, 2, 1), nn.Conv2d(inner, inner, 4, 2, 1)
        self.before = nn.ModuleList(_Block(inner) for _ in range(blocks))
        self.deep, self.attention = _Block(inner), Attention(inner, 2)
        self.up = nn.Conv2d(inner, inner, 1)
        self.out = nn.Conv2d(inner, 4 * width, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        fine = self.down(x)
        deep = self.deep(self.deeper(fine))
        deep = deep * self.attention(deep.mean((2, 3)), state)
        higher = nn.Sequential(self.up, nn.Upsample(scale_factor=2))
        fine = banded(lambda own, part: own + higher(part), fine, deep, halo=0, stride=8, inplace=True)
        for block in self.before:
            fine = banded(block, fine, halo=2, stride=8)

        def added(own: Tensor, part: Tensor) -> Tensor:
            return own + F.pixel_shuffle(self.out(F.leaky_relu(part, 0.1)), 2)

        return banded(added, x, fine, halo=2, stride=4, inplace=True)


class PictureCoder(Adjscc):
    """Encoder and decoder of pictures in [0, 1] of any size from 1 x 1."""

    kind = "semcom.picture"

    def __init__(self, config: PictureConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PictureConfig()
        self.add_layers(c.width, c.channels, c.stages, conditions=2)
        if c.context:
            self.encoder_context = _Context(c.width, c.context * 3 // 4, max(c.blocks - 1, 0))
            self.decoder_context = _Context(c.width, c.context, c.blocks)

    @classmethod
    def from_tiles(cls, coder: JsccCoder, config: PictureConfig) -> PictureCoder:
        """A coder that begins as `coder`, of the same width and stages: its channels first, further ones at random."""
        have, model = coder.config, cls(config)
        if have.kind != "adjscc" or (have.width, have.stages) != (config.width, config.stages):
            raise InputError("start", got=f"a coder of {have}", expected=f"adjscc of {config}")
        state = model.state_dict()
        for name, value in coder.state_dict().items():
            part = state[name]
            if part.shape == value.shape:
                part.copy_(value)
                continue
            if name.endswith("first.weight"):  # attention has one input more
                part.zero_()
            if name == "decoder.0.weight":
                part.mul_(0.1)
            part[tuple(slice(size) for size in value.shape)] = value
        model.load_state_dict(state)
        return model

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Positions at stride 4 of a picture, after padding."""
        padded = (-(-side // MULTIPLE) * MULTIPLE // 4 for side in (height, width))
        return next(padded), next(padded)

    def symbols(self, height: int, width: int, channels: int) -> int:
        """Complex symbols of a picture of which `channels` reals are sent at each position."""
        if not 2 <= channels <= self.config.channels or channels % 2:
            got, expected = channels, f"an even number from 2 to {self.config.channels}"
            raise InputError("channels", got=got, expected=expected)
        rows, columns = self.grid(height, width)
        return channels * rows * columns // 2

    def features(self, images: Tensor, snr_db: Tensor, channels: int) -> Tensor:
        """Encoded pictures before the power is normalised.

        Args:
            images: (B, 3, H, W), uint8 or in [0, 1], sides multiples of 16.
            snr_db: (B,) Es/N0 that the encoder assumes.
            channels: feature channels to send.
        Returns: (B, channels, H/4, W/4) float32.
        """
        state = _state(snr_db, channels)
        x = self.to_features(images, state)
        if self.config.context:
            x = self.encoder_context(x, state)
        return self.encoder[3](x)[:, :channels].float()

    def encode(self, images: Tensor, snr_db: Tensor, channels: int) -> Tensor:
        """Unit-variance reals of each picture, (B, channels, H/4, W/4); arguments as in `features`."""
        x = self.features(images, snr_db, channels)
        return x / x.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-8).sqrt()

    def decode(self, reals: Tensor, snr_db: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), not clamped, of received reals (B, channels, H/4, W/4).

        Args:
            reals: as the channel gave them back, without bias.
            snr_db: (B,) Es/N0 that the receiver measured.
        """
        return self.to_pictures(self._inner(reals, snr_db))

    def decode_pixels(self, reals: Tensor, snr_db: Tensor) -> Tensor:
        """`decode` in the pixels of a file, (B, 3, H, W) uint8, without a whole picture of floats."""

        def pixels(part: Tensor) -> Tensor:
            return self.to_pictures(part).nan_to_num_().clamp_(0, 1).mul_(255).round_().to(torch.uint8)

        return banded(pixels, self._inner(reals, snr_db), halo=2, stride=4)

    def _inner(self, reals: Tensor, snr_db: Tensor) -> Tensor:
        state = _state(snr_db, reals.shape[1])
        x = self.from_received(reals, state)
        return self.decoder_context(x, state) if self.config.context else x


def _state(snr_db: Tensor, channels: int) -> Tensor:
    """(B, 2): what the attention sees of the SNR and of the number of channels."""
    size = torch.full_like(snr_db, channels / 8).log2()
    return torch.stack([snr_db.clamp(-10, 30) / 10, size], dim=1)


def pad_sides(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) with the last row and column repeated up to multiples of 16."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)), mode="edge")
