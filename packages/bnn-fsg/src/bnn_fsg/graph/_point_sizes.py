"""Sizes that the operations other than convolutions give, and what their settings and arrays must be."""

from __future__ import annotations

import math
from collections.abc import Callable

from bnn_fsg.graph._checks import FLOAT, LARGEST, Size, flag, number, pair, vector, whole, wholes, word
from bnn_fsg.graph._graph import Node

CURVES = ("gelu", "gelu_tanh", "hardsigmoid", "hardswish", "rsqrt", "sigmoid", "silu", "tanh")
PADDINGS = ("constant", "edge", "reflect", "wrap")
RESAMPLINGS = ("average", "bilinear", "exact", "max", "nearest")
AXES = ("height", "width", "channels")
_MOST_AXES = 12


def _affine(node: Node, x: Size) -> Size:
    for name in ("scale", "shift"):
        vector(node, name, (x.channels, 1), FLOAT)
    return x


def _rectify(node: Node, x: Size) -> Size:
    for name in ("positive", "negative", "shift_in", "shift_out"):
        vector(node, name, (x.channels, 1), FLOAT)
    return x


def _clip(node: Node, x: Size) -> Size:
    for name in ("low", "high"):
        number(node, name, None, infinite=True)
    return x


def _add(node: Node, x: Size, other: Size) -> Size:
    if x != other:
        raise ValueError(f"{node.output}: a sum of shapes {x.shape} and {other.shape}")
    return x


def _pool(node: Node, x: Size) -> Size:
    least = {"kernel": 1, "stride": 1, "padding": 0}
    kernel, stride, padding = (pair(node, key, None, low) for key, low in least.items())
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        raise ValueError(f"{node.output}: padding {padding} of more than half the kernel {kernel}")
    flag(node, "count_padding", True)
    height, width = pooled((x.height, x.width), kernel, stride, padding, flag(node, "ceil", False))
    if min(height, width) < 1:
        raise ValueError(f"{node.output}: a picture of {x.height} x {x.width} is smaller than the kernel {kernel}")
    return Size(height, width, x.channels)


def pooled(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], ceil: bool
) -> tuple[int, int]:
    """(height, width) after pooling, as torch has it: with `ceil` a last window may begin before the end of x."""
    result = []
    for given, reach, step, pad in zip(size, kernel, stride, padding, strict=True):
        count = (given + 2 * pad - reach + (step - 1 if ceil else 0)) // step + 1
        result.append(count - 1 if ceil and (count - 1) * step >= given + pad else count)
    return result[0], result[1]


