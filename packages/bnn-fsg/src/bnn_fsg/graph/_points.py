"""The operations beside convolutions, in numpy: each makes of a node a function of arrays (n, h, w, channels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnn_fsg.graph import _curves, _moves
from bnn_fsg.graph._graph import Node
from bnn_fsg.graph._point_sizes import pooled

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


def _padded(x: np.ndarray, settings: dict[str, Any], fill: float) -> np.ndarray:
    """With what pooling sees around x; at the end also what its last windows reach."""
    kernel, stride, padding = (settings[key] for key in _POOL)
    sizes = pooled((x.shape[1], x.shape[2]), kernel, stride, padding, settings.get("ceil", False))
    widths = [(0, 0)]
    for given, size, kernel, stride, padding in zip(
        x.shape[1:3], sizes, *(settings[key] for key in _POOL), strict=True
    ):
        widths.append((padding, max((size - 1) * stride + kernel - given - padding, 0)))
    return np.pad(x, [*widths, (0, 0)], constant_values=np.float32(fill)) if any(map(any, widths)) else x


_POOL = ("kernel", "stride", "padding")
_FEW = 16  # taps in a direction, up to which one after the other is faster than all windows at once


def _pooled(x: np.ndarray, settings: dict[str, Any], join: np.ufunc) -> np.ndarray:
    """Windows of padded x joined, down and then across."""
    sizes = pooled((x.shape[1], x.shape[2]), settings["kernel"], settings["stride"], (0, 0), False)
    for axis, (size, kernel, stride) in enumerate(zip(sizes, settings["kernel"], settings["stride"], strict=True), 1):
        if kernel > _FEW:
            windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=axis)
            x = join.reduce(windows[(slice(None),) * axis + (slice(None, None, stride),)], axis=-1)
            continue
        parts = (
            x[(slice(None),) * axis + (slice(tap, tap + (size - 1) * stride + 1, stride),)] for tap in range(kernel)
        )
        done = next(parts).copy()
        for part in parts:
            join(done, part, out=done)
        x = done
    return x


def _max_pool(node: Node) -> Point:
    return lambda x: _pooled(_padded(x, node.settings, -np.inf), node.settings, np.maximum)


def _average_pool(node: Node) -> Point:
    settings = node.settings
    counted, ceil = settings.get("count_padding", True), settings.get("ceil", False)

    def average(x: np.ndarray) -> np.ndarray:
        sums = _pooled(_padded(x, settings, 0.0), settings, np.add)
        if counted and not ceil:
            return sums / np.float32(settings["kernel"][0] * settings["kernel"][1])
        ones = np.ones((1, *x.shape[1:3], 1), np.float32)
        if counted:  # padding counts, and what lies behind it does not
            (down, across) = settings["padding"]
            ones = np.ones((1, x.shape[1] + 2 * down, x.shape[2] + 2 * across, 1), np.float32)
            reach = _padded(x[:1, :, :, :1], settings, 0.0).shape
            ones = np.pad(ones, [(0, max(whole - size, 0)) for whole, size in zip(reach, ones.shape, strict=True)])
            ones = ones[:, : reach[1], : reach[2]]
        else:
            ones = _padded(ones, settings, 0.0)
        return sums / _pooled(ones, settings, np.add)

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
    "average": _moves.average,
    "curve": lambda node: _curves.CURVES[node.settings["function"]],
    "multiply": lambda _: np.multiply,
    "normalise": _curves.normalise,
    "pad": _moves.pad,
    "resample": _moves.resample,
    "shuffle": _moves.shuffle,
    "slice": _moves.take,
    "softmax": lambda _: _curves.softmax,
    "spread": _moves.spread,
}
