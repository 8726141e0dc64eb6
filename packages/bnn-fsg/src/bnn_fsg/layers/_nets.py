"""Networks to train, and the recipe from which a saved one is built again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from bnn_fsg.layers._activations import RPReLU
from bnn_fsg.layers._layers import binarize

KIND, VERSION = "bnn-fsg.model", 1


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the shortcut is a 1x1 convolution (a layer of its own) where shapes change."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()
        changes = stride != 1 or width != out
        self.shortcut = nn.Sequential()
        if changes:
            self.shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) -> (n, out, h/stride, w/stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ReactBlock(nn.Module):
    """A shortcut around each 3x3 convolution and RPReLU after it, for 1-bit activations (Bi-Real Net, ReActNet)."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.act1 = RPReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.act2 = RPReLU(out)
        self.shortcut = nn.Sequential()
        if stride != 1 or width != out:
            down = nn.Conv2d(width, out, 1, bias=False)
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), down, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) -> (n, out, h/stride, w/stride)."""
        x = self.act1(self.bn1(self.conv1(x)) + self.shortcut(x))
        return self.act2(self.bn2(self.conv2(x)) + x)


class ResNet(nn.Module):
    """CIFAR ResNet of 6k + 2 layers, with a BatchNorm before the last linear layer as in MetaQuant."""

    def __init__(
        self, depth: int, classes: int, channels: int, width: int, block: type[nn.Module], last_norm: bool = True
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise InputError("depth", got=depth, expected="8, 14, 20, 32, 44, 56 or another of 6k + 2")
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.Identity() if block is ReactBlock else nn.ReLU()  # the first block takes signs of this
        now, stages = width, []
        for stage in range(3):
            out = width * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * ((depth - 2) // 6 - 1)
            blocks = []
            for stride in strides:
                blocks.append(block(now, out, stride))
                now = out
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.bn_last = nn.BatchNorm1d(now) if last_norm else nn.Identity()
        self.fc = nn.Linear(now, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.bn_last(self.flatten(self.pool(x))))


def _mlp(classes: int, channels: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64 * channels, 4 * width), nn.BatchNorm1d(4 * width), nn.ReLU(),
        nn.Linear(4 * width, 4 * width), nn.BatchNorm1d(4 * width), nn.ReLU(), nn.Linear(4 * width, classes),
    )  # fmt: skip


def _cnn(classes: int, channels: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * width, classes),
    )  # fmt: skip


def build(name: str, classes: int, channels: int, width: int = 16, *, last_norm: bool = True) -> nn.Module:
    """A fresh network: mlp or cnn (8x8 images), resnetN (CIFAR; N = 6k + 2), or react-resnetN for 1-bit inputs.

    `last_norm`: a BatchNorm before a ResNet's linear layer, as in MetaQuant; published checkpoints have none.
    """
    if name in ("mlp", "cnn"):
        return {"mlp": _mlp, "cnn": _cnn}[name](classes, channels, width)
    kind, _, depth = name.rpartition("resnet")
    if kind not in ("", "react-") or not depth.isdigit():
        raise InputError("net", got=repr(name), expected="mlp, cnn, resnet8, resnet20 ... or react-resnet8, ...")
    return ResNet(int(depth), classes, channels, width, ReactBlock if kind else BasicBlock, last_norm)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that is needed to build a network again before its parameters are loaded.

    Attributes:
        net, classes, channels, width: see `build`.
        size: height and width of its images.
        weights: forward of 1-bit weights; None: still full precision.
        activations, skip: see `binarize`.
        mean, std, white: how images become inputs.
        last_norm: see `build`.
        names: of the classes, in order; empty if they are only numbered.
    """

    net: str
    classes: int
    channels: int
    size: tuple[int, int]
    width: int = 16
    weights: str | None = None
    activations: str | None = None
    skip: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    white: int = 255
    last_norm: bool = True
    names: tuple[str, ...] = ()

    def example(self) -> Tensor:
        """Two images of noise: of zeros a layer would see little more than biases."""
        noise = torch.Generator().manual_seed(0)
        return torch.randn(2, self.channels, *self.size, generator=noise)

    def build(self) -> nn.Module:
        """The network with fresh parameters, binarised if `weights` is given; InputError if its images do not fit."""
        if self.net in ("mlp", "cnn") and self.size != (8, 8):
            got, hint = f"{self.net!r} for pictures of {self.size[0]}x{self.size[1]}", "resnet8, resnet20 ... take any"
            raise InputError("net", got=got, expected="pictures of 8x8", hint=hint)
        model = build(self.net, self.classes, self.channels, self.width, last_norm=self.last_norm)
        return model if self.weights is None else self.binarize(model)

    def binarize(self, model: nn.Module) -> nn.Module:
        """A trained full-precision network of this recipe as a 1-bit one."""
        assert self.weights is not None
        return binarize(model, self.weights, self.activations, skip=self.skip, example_input=self.example())


def save_model(path: str | Path, model: nn.Module, recipe: Recipe, *, force: bool = False) -> None:
    """Write parameters and buffers with the recipe as one safetensors file (never a hypernet)."""
    state, meta = model.state_dict(), {"recipe": asdict(recipe)}
    artifacts.save(path, state, kind=KIND, format_version=VERSION, package="bnn_fsg", meta=meta, force=force)


def load_model(path: str | Path) -> tuple[nn.Module, Recipe]:
    """The network of a file that `save_model` wrote, in evaluation mode, and its recipe."""
    opened = artifacts.Artifact(path, kind=KIND, format_version=VERSION)
    try:
        recipe = recipe_of(opened.meta["recipe"])
        model = recipe.build()
        state = {name: opened.torch(name) for name in opened.names}
        model.load_state_dict(state)
        floats = {name: one for name, one in state.items() if one.is_floating_point()}
        wrong = next((name for name, one in floats.items() if not one.isfinite().all()), None)
        if wrong is not None:
            raise ArtifactError(path, f"has NaN or infinity in {wrong}")
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactError(path, f"does not fit its recipe ({str(error).splitlines()[0]})") from None
    return model.eval(), recipe


def recipe_of(fields: Mapping[str, Any]) -> Recipe:
    """A recipe from its JSON form."""
    values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in fields.items()}
    return Recipe(**values)
