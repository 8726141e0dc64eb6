"""A packed model back in torch: as a float module that computes the same, and as plain weights on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ninefold import artifacts
from torch import Tensor, nn

from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._graph import CONVOLUTIONS, Node
from bnn_fsg.runtime._model import pair

KIND, FORMAT = "bnn-fsg.float-weights", 1


def export_torch(model: PackedModel, path: str | Path, *, force: bool = False) -> None:
    """Write the weights that a packed model stands for, as float32 tensors in one safetensors file.

    Each convolution or linear layer has `<name>.weight` (out, channels, *kernel), as trained up to what was folded into
    it, and `<name>.bias`; layers with binary inputs also `<name>.threshold`. `force` replaces an existing file.
    """
    arrays: dict[str, Tensor] = {}
    for node in model.nodes:
        if node.op in CONVOLUTIONS:
            arrays[f"{node.name}.weight"], arrays[f"{node.name}.bias"] = weight_of(node)
            if "threshold" in node.arrays:
                arrays[f"{node.name}.threshold"] = torch.tensor(node.arrays["threshold"])
    meta = {"input": list(model.input_shape)}
    artifacts.save(path, arrays, kind=KIND, format_version=FORMAT, package="bnn_fsg", meta=meta, force=force)


def weight_of(node: Node) -> tuple[Tensor, Tensor]:
    """(weight (out, channels, *kernel), bias (out,)) of a convolution, float32; signs alone if it keeps bounds."""
    arrays = node.arrays
    kernel = pair(node.settings.get("kernel", 1))
    raw = arrays["weight" if node.op == "conv" else "bits"]
    filters = np.where(raw, 1.0, -1.0) if raw.dtype == bool else raw.astype(np.float64)
    filters = filters.reshape(len(raw), *kernel, -1).transpose(0, 3, 1, 2)
    by_channel = (slice(None), None, None, None)
    filters = filters * arrays.get("scale", np.ones(len(raw)))[by_channel]
    if "sums" in arrays:
        filters = filters + arrays["sums"][by_channel]
    bias = arrays.get("shift", np.zeros(len(raw)))
    return torch.tensor(filters, dtype=torch.float32), torch.tensor(np.array(bias), dtype=torch.float32)


class FloatTwin(nn.Module):
    """The graph of a packed model in torch's float32 operations: what a user without packed kernels would run."""

    def __init__(self, model: PackedModel) -> None:
        super().__init__()
        self.nodes, self.output, self.rank = model.nodes, model.about["graph"]["output"], model.output_rank
        self.held: dict[str, dict[str, Tensor]] = {}
        for node in self.nodes:
            self.held[node.name] = {key: torch.tensor(np.array(value)) for key, value in node.arrays.items()}
            if node.op in CONVOLUTIONS:
                weight, bias = weight_of(node)
                self.held[node.name] |= {"weight": weight, "bias": bias}

    def forward(self, x: Tensor) -> Tensor:
        """As the packed model, on a tensor."""
        values = {"input": x[:, :, None, None] if x.ndim == 2 else x if x.ndim == 4 else x[:, :, None]}
        for node in self.nodes:
            inputs = [values[name] for name in node.inputs]
            values[node.output] = _apply(node, self.held[node.name], inputs)
        done = values[self.output]
        return done if self.rank == 4 else done.reshape(len(done), *((done.shape[1], -1)[: self.rank - 1]))


def _by_channel(value: Tensor) -> Tensor:
    return value.reshape(-1, 1, 1)


def _apply(node: Node, held: dict[str, Tensor], inputs: list[Tensor]) -> Tensor:
    x, settings = inputs[0], node.settings
    if node.op in CONVOLUTIONS:
        if "threshold" in held:
            x = torch.where(x >= _by_channel(held["threshold"]), 1.0, -1.0) + settings.get("offset", 0.0)
        keys = ("stride", "padding", "dilation", "groups")
        more: dict[str, Any] = {key: settings[key] for key in keys if key in settings}
        x = F.conv2d(x, held["weight"], held["bias"], **more)
        if "bound" in held:
            x = torch.where((x >= _by_channel(held["bound"])) ^ _by_channel(held["turned"]), 1.0, -1.0)
        return x
    if node.op == "affine":
        return x * _by_channel(held["scale"]) + _by_channel(held["shift"])
    if node.op == "rectify":
        x = x + _by_channel(held.get("shift_in", torch.zeros(1)))
        positive, negative = _by_channel(held["positive"]), _by_channel(held["negative"])
        return (
            positive * x.clamp(min=0) + negative * x.clamp(max=0) + _by_channel(held.get("shift_out", torch.zeros(1)))
        )
    if node.op in ("max_pool", "average_pool"):
        kernel, stride, padding = (settings[key] for key in ("kernel", "stride", "padding"))
        if node.op == "max_pool":
            return F.max_pool2d(x, kernel, stride, padding)
        return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=settings.get("count_padding", True))
    if node.op == "pick":
        stride, front, back = (settings[key] for key in ("stride", "front", "back"))
        return F.pad(x[:, :, :: stride[0], :: stride[1]], (0, 0, 0, 0, front, back))
    return {
        "clip": lambda: x.clamp(settings.get("low"), settings.get("high")),
        "add": lambda: x + inputs[1],
        "mean": lambda: x.mean((2, 3), keepdim=True),
        "flatten": lambda: x.reshape(len(x), -1, 1, 1),
        "concat": lambda: torch.cat(inputs, 1),
    }[node.op]()
