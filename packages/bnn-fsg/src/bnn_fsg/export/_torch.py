"""The weights that a packed model stands for, as plain float32 tensors on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from ninefold import artifacts
from torch import Tensor

from bnn_fsg.graph._graph import CONVOLUTIONS
from bnn_fsg.packing._twin import weight_of
from bnn_fsg.runtime import PackedModel

KIND, FORMAT = "bnn-fsg.float-weights", 1


def export_torch(model: PackedModel, path: str | Path, *, force: bool = False) -> None:
    """Write the weights that a packed model stands for, as float32 tensors in one safetensors file.

    Each convolution or linear layer has `<name>.weight` (out, channels, *kernel), as trained up to what was folded into
    it, and `<name>.bias`; layers with binary inputs also `<name>.threshold`. `force` replaces an existing file.

    Examples:
        >>> import torch
        >>> from bnn_fsg import binarize, export_torch, pack
        >>> from safetensors.torch import load_file
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)

        >>> packed = pack(model.eval(), x)

        >>> export_torch(packed, "mine.safetensors")
        >>> sorted(load_file("mine.safetensors"))
        ['0.bias', '0.weight', '4.bias', '4.weight', '7.bias', '7.weight']
    """
    arrays: dict[str, Tensor] = {}
    for node in model.nodes:
        if node.op in CONVOLUTIONS:
            arrays[f"{node.name}.weight"], arrays[f"{node.name}.bias"] = weight_of(node)
            if "threshold" in node.arrays:
                arrays[f"{node.name}.threshold"] = torch.tensor(node.arrays["threshold"])
    meta = {"input": list(model.input_shape)}
    artifacts.save(path, arrays, kind=KIND, format_version=FORMAT, package="bnn_fsg", meta=meta, force=force)
