"""Image backbones and the neck after them."""

from __future__ import annotations

from pathlib import Path

import torch
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn
from torch.nn import functional as F

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Slim(nn.Module):
    """A narrow residual network for two cores: maps at strides 8 and 16."""

    channels = (64, 96)
    strides = (8, 16)

    def __init__(self) -> None:
        from fastocc.views._encoder import BasicBlock, conv_bn

        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 16, stride=2), conv_bn(16, 32, stride=2))
        self.stage3 = nn.Sequential(BasicBlock(32, 64, 2), BasicBlock(64, 64))
        self.stage4 = nn.Sequential(BasicBlock(64, 96, 2), BasicBlock(96, 96))

    def forward(self, images: Tensor) -> list[Tensor]:
        middle = self.stage3(self.stem(images))
        return [middle, self.stage4(middle)]


class _TorchVision(nn.Module):
    """A torchvision ResNet; the stem and first stage frozen, batch norms in evaluation, as OccNet trains it."""

    def __init__(self, name: str, levels: tuple[int, ...], weights: str | None = None) -> None:
        import torchvision

        super().__init__()
        body = getattr(torchvision.models, name)(weights=None)
        if weights is not None:
            _load(body, name, Path(weights))
        self.stem = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool)
        self.stages = nn.ModuleList([body.layer1, body.layer2, body.layer3, body.layer4])
        width = 4 if name == "resnet50" else 1
        self.levels = levels
        self.channels = tuple(64 * 2 ** (level - 2) * width for level in levels)
        self.strides = tuple(2**level for level in levels)
        self.freeze = weights is not None

    def train(self, mode: bool = True) -> _TorchVision:
        super().train(mode)
        if self.freeze:
            for part in (self.stem, self.stages[0]):
                part.eval().requires_grad_(False)
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.stem(images), []
        for level, stage in enumerate(self.stages, 2):
            x = stage(x)
            if level in self.levels:
                maps.append(x)
        return maps


def _load(body: nn.Module, name: str, path: Path) -> None:
    """Fill a torchvision network from its published state dict; the classifier may be missing."""
    if not path.is_file():
        raise ArtifactError(path, "is not there")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)  # safe: tensors alone
    except Exception as error:  # whatever torch raises for a file that is damaged or asks for code
        raise ArtifactError(path, f"cannot be read as plain tensors: {str(error).splitlines()[0]}") from None
    own = body.state_dict()
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise ArtifactError(path, "holds no state dict of tensors")
    wrong = [key for key in found if key not in own or own[key].shape != found[key].shape]
    wrong += [key for key in own if key not in found and not key.startswith("fc.") and "num_batches" not in key]
    if wrong:
        raise InputError(f"weights {path}", got=f"other arrays: {', '.join(wrong[:3])}", expected=f"those of {name}")
    body.load_state_dict(found, strict=False)


BACKBONES = ("slim", "resnet18", "resnet50", "resnet50-c5")


class ImageEncoder(nn.Module):
    """Backbone and a two-level FPN: (B, N, 3, H, W) images in 0..255 -> (B, N, C, H / stride, W / stride).

    Args:
        backbone: one of BACKBONES; `resnet50-c5` has the one map of OccNet, the others merge two.
        channels: C. weights: path of a torchvision state dict, read as tensors alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str, channels: int, weights: str | None = None) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise InputError("backbone", got=repr(backbone), expected=f"one of {', '.join(BACKBONES)}")
        if backbone == "slim":
            if weights is not None:
                raise InputError("weights", got=weights, expected="none: the slim backbone has no published weights")
            self.body: nn.Module = _Slim()
        else:
            levels = (5,) if backbone.endswith("-c5") else (4, 5)
            self.body = _TorchVision(backbone.removesuffix("-c5"), levels, weights)
        self.lateral = nn.ModuleList([nn.Conv2d(count, channels, 1) for count in self.body.channels])  # type: ignore[union-attr]
        self.out = nn.Conv2d(channels, channels, 3, padding=1)
        self.stride: int = self.body.strides[0]  # type: ignore[index]
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, N, 3, H, W) -> (B, N, C, h, w)."""
        batch, count = images.shape[:2]
        flat = (images.flatten(0, 1).to(self.out.weight.dtype) - self.mean) / self.std
        maps = [lateral(one) for lateral, one in zip(self.lateral, self.body(flat), strict=True)]
        merged = maps[-1]
        for finer in reversed(maps[:-1]):
            merged = finer + F.interpolate(merged, size=finer.shape[-2:], mode="nearest")
        return self.out(merged).unflatten(0, (batch, count))
