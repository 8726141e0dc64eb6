"""Small networks and files for the tests of packing and running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from bnn_fsg import PackedModel
from bnn_fsg.layers._spec import BinaryInput, BinaryWeight, Rectifier
from bnn_fsg.runtime import _format
from torch import Tensor, nn


class BitConv2d(nn.Conv2d):
    """A layer of its own that keeps the protocol: two-valued weights and inputs with every term there is."""

    def __init__(self, *sizes: Any, binary: bool = True, given: bool = False, **more: Any) -> None:
        super().__init__(*sizes, **more)
        self.binary, self.given = binary, given
        self.threshold = nn.Parameter(0.3 * torch.randn(self.in_channels))
        self.mean = nn.Parameter(0.1 * torch.randn(self.out_channels))
        self.size = nn.Parameter(torch.rand(self.out_channels) - 0.3)
        self.low, self.high = -0.4, 1.1

    def binary_weight(self) -> BinaryWeight:
        return BinaryWeight(torch.where(self.weight >= 0, 1.0, -1.0), self.size.detach(), self.mean.detach())

    def binary_input(self) -> BinaryInput | None:
        if not self.binary:
            return None
        if self.given:
            return BinaryInput(None, torch.tensor(1.0))
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return BinaryInput(self.threshold.detach(), torch.tensor(half), torch.tensor(middle))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name)
        x, found = input, self.binary_weight()
        weight = found.sign * self.size[:, None, None, None] + self.mean[:, None, None, None]
        if self.binary and not self.given:
            x = torch.where(x >= self.threshold[:, None, None], self.high, self.low).to(x.dtype)
        return self._conv_forward(x, weight, self.bias)


class Shifted(nn.Module):
    """A rectifier with all four terms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.terms = nn.ParameterList(torch.randn(channels) for _ in range(4))

    def rectifier(self) -> Rectifier:
        positive, negative, before, after = (one.detach() for one in self.terms)
        return Rectifier(positive, negative, before, after)

    def forward(self, x: Tensor) -> Tensor:
        positive, negative, before, after = (one[:, None, None] for one in self.terms)
        x = x + before
        return positive * x.clamp(min=0) + negative * x.clamp(max=0) + after


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """BatchNorm with statistics and weights of its own, some negative; evaluation."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                assert tensor is not None
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            assert module.running_var is not None
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model.eval()


def outputs(model: nn.Module, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(x).numpy()


def onnx_outputs(path: Path, x: np.ndarray) -> np.ndarray:
    """What the stock runtime makes of an exported file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


def built(nodes: list[dict[str, Any]], arrays: dict[str, np.ndarray], inputs: list[int], rank: int) -> PackedModel:
    """A packed model from parts, without torch."""
    graph = {"input": inputs, "output": nodes[-1]["out"], "output_rank": rank, "nodes": nodes}
    return PackedModel(_format.encode(graph, arrays))
