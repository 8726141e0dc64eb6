"""A convolution of a graph, met with its input's size: what both backends run, down to the last rounded number.

y = rectify(scale d + (sums t + shift) + residual), where d is the exact sum of products and t that of the inputs, both
over the steps of the kernel inside the picture. Bits are counted as if what lies outside were -1; `start` puts that
right for each class of border. `offset` is shift / scale of the two values of an input, and ends in `shift`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._graph import Node
from bnn_fsg.runtime._geometry import Bound, Geometry

_LARGEST = 2**31 - 1
_GEOMETRY = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}


@dataclass(frozen=True)
class Layer:
    """What a convolution's kernel needs.

    Attributes:
        kind: "bits" (of bits by bits), "signs" (numbers by bits), "numbers", or "octets" (uint8 by int16).
        weight: (out, taps, channels of a group) bool, float32 or int16.
        start: (classes, out) int32: the sum where all bits agree; of bits alone.
        scale, sums: (out,) float32; sums is None where the sum of inputs does not count.
        shift: (classes or 1, out) float32.
        rectifier: (4, out) float32: shift_in, positive, negative, shift_out; or None.
        threshold: (channels,) float32 whose signs are taken of the input; None where it is +1 and -1, or bits, already.
        keeps: (bound (out,) int32, turned (out,) bool) where the output is bits.
    """

    name: str
    kind: str
    geometry: Geometry
    groups: int
    bound: Bound
    weight: np.ndarray
    start: np.ndarray
    scale: np.ndarray
    sums: np.ndarray | None
    shift: np.ndarray
    rectifier: np.ndarray | None
    threshold: np.ndarray | None
    keeps: tuple[np.ndarray, np.ndarray] | None

    @property
    def width(self) -> int:
        """Output channels."""
        return len(self.weight)

    @property
    def channels(self) -> int:
        """Input channels of a group."""
        return self.weight.shape[2]


def layer_of(node: Node, size: Size, normalisation: Mapping[str, Any] | None = None) -> Layer:
    """The layer of a convolution node.

    Args:
        node: of `_graph.fuse`.
        size: of its input.
        normalisation: where the input is uint8 pictures: {mean, std, white}; the weights become int16.
    """
    pairs = {key: pair(node.settings.get(key, default)) for key, default in _GEOMETRY.items()}
    geometry, groups = Geometry(**pairs), node.settings.get("groups", 1)
    bound = Bound.of(geometry, size.height, size.width)
    weight = node.arrays["weight" if node.op == "conv" else "bits"]
    width = len(weight)
    ones = np.ones(width, np.float32)
    scale = np.asarray(node.arrays.get("scale", ones), np.float32)
    shift, start = node.arrays.get("shift", 0 * ones)[None].astype(np.float64), np.zeros((1, width), np.int32)
    kind = {"conv_bits": "bits", "conv_signs": "signs", "conv": "numbers"}[node.op]
    if kind == "bits":
        start, extra = _of_bits(weight, bound, node)
        shift = shift if extra is None else shift + extra
    if normalisation is not None:
        kind = "octets"
        weight, scale, extra = _octets(weight, bound, normalisation)
        shift = shift + extra
    rectifier = None
    if node.rectifier:
        defaults = {"shift_in": 0 * ones, "positive": ones, "negative": ones, "shift_out": 0 * ones}
        rows = [np.broadcast_to(node.rectifier.get(name, default), (width,)) for name, default in defaults.items()]
        rectifier = np.stack(rows).astype(np.float32)
    threshold = node.arrays.get("threshold")
    if threshold is not None:
        threshold = np.ascontiguousarray(np.broadcast_to(threshold, (size.channels,)), np.float32)
    keeps = (node.arrays["bound"].astype(np.int32), node.arrays["turned"]) if "bound" in node.arrays else None
    return Layer(
        node.name, kind, geometry, groups, bound, weight, start, scale, node.arrays.get("sums"),
        shift.astype(np.float32), rectifier, threshold, keeps,
    )  # fmt: skip


def pair(value: Any) -> tuple[int, int]:
    """A setting of a convolution as (vertical, horizontal)."""
    first, second = value if isinstance(value, list | tuple) else (value, value)
    return first, second


def _of_bits(weight: np.ndarray, bound: Bound, node: Node) -> tuple[np.ndarray, np.ndarray | None]:
    """(start, what the input's offset adds to shift or None)."""
    _, taps, channels = weight.shape
    taps_sum = 2 * weight.sum(axis=2, dtype=np.int32) - channels  # (out, taps)
    start = (~bound.inside).astype(np.int32) @ taps_sum.T + taps * channels  # bits outside were counted as -1
    offset = float(node.settings.get("offset", 0.0))
    if not offset:
        return start, None
    scale = node.arrays.get("scale", np.ones(len(weight))).astype(np.float64)
    extra = offset * (bound.inside.astype(np.int32) @ taps_sum.T) * scale
    if "sums" in node.arrays:
        count = bound.inside.sum(1, keepdims=True) * channels
        extra = extra + offset * count * node.arrays["sums"].astype(np.float64)
    return start.astype(np.int32), extra


def _octets(weight: np.ndarray, bound: Bound, known: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(int16 weights for pixels 0 to 255, their scale, what the mean adds to shift by class of border).

    A pixel p stands for (p / white - mean) / std, and what lies outside for 0 of that, so that the mean counts inside
    alone. Weights take 15 bits and a sign, fewer where sums would not fit 32 bits: what that changes is of the size of
    float32's own rounding in a network.
    """
    by_pixel = weight.astype(np.float64) / (np.asarray(known["std"], np.float64) * known["white"])
    sums, largest = np.abs(by_pixel).sum(axis=(1, 2)), np.abs(by_pixel).max(axis=(1, 2))
    taps = weight.shape[1] * weight.shape[2]
    scale = np.maximum(largest / 32767, sums / max(_LARGEST / 255 - taps, 1))
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    whole = np.rint(by_pixel / scale[:, None, None]).clip(-32767, 32767).astype(np.int16)
    by_tap = (weight * (np.asarray(known["mean"], np.float64) / np.asarray(known["std"], np.float64))).sum(axis=2)
    return whole, scale, -(bound.inside.astype(np.float64) @ by_tap.T)
