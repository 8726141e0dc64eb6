"""AdaBin's published ResNet-20 for CIFAR-10 (W1A1, arXiv 2208.08084) as a torch module that `pack` understands.

Two values a filter, mean and mean plus or minus spread; two values a layer for the input; Maxout after each addition.
First convolution and last linear layer are float. Written anew after the publication and its MIT-licensed code.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from ninefold import datasets
from ninefold.errors import ArtifactError
from torch import Tensor, nn

from bnn_fsg.layers._activations import Maxout
from bnn_fsg.layers._layers import binarize

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What its pictures (0 to 1) are normalised with."""
FILE = "adabin-resnet20-w1a1/model.safetensors"
SHA256 = "2e146e2805804890e384b2106df74a8f2b63e11a3c1891554194af0383197c31"


def _layer(channels: int, out: int, stride: int) -> nn.Module:
    return binarize(nn.Conv2d(channels, out, 3, stride, 1, bias=False), "adabin", "adabin")


class _Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.more = stride, (out - channels) // 2
        self.conv1, self.bn1 = _layer(channels, out, stride), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = _layer(out, out, 1), nn.BatchNorm2d(out)
        self.nonlinear1, self.nonlinear2 = Maxout(out), Maxout(out)

    def forward(self, x: Tensor) -> Tensor:
        short = x
        if self.stride != 1 or self.more:
            short = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        x = self.nonlinear1(self.bn1(self.conv1(x)) + short)
        return self.nonlinear2(self.bn2(self.conv2(x)) + x)


class AdaBinResNet20(nn.Module):
    """The network; its parameters carry the published names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.nonlinear1 = Maxout(16)
        firsts = (_Block(16, 16, 1), 16), (_Block(16, 32, 2), 32), (_Block(32, 64, 2), 64)
        layers = (nn.Sequential(one, _Block(out, out, 1), _Block(out, out, 1)) for one, out in firsts)
        self.layer1, self.layer2, self.layer3 = layers
        self.bn2, self.linear = nn.BatchNorm1d(64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.nonlinear1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(self.bn2(x.mean((2, 3))))


def adabin_resnet20(path: str | Path | None = None) -> AdaBinResNet20:
    """The trained network, in evaluation.

    Args:
        path: its safetensors file; by default `adabin-resnet20-w1a1/model.safetensors` of the data folder.
    Raises:
        ArtifactError: if the file holds other tensors. DownloadError: if it is nowhere.

    Examples:
        >>> import numpy as np
        >>> from bnn_fsg import adabin_resnet20
        >>> from ninefold import ArtifactError
        >>> from safetensors.numpy import save_file

        >>> save_file({"weight": np.zeros(3)}, "other.safetensors")
        >>> try:
        ...     adabin_resnet20("other.safetensors")
        ... except ArtifactError as error:
        ...     print(str(error)[:51])
        other.safetensors: is no AdaBin ResNet-20: Error(s)

        With the file in the data folder:

        >>> model = adabin_resnet20()  # doctest: +SKIP
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found = datasets.find("bnn-fsg", FILE, sha256=SHA256) if path is None else Path(path)
    model = AdaBinResNet20()
    try:
        state = load_file(found)
        model.load_state_dict({name.replace("binary_a.", "activation."): one for name, one in state.items()})
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactError(found, f"is no AdaBin ResNet-20: {error}") from None
    return model.eval()