def _pick(node: Node, x: Size) -> Size:
    stride = pair(node, "stride", None, 1)
    front, back = (whole(f"{node.output}: {key}", node.settings.get(key), 0) for key in ("front", "back"))
    return Size(-(-x.height // stride[0]), -(-x.width // stride[1]), front + x.channels + back)


def _concat(node: Node, *given: Size) -> Size:
    if not given or any((one.height, one.width) != (given[0].height, given[0].width) for one in given):
        raise ValueError(f"{node.output}: concat of {[one.shape for one in given]}")
    return Size(given[0].height, given[0].width, sum(one.channels for one in given))


def _curve(node: Node, x: Size) -> Size:
    word(node, "function", CURVES)
    return x


def _normalise(node: Node, x: Size) -> Size:
    groups = whole(f"{node.output}: groups", node.settings.get("groups"), 0)
    if groups and x.channels % groups:
        raise ValueError(f"{node.output}: {x.channels} channels in {groups} groups")
    number(node, "eps", None)
    if node.settings["eps"] <= 0:
        raise ValueError(f"{node.output}: eps {node.settings['eps']!r:.60}, expected a number above 0")
    return _affine(node, x)


def _multiply(node: Node, *given: Size) -> Size:
    sides = []
    for first, second in zip(given[0].shape, given[1].shape, strict=True):
        if first != second and 1 not in (first, second):
            raise ValueError(f"{node.output}: a product of shapes {given[0].shape} and {given[1].shape}")
        sides.append(max(first, second))
    return Size(sides[0], sides[1], sides[2])


def _pad(node: Node, x: Size) -> Size:
    top, bottom, left, right = wholes(node, "sides", 4, -LARGEST)
    mode = word(node, "mode", PADDINGS)
    number(node, "value", None)
    for size, before, after in ((x.height, top, bottom), (x.width, left, right)):
        most = {"constant": LARGEST, "edge": LARGEST, "reflect": size - 1, "wrap": size}[mode]
        least = min(0, before) + min(0, after)
        if max(before, after) > most or (mode != "constant" and least < 0) or size + least < 1:
            raise ValueError(f"{node.output}: {mode} padding of {before} and {after} around {size}")
    return Size(x.height + top + bottom, x.width + left + right, x.channels)


def _spread(node: Node, x: Size) -> Size:
    down, across = pair(node, "stride", None, 1)
    return Size((x.height - 1) * down + 1, (x.width - 1) * across + 1, x.channels)


def _slice(node: Node, x: Size) -> Size:
    begin, end, step = (wholes(node, key, 3, least) for key, least in (("begin", 0), ("end", 1), ("step", 1)))
    if any(not first < last <= size for first, last, size in zip(begin, end, x.shape, strict=True)):
        raise ValueError(f"{node.output}: from {begin} to {end} of {x.shape}")
    height, width, channels = (-(-(last - first) // one) for first, last, one in zip(begin, end, step, strict=True))
    return Size(height, width, channels)


def _resample(node: Node, x: Size) -> Size:
    height, width = wholes(node, "size", 2, 1)
    mode = word(node, "mode", RESAMPLINGS)
    flag(node, "corners", False)
    steps = node.settings.get("step", [1.0, 1.0])
    if not isinstance(steps, list) or len(steps) != 2 or not all(type(one) in (int, float) for one in steps):
        raise ValueError(f"{node.output}: step {steps!r:.60}, expected two numbers")
    if not all(0 < one < LARGEST for one in steps):
        raise ValueError(f"{node.output}: step {steps!r:.60}, expected numbers above 0")
    if mode in ("average", "max") and (height > 1 << 16 or width > 1 << 16):
        raise ValueError(f"{node.output}: pooling to {height} x {width}")
    return Size(height, width, x.channels)


def _shuffle(node: Node, x: Size) -> Size:
    factor = whole(f"{node.output}: factor", node.settings.get("factor"), 1)
    if x.channels % (factor * factor):
        raise ValueError(f"{node.output}: {x.channels} channels for a factor of {factor}")
    return Size(x.height * factor, x.width * factor, x.channels // (factor * factor))


def _average(node: Node, x: Size) -> Size:
    axes = node.settings.get("axes")
    if not isinstance(axes, list) or not axes or not all(isinstance(one, str) and one in AXES for one in axes):
        raise ValueError(f"{node.output}: axes {axes!r:.60}, expected some of {', '.join(AXES)}")
    height, width, channels = (1 if name in axes else size for name, size in zip(AXES, x.shape, strict=True))
    return Size(height, width, channels)


def _rearrange(node: Node, x: Size) -> Size:
    sizes = node.settings.get("sizes")
    count = len(sizes) if isinstance(sizes, list) else 0
    if not 1 <= count <= _MOST_AXES:
        raise ValueError(f"{node.output}: sizes {sizes!r:.60}, expected 1 to {_MOST_AXES} whole numbers")
    axes, order, size = wholes(node, "sizes", count, 1), wholes(node, "order", count, 0), wholes(node, "size", 3, 1)
    if sorted(order) != list(range(count)) or not math.prod(axes) == math.prod(size) == math.prod(x.shape):
        raise ValueError(f"{node.output}: {x.shape} as axes {axes} in order {order}, then as {size}")
    return Size(size[0], size[1], size[2])


def _matmul(node: Node, x: Size, other: Size) -> Size:
    if x.height != other.height or x.channels != other.width:
        raise ValueError(f"{node.output}: a product of matrices of {x.shape} and {other.shape}")
    return Size(x.height, x.width, other.channels)


def _pixelwise(node: Node, x: Size) -> Size:
    for name, array in node.arrays.items():
        sides = array.shape if array.dtype in FLOAT and array.ndim == 3 else (0, 0, 0)
        if any(side not in (1, given) for side, given in zip(sides, x.shape, strict=True)):
            raise ValueError(f"{node.output}: {name} is {array.dtype} of shape {array.shape} for {x.shape}")
    return x


POINTS: dict[str, Callable[..., Size]] = {
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
    "average": _average,
    "curve": _curve,
    "multiply": _multiply,
    "matmul": _matmul,
    "normalise": _normalise,
    "pad": _pad,
    "pixelwise": _pixelwise,
    "rearrange": _rearrange,
    "resample": _resample,
    "shuffle": _shuffle,
    "slice": _slice,
    "softmax": lambda _, x: x,
    "spread": _spread,
}
