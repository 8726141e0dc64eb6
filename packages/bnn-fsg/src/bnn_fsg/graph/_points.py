"""The operations other than convolutions, in numpy: each makes of a node a function of arrays (n, h, w, channels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnn_fsg.graph import _curves, _moves
from bnn_fsg.graph._checks import Size
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


_POOL = ("kernel", "stride", "padding")


def _pooled_size(height: int, width: int, settings: dict[str, Any]) -> tuple[int, int]:
    kernel, stride, padding = (settings[key] for key in _POOL)
    return pooled((height, width), kernel, stride, padding, settings.get("ceil", False))


def _pooled(x: np.ndarray, settings: dict[str, Any], join: np.ufunc, start: float) -> np.ndarray:
    """Windows of x joined, down and then across; what lies outside takes no part."""
    sizes = _pooled_size(x.shape[1], x.shape[2], settings)
    for axis, (size, kernel, stride, padding) in enumerate(
        zip(sizes, *(settings[key] for key in _POOL), strict=True), 1
    ):
        given, before = x.shape[axis], (slice(None),) * axis
        done = np.full((*x.shape[:axis], size, *x.shape[axis + 1 :]), start, np.float32)
        for tap in range(max(0, padding - (size - 1) * stride), min(kernel, padding + given)):
            first, last = max(0, -((tap - padding) // stride)), min(size - 1, (given - 1 + padding - tap) // stride)
            if first <= last:
                part = x[(*before, slice(first * stride - padding + tap, last * stride - padding + tap + 1, stride))]
                target = done[(*before, slice(first, last + 1))]
                join(target, part, out=target)
        x = done
    return x


def divisors(size: Size, settings: dict[str, Any]) -> np.ndarray:
    """(height, width) float32: what `average_pool` divides the sum of each window by."""
    sizes = _pooled_size(size.height, size.width, settings)
    counts = []
    for count, given, kernel, stride, padding in zip(
        sizes, (size.height, size.width), *(settings[key] for key in _POOL), strict=True
    ):
        around = padding if settings.get("count_padding", True) else 0
        start = np.arange(count) * stride - padding
        counts.append(np.minimum(start + kernel, given + around) - np.maximum(start, -around))
    return (counts[0][:, None] * counts[1]).astype(np.float32)


def _max_pool(node: Node) -> Point:
    return lambda x: _pooled(x, node.settings, np.maximum, -np.inf)


def _average_pool(node: Node) -> Point:
    def average(x: np.ndarray) -> np.ndarray:
        by = divisors(Size(x.shape[1], x.shape[2], x.shape[3]), node.settings)
        return _pooled(x, node.settings, np.add, 0.0) / by[:, :, None]

    return average


def _mean(_: Node) -> Point:
    def mean(x: np.ndarray) -> np.ndarray:
        pixels = x.reshape(len(x), -1, x.shape[3])
        return (np.add.accumulate(pixels, axis=1)[:, -1] / np.float32(pixels.shape[1]))[:, None, None]

    return mean


def _matmul(_: Node) -> Point:
    def product(x: np.ndarray, other: np.ndarray) -> np.ndarray:
        first, second = (np.ascontiguousarray(one).reshape(-1, *one.shape[2:]) for one in (x, other))
        return np.matmul(first, second).reshape(*x.shape[:3], other.shape[3])

    return product


def _pixelwise(node: Node) -> Point:
    scale, shift = (node.arrays.get(key, np.float32(start)) for key, start in (("scale", 1), ("shift", 0)))
    return lambda x: x * scale + shift


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
    "mean": _mean,
    "add": lambda _: np.add,
    "concat": lambda _: lambda *parts: np.concatenate(parts, axis=-1),
    "average": _moves.average,
    "curve": lambda node: _curves.CURVES[node.settings["function"]],
    "matmul": _matmul,
    "multiply": lambda _: np.multiply,
    "normalise": _curves.normalise,
    "pad": _moves.pad,
    "pixelwise": _pixelwise,
    "rearrange": _moves.rearrange,
    "resample": _moves.resample,
    "shuffle": _moves.shuffle,
    "slice": _moves.take,
    "softmax": lambda _: _curves.softmax,
    "spread": _moves.spread,
}
