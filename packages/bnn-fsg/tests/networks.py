"""A squeeze-excite network and a U-Net, small, for tests and timing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """A block of MobileNetV3: convolution, gate by the mean picture, shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        gate = nn.functional.hardsigmoid(self.up(torch.relu(self.down(y.mean((2, 3), keepdim=True)))))
        return nn.functional.hardtanh(y * gate + x)


def squeeze_excite(channels: int = 64, classes: int = 10) -> nn.Module:
    """Three blocks between a float stem and a float head."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels), nn.Hardtanh(),
        *(SqueezeExcite(channels) for _ in range(3)), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(channels, classes),
    )  # fmt: skip


def _double(first: int, second: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(first, second, 3, padding=1, bias=False), nn.BatchNorm2d(second), nn.Hardtanh(),
        nn.Conv2d(second, second, 3, padding=1, bias=False), nn.BatchNorm2d(second), nn.Hardtanh(),
    )  # fmt: skip


class UNet(nn.Module):
    """Two levels down and up again: once by a transposed convolution, once bilinear; branches are concatenated."""

    def __init__(self, width: int = 64, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.Hardtanh())
        self.first, self.second, self.bottom = _double(width, width), _double(width, width), _double(width, 2 * width)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.up, self.smooth = (
            nn.ConvTranspose2d(2 * width, width, 2, stride=2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        )
        self.right, self.last = _double(2 * width, width), _double(2 * width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(self.stem(x))
        second = self.second(self.pool(first))
        x = self.right(torch.cat([self.up(self.bottom(self.pool(second))), second], 1))
        x = self.last(torch.cat([self.smooth(x), first], 1))
        return self.head(x).softmax(1)
