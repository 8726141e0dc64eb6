"""Single layers as packed models, and what torch makes of them in whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from bnn_fsg import PackedModel
from bnn_fsg.runtime import _format
from bnn_fsg.runtime._native import sets

BACKENDS = [*sets(), "numpy"]
SHAPES = [  # kernel, stride, padding, dilation, groups, picture
    (1, 1, 0, 1, 1, (5, 4)),
    (3, 1, 1, 1, 1, (7, 9)),
    (3, 2, 1, 1, 1, (9, 7)),
    (3, 1, 2, 2, 2, (8, 5)),
    (5, 3, 4, 1, 1, (6, 11)),
    (1, 2, 1, 1, 3, (5, 5)),
    (5, 1, 4, 2, 1, (3, 3)),
]


def signs(shape: Any, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.5


def layer(op: str, shape: Any, weight: np.ndarray, backend: str, threads: int = 1, **arrays: Any) -> PackedModel:
    """A packed model of one convolution; weight (out, kernel, kernel, channels of a group), bool or float32."""
    kernel, stride, padding, dilation, groups, (height, width) = shape
    out, channels = len(weight), weight.shape[3]
    node: dict[str, Any] = {"op": op, "in": ["input"], "out": "a", "groups": groups}
    for name, one in (("kernel", kernel), ("stride", stride), ("padding", padding), ("dilation", dilation)):
        node[name] = [one, one]
    node["offset"] = arrays.pop("offset", 0.0)
    plain = {"shift": np.zeros(out, np.float32)} | ({} if op == "conv" else {"scale": np.ones(out, np.float32)})
    found = {"weight" if op == "conv" else "bits": weight.reshape(out, -1, channels), **plain, **arrays}
    graph = {"input": [channels * groups, height, width], "output": "a", "output_rank": 4, "nodes": [node]}
    data = _format.encode(graph, {f"a.{name}": array for name, array in found.items()})
    return PackedModel(data, backend=backend, threads=threads)


def reference(x: np.ndarray, weight: np.ndarray, shape: Any) -> np.ndarray:
    """x (n, channels, h, w), weight (out, kernel, kernel, channels of a group) -> (n, out, oh, ow), as torch sums."""
    _, stride, padding, dilation, groups, _ = shape
    filters = torch.from_numpy(np.ascontiguousarray(weight.transpose(0, 3, 1, 2)))
    where = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return torch.nn.functional.conv2d(torch.from_numpy(x), filters, **where).numpy()


def whole(bits: np.ndarray) -> np.ndarray:
    return np.where(bits, 1, -1).astype(np.int64)
