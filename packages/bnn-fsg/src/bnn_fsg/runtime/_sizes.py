"""Sizes of every value of a graph, inferred from its input before anything is made of it.

A file with a right checksum may still hold a weight that does not fit its input, a stride of 0 or a picture of more
memory than there is. Each is a ValueError here, which names the node; the kernels check no bounds of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn_fsg.runtime._graph import CONVOLUTIONS, Node

_LARGEST = 2**31 - 1  # of any whole number in a file
_LANES, _BLOCK = 16, 32  # of the kernels
_FLOAT, _INTEGERS = (np.dtype(np.float32),), (np.dtype(np.int16), np.dtype(np.int32))
_BOOL = (np.dtype(bool),)


@dataclass(frozen=True)
class Size:
    """A value for one sample: height, width and channels; bits are kept 64 to a word."""

    height: int
    width: int
    channels: int
    bits: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.pixels * (8 * -(-self.channels // 64) if self.bits else 4 * self.channels)


def infer(shape: Sequence[Any], nodes: Sequence[Node], output: str, rank: Any) -> dict[str, Size]:
    """The size of the input and of each node's output, by name.

    Args:
        shape: (channels, height, width), (channels, length) or (features,) of one sample.
        nodes: as `parse` gives them: each after those whose values it uses.
        output: name of the value that is the network's output.
        rank: dimensions of that output in torch, batch included.
    Raises:
        ValueError: names the first node whose arrays or settings do not fit what it is given.
    """
    if not isinstance(shape, list | tuple) or len(shape) not in (1, 2, 3):
        raise ValueError(f"input of shape {shape}, expected 1 to 3 whole numbers")
    channels, *pixels = (_whole("input", one, 1) for one in shape)
    height, width = [1, 1, *pixels][-2:]
    sizes = {"input": Size(height, width, channels)}
    for node in nodes:
        given = [sizes[name] for name in node.inputs]
        if node.op != "conv_bits" and any(one.bits for one in given):
            raise ValueError(f"{node.output}: {node.op} of a value that is kept as bits")
        made = _convolution(node, given[0]) if node.op in CONVOLUTIONS else _POINTS[node.op](node, *given)
        if made.height * made.width * made.channels > _LARGEST:
            raise ValueError(f"{node.output}: {made.height} x {made.width} x {made.channels} numbers for one sample")
        sizes[node.output] = made
    last = sizes[output]
    if last.bits:
        raise ValueError(f"the output {output!r} is kept as bits")
    pixels_of_output = {2: last.pixels, 3: last.height, 4: 1}.get(_whole("output_rank", rank, 2))
    if pixels_of_output != 1:
        raise ValueError(f"output_rank {rank} for an output of {last.height} x {last.width} x {last.channels}")
    return sizes


def value_bytes(sizes: dict[str, Size]) -> int:
    """Bytes of all values of one sample: what a file states that it needs."""
    return sum(one.nbytes for one in sizes.values())


def memory(nodes: Sequence[Node], sizes: dict[str, Size], *, gathered: bool) -> int:
    """Bytes that preparing and running one sample takes at most, kernels' buffers included; found without running.

    `gathered`: whether the backend copies what lies under a kernel for the whole picture (numpy's does).
    """
    kept, largest = 0, 0
    for node in nodes:
        before, after = sizes[node.inputs[0]], sizes[node.output]
        work = 8 * (before.nbytes + after.nbytes)
        if node.op in ("max_pool", "average_pool"):
            padding = node.settings["padding"]
            work += 8 * (before.height + 2 * padding[0]) * (before.width + 2 * padding[1]) * before.channels
        if node.op in CONVOLUTIONS:
            weight = _weight(node)
            kernel = _pair(node, "kernel", 1, 1)
            taps, steps = weight.shape[1], weight.shape[1] * weight.shape[2]
            lanes = len(weight) + _LANES * _groups(node)
            pixels = after.pixels
            classes = min(after.height, 2 * kernel[0] + 1) * min(after.width, 2 * kernel[1] + 1)
            kept += 16 * lanes * steps + classes * (20 * taps + 100 * lanes) + 100 * (after.height + after.width)
            work += _BLOCK * (32 * steps + 16 * lanes)
            work += 16 * pixels * taps * before.channels + 64 * pixels * lanes if gathered else 0
        largest = max(largest, work)
    return kept + largest + 4 * value_bytes(sizes)


def _convolution(node: Node, x: Size) -> Size:
    weight, groups = _weight(node), _groups(node)
    kernel, stride, dilation = (_pair(node, key, 1, 1) for key in ("kernel", "stride", "dilation"))
    padding = _pair(node, "padding", 0, 0)
    if weight.ndim != 3 or weight.shape[1] != kernel[0] * kernel[1] or len(weight) % groups:
        raise ValueError(f"{node.output}: weights of shape {weight.shape} for kernel {kernel}, {groups} groups")
    if weight.shape[2] * groups != x.channels:
        expected = f"weights for {weight.shape[2] * groups} channels"
        raise ValueError(f"{node.output}: {expected}, given {x.channels}")
    if weight.shape[1] * weight.shape[2] >= 1 << 30:
        raise ValueError(f"{node.output}: {weight.shape[1] * weight.shape[2]} products in a sum")
    out = len(weight)
    for name in ("scale", "shift", "sums"):
        _vector(node, name, (out,), _FLOAT)
    _vector(node, "bound", (out,), _INTEGERS)
    _vector(node, "turned", (out,), _BOOL)
    _vector(node, "threshold", (x.channels, 1), _FLOAT)
    if ("bound" in node.arrays) != ("turned" in node.arrays):
        raise ValueError(f"{node.output}: bound without turned, or turned without bound")
    if x.bits and "threshold" in node.arrays:
        raise ValueError(f"{node.output}: a threshold for a value that is kept as bits")
    _number(node, "offset", 0.0)
    height, width = (
        (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate((x.height, x.width))
    )
    if min(height, width) < 1:
        raise ValueError(f"{node.output}: a picture of {x.height} x {x.width} is smaller than the kernel {kernel}")
    return Size(height, width, out, "bound" in node.arrays)


def _affine(node: Node, x: Size) -> Size:
    for name in ("scale", "shift"):
        _vector(node, name, (x.channels, 1), _FLOAT)
    return x


def _rectify(node: Node, x: Size) -> Size:
    for name in ("positive", "negative", "shift_in", "shift_out"):
        _vector(node, name, (x.channels, 1), _FLOAT)
    return x


def _clip(node: Node, x: Size) -> Size:
    for name in ("low", "high"):
        _number(node, name, None, infinite=True)
    return x


def _add(node: Node, x: Size, other: Size) -> Size:
    if x != other:
        raise ValueError(f"{node.output}: a sum of shapes {x.shape} and {other.shape}")
    return x


def _pool(node: Node, x: Size) -> Size:
    kernel, stride, padding = (
        _pair(node, key, None, low) for key, low in (("kernel", 1), ("stride", 1), ("padding", 0))
    )
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        raise ValueError(f"{node.output}: padding {padding} of more than half the kernel {kernel}")
    if not isinstance(node.settings.get("count_padding", True), bool):
        raise ValueError(f"{node.output}: count_padding {node.settings['count_padding']!r}, expected true or false")
    height, width = (
        (size + 2 * pad - reach) // step + 1
        for size, pad, reach, step in zip((x.height, x.width), padding, kernel, stride, strict=True)
    )
    if min(height, width) < 1:
        raise ValueError(f"{node.output}: a picture of {x.height} x {x.width} is smaller than the kernel {kernel}")
    return Size(height, width, x.channels)


def _pick(node: Node, x: Size) -> Size:
    stride = _pair(node, "stride", None, 1)
    front, back = (_whole(f"{node.output}: {key}", node.settings.get(key), 0) for key in ("front", "back"))
    return Size(-(-x.height // stride[0]), -(-x.width // stride[1]), front + x.channels + back)


def _concat(node: Node, *given: Size) -> Size:
    if not given or any((one.height, one.width) != (given[0].height, given[0].width) for one in given):
        raise ValueError(f"{node.output}: concat of {[one.shape for one in given]}")
    return Size(given[0].height, given[0].width, sum(one.channels for one in given))


_POINTS: dict[str, Callable[..., Size]] = {
    "affine": _affine,
    "rectify": _rectify,
    "clip": _clip,
    "add": _add,
    "max_pool": _pool,
    "average_pool": _pool,
    "pick": _pick,
    "concat": _concat,
    "mean": lambda _, x: Size(1, 1, x.channels),
    "flatten": lambda _, x: Size(1, 1, math.prod(x.shape)),
}


def _weight(node: Node) -> np.ndarray:
    weight = node.arrays["weight" if node.op == "conv" else "bits"]
    if weight.dtype != (np.float32 if node.op == "conv" else bool):
        raise ValueError(f"{node.output}: weights of {weight.dtype} for {node.op}")
    return weight


def _groups(node: Node) -> int:
    return _whole(f"{node.output}: groups", node.settings.get("groups", 1), 1)


def _whole(name: str, value: Any, least: int) -> int:
    if type(value) is not int or not least <= value <= _LARGEST:
        raise ValueError(f"{name} {value!r:.60}, expected a whole number from {least}")
    return value


def _pair(node: Node, key: str, default: int | None, least: int) -> tuple[int, int]:
    """A setting as (vertical, horizontal); one number stands for both where there is a default."""
    value = node.settings.get(key, default)
    both = [value, value] if default is not None and not isinstance(value, list) else value
    if not isinstance(both, list) or len(both) != 2:
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected two whole numbers")
    return _whole(f"{node.output}: {key}", both[0], least), _whole(f"{node.output}: {key}", both[1], least)


def _number(node: Node, key: str, default: float | None, *, infinite: bool = False) -> None:
    value = node.settings.get(key, default)
    if type(value) not in (int, float) or math.isnan(value) or (math.isinf(value) and not infinite):
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected a number")


def _vector(node: Node, name: str, lengths: tuple[int, ...], dtypes: tuple[np.dtype[Any], ...]) -> None:
    """Check an array of a node, if it has it: one dimension, one of the lengths, one of the dtypes."""
    array = node.arrays.get(name)
    if array is None:
        return
    if array.ndim != 1 or len(array) not in lengths or array.dtype not in dtypes:
        expected = f"{' or '.join(map(str, dict.fromkeys(lengths)))} of {' or '.join(map(str, dtypes))}"
        raise ValueError(f"{node.output}: {name} is {array.dtype} of shape {array.shape}, expected {expected}")
