"""Sizes of every value of a graph, inferred from its input before anything is made of it.

A file with a right checksum may still hold a weight that does not fit its input, a stride of 0 or a picture of more
memory than there is. Each is a ValueError here, which names the node; the kernels check no bounds of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bnn_fsg.graph._checks import BOOL, FLOAT, LARGEST, Size, number, pair, vector, whole
from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.graph._point_sizes import POINTS

_LANES = 16  # of the kernels
_INTEGERS = (np.dtype(np.int16), np.dtype(np.int32))


def infer(shape: Sequence[Any], nodes: Sequence[Node], output: str, rank: Any) -> dict[str, Size]:
    """The size of the input and of each node's output, by name.

    Args:
        shape: (channels, [[frames], height], width) or (features,) of one sample; frames stand one below another.
        nodes: as `parse` gives them: each after those whose values it uses.
        output: name of the value that is the network's output.
        rank: dimensions of that output in torch, batch included.
    Raises:
        ValueError: names the first node whose arrays or settings do not fit what it is given.
    """
    if not isinstance(shape, list | tuple) or len(shape) not in (1, 2, 3, 4):
        raise ValueError(f"input of shape {shape}, expected 1 to 4 whole numbers")
    channels, *pixels = (whole("input", one, 1) for one in shape)
    height, width = math.prod(pixels[:-1]), [1, *pixels][-1]
    sizes = {"input": Size(height, width, channels)}
    for node in nodes:
        given = [sizes[name] for name in node.inputs]
        if node.op != "conv_bits" and any(one.bits for one in given):
            raise ValueError(f"{node.output}: {node.op} of a value that is kept as bits")
        made = _convolution(node, given[0]) if node.op in CONVOLUTIONS else POINTS[node.op](node, *given)
        if made.height * made.width * made.channels > LARGEST:
            raise ValueError(f"{node.output}: {made.height} x {made.width} x {made.channels} numbers for one sample")
        sizes[node.output] = made
    last = sizes[output]
    if last.bits:
        raise ValueError(f"the output {output!r} is kept as bits")
    pixels_of_output = {2: last.pixels, 3: last.height, 4: 1}.get(whole("output_rank", rank, 2))
    if pixels_of_output != 1:
        raise ValueError(f"output_rank {rank} for an output of {last.height} x {last.width} x {last.channels}")
    return sizes


def value_bytes(sizes: dict[str, Size]) -> int:
    """Bytes of all values of one sample: what a file states that it needs."""
    return sum(one.nbytes for one in sizes.values())


def memory(nodes: Sequence[Node], sizes: dict[str, Size], *, numpy: bool) -> int:
    """Bytes that preparing and running one sample takes at most, kernels' buffers included; found without running.

    `numpy`: whether that runs it, which makes more values on the way than the library.
    """
    kept, largest, frames = 0, 0, _frames(nodes)
    for node in nodes:
        before, after = sizes[node.inputs[0]], sizes[node.output]
        work = 8 * (before.nbytes + after.nbytes)
        if node.op == "resample":
            work += 24 * max(before.height, after.height) * max(before.width, after.width) * before.channels
        if node.op in ("max_pool", "average_pool"):
            work += 12 * (before.pixels + after.pixels + after.height * before.width) * before.channels
        if node.op in CONVOLUTIONS:
            weight, groups = _weight(node), _groups(node)
            kernel, padding, dilation = (pair(node, key, *least) for key, *least in _SIZED)
            taps, steps = weight.shape[1], weight.shape[1] * (weight.shape[2] + 3)
            lanes = len(weight) + _LANES * groups
            classes = min(after.height, 2 * kernel[0] + 1) * min(after.width, 2 * kernel[1] + 1)
            kept += 24 * lanes * steps + classes * (20 * taps + 100 * lanes) + 100 * (after.height + after.width)
            if numpy:
                fours = groups * (weight.shape[2] + 3)
                work += before.pixels * (80 * fours + 40 * before.channels) + 80 * after.pixels * lanes
            elif node.op == "conv_bits":
                words = groups * -(-weight.shape[2] // 32)
                down, across = frames[node.inputs[0]]
                kept += (before.height + 2 * down) * (before.width + 2 * across) * 4 * (words + groups)
            else:
                rows = min((kernel[0] - 1) * dilation[0] + 1, before.height)
                work += rows * (before.width + 2 * padding[1]) * 16 * groups * (weight.shape[2] + 3) + 100 * kernel[0]
        largest = max(largest, work)
    return kept + largest + 4 * value_bytes(sizes)


_SIZED = (("kernel", 1, 1), ("padding", 0, 0), ("dilation", 1, 1))


def _frames(nodes: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """The widest padding of layers of bits around each value."""
    found: dict[str, tuple[int, int]] = {}
    for node in nodes:
        if node.op == "conv_bits":
            padding, known = pair(node, "padding", 0, 0), found.get(node.inputs[0], (0, 0))
            found[node.inputs[0]] = max(padding[0], known[0]), max(padding[1], known[1])
    return found


def _convolution(node: Node, x: Size) -> Size:
    weight, groups = _weight(node), _groups(node)
    kernel, stride, dilation = (pair(node, key, 1, 1) for key in ("kernel", "stride", "dilation"))
    padding = pair(node, "padding", 0, 0)
    if weight.ndim != 3 or weight.shape[1] != kernel[0] * kernel[1] or len(weight) % groups:
        raise ValueError(f"{node.output}: weights of shape {weight.shape} for kernel {kernel}, {groups} groups")
    if weight.shape[2] * groups != x.channels:
        expected = f"weights for {weight.shape[2] * groups} channels"
        raise ValueError(f"{node.output}: {expected}, given {x.channels}")
    if weight.shape[1] * weight.shape[2] >= 1 << 30:
        raise ValueError(f"{node.output}: {weight.shape[1] * weight.shape[2]} products in a sum")
    out = len(weight)
    for name in ("scale", "shift", "sums"):
        vector(node, name, (out,), FLOAT)
    vector(node, "bound", (out,), _INTEGERS)
    vector(node, "turned", (out,), BOOL)
    vector(node, "threshold", (x.channels, 1), FLOAT)
    if ("bound" in node.arrays) != ("turned" in node.arrays):
        raise ValueError(f"{node.output}: bound without turned, or turned without bound")
    if x.bits and "threshold" in node.arrays:
        raise ValueError(f"{node.output}: a threshold for a value that is kept as bits")
    number(node, "offset", 0.0)
    height, width = (
        (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate((x.height, x.width))
    )
    if min(height, width) < 1:
        raise ValueError(f"{node.output}: a picture of {x.height} x {x.width} is smaller than the kernel {kernel}")
    return Size(height, width, out, "bound" in node.arrays)


def _weight(node: Node) -> np.ndarray:
    weight = node.arrays["weight" if node.op == "conv" else "bits"]
    if weight.dtype != (np.float32 if node.op == "conv" else bool):
        raise ValueError(f"{node.output}: weights of {weight.dtype} for {node.op}")
    return weight


def _groups(node: Node) -> int:
    return whole(f"{node.output}: groups", node.settings.get("groups", 1), 1)
