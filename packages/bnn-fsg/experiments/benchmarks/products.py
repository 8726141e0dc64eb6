"""One product or convolution of bits against torch in float32 and int8, as callables for `timed`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._format import encode


def bit_layer(channels: int, columns: int, height: int, width: int, kernel: int = 1) -> tuple[PackedModel, np.ndarray]:
    """(packed model of one layer of bits that takes its input's signs, its weights (columns, taps, channels))."""
    weight = np.random.default_rng(0).random((columns, kernel * kernel, channels)) < 0.5
    node = {"op": "conv_bits", "in": ["input"], "out": "a", "kernel": [kernel] * 2, "padding": [kernel // 2] * 2}
    arrays = {
        "a.bits": weight, "a.scale": np.ones(columns, np.float32), "a.shift": np.zeros(columns, np.float32),
        "a.threshold": np.zeros(1, np.float32),
    }  # fmt: skip
    graph = {"input": [channels, height, width], "output": "a", "output_rank": 4, "nodes": [node]}
    return PackedModel(encode(graph, arrays)), weight


def product_arms(rows: int, inner: int, columns: int, against: Iterable[str], threads: int = 1) -> dict[str, Any]:
    """A product (rows, inner) by (inner, columns) of signs, rivals from floats or int8; packed starts from floats with
    the inner axis first, so that taking signs is in it, and ends in floats."""
    layer, weight = bit_layer(inner, columns, 1, rows)
    layer.threads = threads
    signs = np.random.default_rng(1).random((rows, inner)) < 0.5
    weight = weight[:, 0]
    arms: dict[str, Any] = {}
    a, b = (np.where(one, 1, -1).astype(np.int8) for one in (signs, weight.T))
    torch.set_num_threads(threads)
    if "float32" in against:
        left, right = torch.from_numpy(a).float(), torch.from_numpy(np.ascontiguousarray(b)).float()
        arms["torch float32"] = lambda: torch.mm(left, right)
    if "int8" in against:
        small, other = torch.from_numpy(a), torch.from_numpy(np.ascontiguousarray(weight * 2 - 1).astype(np.int8)).t()
        arms["torch int8"] = lambda: torch._int_mm(small, other)
    x = np.ascontiguousarray(a.T.astype(np.float32))[None, :, None]
    arms["packed"] = lambda: layer(x)
    return arms


def convolution_arms(channels: int, size: int, threads: int = 1, kernel: int = 3) -> dict[str, Any]:
    """A 3x3 convolution of one picture, channels to channels; packed from floats to floats: sign and pack are in it."""
    torch.set_num_threads(threads)
    layer, weight = bit_layer(channels, channels, size, size, kernel)
    layer.threads = threads
    x = np.random.default_rng(1).standard_normal((1, channels, size, size)).astype(np.float32)
    signs = np.where(weight, 1, -1).astype(np.float32).reshape(channels, kernel, kernel, channels)
    picture, filters = torch.from_numpy(x), torch.from_numpy(signs.transpose(0, 3, 1, 2).copy())

    def floats() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(picture, filters, padding=kernel // 2)

    return {"torch float32": floats, "packed": lambda: layer(x)}
