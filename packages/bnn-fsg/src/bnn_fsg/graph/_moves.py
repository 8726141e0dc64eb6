"""Operations that move pixels and channels, in numpy on (n, h, w, channels): padding, slices, resampling, shuffles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnn_fsg.graph._graph import Node
from bnn_fsg.graph._point_sizes import AXES

Move = Callable[[np.ndarray], np.ndarray]


def pad(node: Node) -> Move:
    """Pixels around the picture; a side below 0 takes some away."""
    top, bottom, left, right = node.settings["sides"]
    mode: Any = node.settings["mode"]
    value = node.settings["value"]
    more: dict[str, Any] = {"constant_values": np.float32(value)} if mode == "constant" else {}
    widths = [(0, 0), (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)]

    def run(x: np.ndarray) -> np.ndarray:
        height, width = x.shape[1:3]
        x = x[:, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
        return np.pad(x, widths, mode, **more) if any(map(any, widths)) else x

    return run


def spread(node: Node) -> Move:
    """Zeros between pixels."""
    down, across = node.settings["stride"]

    def run(x: np.ndarray) -> np.ndarray:
        count, height, width, channels = x.shape
        wide = np.zeros((count, (height - 1) * down + 1, (width - 1) * across + 1, channels), x.dtype)
        wide[:, ::down, ::across] = x
        return wide

    return run


def take(node: Node) -> Move:
    """A part of the picture and of its channels."""
    parts = zip(*(node.settings[key] for key in ("begin", "end", "step")), strict=True)
    places = (slice(None), *(slice(*one) for one in parts))
    return lambda x: x[places]


def shuffle(node: Node) -> Move:
    """Channels to pixels, as torch's PixelShuffle."""
    factor = node.settings["factor"]

    def run(x: np.ndarray) -> np.ndarray:
        count, height, width, channels = x.shape
        parts = x.reshape(count, height, width, channels // factor**2, factor, factor)
        return parts.transpose(0, 1, 4, 2, 5, 3).reshape(count, height * factor, width * factor, -1)

    return run


def rearrange(node: Node) -> Move:
    """Axes of these sizes in another order, as a picture of another size."""
    sizes, order, size = (node.settings[key] for key in ("sizes", "order", "size"))
    places = [0, *(axis + 1 for axis in order)]
    return lambda x: np.ascontiguousarray(x.reshape(len(x), *sizes).transpose(places)).reshape(len(x), *size)


def average(node: Node) -> Move:
    """Mean over some axes, which stay with size 1."""
    axes = tuple(AXES.index(name) + 1 for name in node.settings["axes"])
    return lambda x: x.mean(axis=axes, keepdims=True, dtype=np.float32)


def resample(node: Node) -> Move:
    """Another size: by the nearest pixel, by two in each direction, or by pooling what falls to each."""
    settings = node.settings
    mode, steps = settings["mode"], settings.get("step", [1.0, 1.0])
    corners = settings.get("corners", False)

    def run(x: np.ndarray) -> np.ndarray:
        for axis, (size, step) in enumerate(zip(settings["size"], steps, strict=True), start=1):
            if mode in ("average", "max"):
                x = _pooled(x, axis, size, mode)
            elif mode == "bilinear":
                x = _between(x, axis, *neighbours(x.shape[axis], size, step, corners))
            else:
                x = x.take(nearest(x.shape[axis], size, step, mode), axis)
        return x

    return run


def nearest(given: int, size: int, step: float, mode: str) -> np.ndarray:
    """(size,) place in the input of each output pixel, as torch rounds it; "exact" looks from the pixel's middle."""
    places = np.arange(size, dtype=np.float32) + np.float32(0.5 if mode == "exact" else 0)
    return np.minimum(np.floor(places * np.float32(step)), given - 1).astype(np.int64)


def neighbours(given: int, size: int, step: float, corners: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first place, second place, share of the second) for each output pixel of a bilinear resampling, each (size,)."""
    if corners:
        places = np.arange(size) * np.float32((given - 1) / max(size - 1, 1))
    else:
        places = np.maximum((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(step) - 0.5, 0)
    first = np.minimum(np.floor(places), given - 1).astype(np.int64)
    return first, np.minimum(first + 1, given - 1), np.clip(places - first, 0, 1).astype(np.float32)


def _between(x: np.ndarray, axis: int, first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    share = share.reshape(-1, *[1] * (3 - axis))
    low = x.take(first, axis)
    return low + (x.take(second, axis) - low) * share


def pooled_ranges(given: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(begin, end) of what falls to each of `size` places, as torch's adaptive pooling."""
    places = np.arange(size)
    return places * given // size, -(-(places + 1) * given // size)


def _pooled(x: np.ndarray, axis: int, size: int, mode: str) -> np.ndarray:
    begin, end = pooled_ranges(x.shape[axis], size)
    lengths = end - begin
    firsts = np.minimum(begin[:, None] + np.arange(lengths.max()), end[:, None] - 1)  # short ones repeat their last
    windows = x.take(firsts.reshape(-1), axis).reshape(*x.shape[:axis], *firsts.shape, *x.shape[axis + 1 :])
    if mode == "max":
        return windows.max(axis=axis + 1)
    share = (np.arange(lengths.max()) < lengths[:, None]) / lengths[:, None].astype(np.float32)
    return (windows * share.astype(np.float32).reshape(*firsts.shape, *[1] * (3 - axis))).sum(axis=axis + 1)
