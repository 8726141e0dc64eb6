"""A packed model back in torch: a float module that computes the same, node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.packing._moves import CURVES, MOVES
from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._layer import pair


def weight_of(node: Node) -> tuple[Tensor, Tensor]:
    """(weight (out, channels, *kernel), bias (out,)) of a convolution, float32; signs alone if it keeps bounds."""
    arrays = node.arrays
    kernel = pair(node.settings.get("kernel", 1))
    raw = arrays["weight" if node.op == "conv" else "bits"]
    filters = 2 * raw.astype(np.float32) - 1 if raw.dtype == bool else raw
    filters = filters.reshape(len(raw), *kernel, -1).transpose(0, 3, 1, 2)
    each = (slice(None), None, None, None)
    if "scale" in arrays:
        filters = filters * arrays["scale"][each]
    if "sums" in arrays:
        filters = filters + arrays["sums"][each]
    bias = arrays.get("shift", np.zeros(len(raw)))
    return torch.tensor(filters, dtype=torch.float32), torch.tensor(np.array(bias), dtype=torch.float32)


def node_tensors(node: Node) -> dict[str, Tensor]:
    """The arrays of a node as tensors; of a convolution also weight (out, channels, *kernel) and bias."""
    arrays = {key: torch.tensor(np.array(value)) for key, value in node.arrays.items() if key not in ("bits", "weight")}
    if node.op in CONVOLUTIONS:
        arrays["weight"], arrays["bias"] = weight_of(node)
    return arrays


def picture(x: Tensor) -> Tensor:
    """(n, features), (n, channels, length) or (n, channels, [frames], h, w) as (n, channels, h, w)."""
    return x[:, :, None, None] if x.ndim == 2 else x[:, :, None] if x.ndim == 3 else x.flatten(2, -2)


class FloatTwin(nn.Module):
    """The graph of a packed model in torch's float32 operations: what a user without packed kernels would run."""

    def __init__(self, model: PackedModel) -> None:
        super().__init__()
        self.nodes, self.output, self.rank = model.nodes, model.about["graph"]["output"], model.output_rank
        self.tensors = {node.name: node_tensors(node) for node in self.nodes}

    def forward(self, x: Tensor) -> Tensor:
        """As the packed model, on a tensor."""
        values = {"input": picture(x)}
        for node in self.nodes:
            inputs = [values[name] for name in node.inputs]
            values[node.output] = apply(node, self.tensors[node.name], inputs)
        done = values[self.output]
        return done if self.rank == 4 else done.reshape(len(done), *((done.shape[1], -1)[: self.rank - 1]))


def _normalise(x: Tensor, groups: int, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    if groups:
        return F.group_norm(x, groups, scale, shift, eps)
    return F.layer_norm(x.permute(0, 2, 3, 1), scale.shape, scale, shift, eps).permute(0, 3, 1, 2)


def by_channel(value: Tensor) -> Tensor:
    """(channels,) or (1,) as it meets a picture."""
    return value.reshape(-1, 1, 1)


ONE = torch.ones(1, 1, 1)


def by_pixel(value: Tensor) -> Tensor:
    """(height, width, channels) as it meets a picture."""
    return value.permute(2, 0, 1)


def apply(node: Node, arrays: dict[str, Tensor], inputs: list[Tensor]) -> Tensor:
    """What a node makes of pictures."""
    x, settings = inputs[0], node.settings
    if node.op in CONVOLUTIONS:
        if "threshold" in arrays:
            x = torch.where(x >= by_channel(arrays["threshold"]), 1.0, -1.0) + settings.get("offset", 0.0)
        keys = ("stride", "padding", "dilation", "groups")
        more: dict[str, Any] = {key: settings[key] for key in keys if key in settings}
        x = F.conv2d(x, arrays["weight"], arrays["bias"], **more)
        if "bound" in arrays:
            x = torch.where((x >= by_channel(arrays["bound"])) ^ by_channel(arrays["turned"]), 1.0, -1.0)
        return x
    if node.op == "affine":
        return x * by_channel(arrays["scale"]) + by_channel(arrays["shift"])
    if node.op == "rectify":
        x = x + by_channel(arrays.get("shift_in", torch.zeros(1)))
        positive, negative = by_channel(arrays["positive"]), by_channel(arrays["negative"])
        after = by_channel(arrays.get("shift_out", torch.zeros(1)))
        return positive * x.clamp(min=0) + negative * x.clamp(max=0) + after
    if node.op in ("max_pool", "average_pool"):
        kernel, stride, padding = (settings[key] for key in ("kernel", "stride", "padding"))
        ceil = settings.get("ceil", False)
        if node.op == "max_pool":
            return F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
        return F.avg_pool2d(x, kernel, stride, padding, ceil, settings.get("count_padding", True))
    if node.op == "pick":
        stride, front, back = (settings[key] for key in ("stride", "front", "back"))
        return F.pad(x[:, :, :: stride[0], :: stride[1]], (0, 0, 0, 0, front, back))
    if node.op in MOVES:
        return MOVES[node.op](x, settings)
    return {
        "clip": lambda: x.clamp(settings.get("low"), settings.get("high")),
        "add": lambda: x + inputs[1],
        "mean": lambda: x.mean((2, 3), keepdim=True),
        "flatten": lambda: x.reshape(len(x), -1, 1, 1),
        "concat": lambda: torch.cat(inputs, 1),
        "curve": lambda: CURVES[settings["function"]](x),
        "matmul": lambda: (x.permute(0, 2, 3, 1) @ inputs[1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        "multiply": lambda: x * inputs[1],
        "pixelwise": lambda: x * by_pixel(arrays.get("scale", ONE)) + by_pixel(arrays.get("shift", 0 * ONE)),
        "normalise": lambda: _normalise(x, settings["groups"], arrays["scale"], arrays["shift"], settings["eps"]),
        "softmax": lambda: x.softmax(1),
    }[node.op]()
