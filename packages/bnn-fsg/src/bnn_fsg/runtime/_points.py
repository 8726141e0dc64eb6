"""The operations beside convolutions, in numpy: each makes of a node a function of arrays (n, h, w, channels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnn_fsg.runtime._graph import Node

Point = Callable[..., np.ndarray]


def _affine(node: Node) -> Point:
    scale, shift = node.arrays["scale"], node.arrays["shift"]
    return lambda x: x * scale + shift


def _rectify(node: Node) -> Point:
    positive, negative = node.arrays["positive"], node.arrays["negative"]
    before = node.arrays.get("shift_in", np.float32(0))
    after = node.arrays.get("shift_out", np.float32(0))

    def rectify(x: np.ndarray) -> np.ndarray:
        x = x + before
        return x * np.where(x > 0, positive, negative) + after

    return rectify


def _clip(node: Node) -> Point:
    low, high = node.settings["low"], node.settings["high"]
    return lambda x: np.clip(x, np.float32(low), np.float32(high))


def _windows(x: np.ndarray, settings: dict[str, Any], fill: float) -> np.ndarray:
    """(n, h, w, c) -> (n, out_h, out_w, c, kernel_h, kernel_w)."""
    (kernel, stride, padding) = (settings[key] for key in ("kernel", "stride", "padding"))
    if any(padding):
        x = np.pad(x, [(0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)], constant_values=np.float32(fill))
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(kernel), axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1]]


def _max_pool(node: Node) -> Point:
    return lambda x: _windows(x, node.settings, -np.inf).max(axis=(-2, -1))


def _average_pool(node: Node) -> Point:
    settings = node.settings
    counted = settings.get("count_padding", True)

    def average(x: np.ndarray) -> np.ndarray:
        sums = _windows(x, settings, 0.0).sum(axis=(-2, -1), dtype=np.float32)
        if counted:
            return sums / np.float32(settings["kernel"][0] * settings["kernel"][1])
        return sums / _windows(np.ones_like(x[:1, :, :, :1]), settings, 0.0).sum(axis=(-2, -1), dtype=np.float32)

    return average


def _pick(node: Node) -> Point:
    stride, front, back = (node.settings[key] for key in ("stride", "front", "back"))

    def pick(x: np.ndarray) -> np.ndarray:
        part = x[:, :: stride[0], :: stride[1]]
        wide = np.zeros((*part.shape[:3], front + part.shape[3] + back), x.dtype)
        wide[..., front : front + part.shape[3]] = part
        return wide

    return pick


def _flatten(_: Node) -> Point:
    return lambda x: np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), 1, 1, -1)


POINTS: dict[str, Callable[[Node], Point]] = {
    "affine": _affine,
    "rectify": _rectify,
    "clip": _clip,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "pick": _pick,
    "flatten": _flatten,
    "mean": lambda _: lambda x: x.mean(axis=(1, 2), keepdims=True, dtype=np.float32),
    "add": lambda _: np.add,
    "concat": lambda _: lambda *parts: np.concatenate(parts, axis=-1),
}
