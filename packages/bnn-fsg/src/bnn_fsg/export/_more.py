"""Curves, normalisation and moves of a packed model in ONNX's standard operators; each takes the writer and a value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bnn_fsg.export._onnx_graph import OnnxGraph
from bnn_fsg.graph._graph import Node
from bnn_fsg.graph._moves import nearest, neighbours, pooled_ranges

_LAST = 1 << 30  # an end of ONNX's Slice behind every end


def _curve(writer: OnnxGraph, node: Node, x: str) -> str:
    function, name = node.settings["function"], node.name
    if function in ("gelu", "gelu_tanh"):
        return _gelu(writer, x, name, tanh=function == "gelu_tanh")
    if function == "silu":
        return writer.add("Mul", [x, writer.add("Sigmoid", [x], f"{name}.gate")], name)
    if function == "rsqrt":
        return writer.add("Reciprocal", [writer.add("Sqrt", [x], f"{name}.root")], name)
    plain = {"sigmoid": "Sigmoid", "tanh": "Tanh", "hardsigmoid": "HardSigmoid", "hardswish": "HardSwish"}
    more: dict[str, Any] = {"alpha": 1 / 6} if function == "hardsigmoid" else {}
    return writer.add(plain[function], [x], name, **more)


def _gelu(writer: OnnxGraph, x: str, name: str, *, tanh: bool) -> str:
    if tanh:
        square = writer.add("Mul", [x, x], f"{name}.square")
        cubed = writer.add("Mul", [square, writer.number(0.044715)], f"{name}.cubed")
        inner = writer.add("Mul", [writer.add("Add", [cubed, writer.number(1.0)], f"{name}.sum"), x], f"{name}.inner")
        inner = writer.add("Mul", [inner, writer.number(math.sqrt(2 / math.pi))], f"{name}.scaled")
    else:
        inner = writer.add("Mul", [x, writer.number(math.sqrt(0.5))], f"{name}.scaled")
    curve = writer.add("Tanh" if tanh else "Erf", [inner], f"{name}.curve")
    share = writer.add("Mul", [writer.add("Add", [curve, writer.number(1.0)], f"{name}.up"), writer.number(0.5)],
                       f"{name}.share")  # fmt: skip
    return writer.add("Mul", [x, share], name)


def _normalise(writer: OnnxGraph, node: Node, x: str) -> str:
    """Groups as channels of InstanceNormalization, then scale and shift by channel."""
    name, groups = node.name, node.settings["groups"]
    if not groups:  # over the channels of each pixel
        x = writer.add("Transpose", [x], f"{name}.last", perm=[0, 2, 3, 1])
        given = [x, *(writer.constant(f"{name}.{key}", node.arrays[key]) for key in ("scale", "shift"))]
        x = writer.add("LayerNormalization", given, f"{name}.normal", epsilon=node.settings["eps"])
        return writer.add("Transpose", [x], name, perm=[0, 3, 1, 2])
    shape = writer.add("Shape", [x], f"{name}.shape")
    parts = writer.constant(f"{name}.groups", np.array([0, groups, -1]))
    x = writer.add("Reshape", [x, parts], f"{name}.parts")
    both = (("one", 1), ("no", 0))
    ones, zeros = (writer.constant(f"{name}.{word}", np.full(groups, value, np.float32)) for word, value in both)
    x = writer.add("InstanceNormalization", [x, ones, zeros], f"{name}.normal", epsilon=node.settings["eps"])
    x = writer.add("Reshape", [x, shape], f"{name}.whole")
    x = writer.add("Mul", [x, writer.by_channel(node, "scale")], f"{name}.scaled")
    return writer.add("Add", [x, writer.by_channel(node, "shift")], name)


def _pad(writer: OnnxGraph, node: Node, x: str) -> str:
    top, bottom, left, right = node.settings["sides"]
    widths = writer.constant(f"{node.name}.widths", np.array([0, 0, top, left, 0, 0, bottom, right]))
    given = [x, widths]
    if node.settings["mode"] == "constant":
        given.append(writer.number(node.settings["value"]))
    if node.settings["mode"] == "wrap":  # of opset 19: here as slices that are joined
        for axis, before, after in ((2, top, bottom), (3, left, right)):
            x = _wrapped(writer, x, f"{node.name}.{axis}", axis, before, after)
        return writer.add("Identity", [x], node.name)
    return writer.add("Pad", given, node.name, mode=node.settings["mode"])


def _wrapped(writer: OnnxGraph, x: str, name: str, axis: int, before: int, after: int) -> str:
    def part(word: str, begin: int, end: int) -> str:
        return _cut(writer, x, f"{name}.{word}", [begin], [end], [axis], [1])

    parts = [part("before", -before, _LAST)] if before else []
    parts += [x] + ([part("after", 0, after)] if after else [])
    return writer.add("Concat", parts, name, axis=axis)


def _cut(
    writer: OnnxGraph, x: str, name: str, begin: list[int], end: list[int], axes: list[int], step: list[int]
) -> str:
    given = {"begin": begin, "end": end, "axes": axes, "step": step}
    places = [writer.constant(f"{name}.{word}", np.array(value)) for word, value in given.items()]
    return writer.add("Slice", [x, *places], name)


def _slice(writer: OnnxGraph, node: Node, x: str) -> str:
    begin, end, step = (node.settings[key] for key in ("begin", "end", "step"))
    return _cut(writer, x, node.name, begin, end, [2, 3, 1], step)


def _spread(writer: OnnxGraph, node: Node, x: str) -> str:
    """Zeros behind each pixel, as axes of their own that are joined with the picture's, less those behind the last."""
    name, (down, across), size = node.name, node.settings["stride"], writer.sizes[node.inputs[0]]

    def shaped(x: str, word: str, *sizes: int) -> str:
        given = [x, writer.constant(f"{name}.{word}.sizes", np.array([-1, *sizes]))]
        return writer.add("Reshape", given, f"{name}.{word}")

    x = shaped(x, "parts", size.channels, size.height, 1, size.width, 1)
    widths = writer.constant(f"{name}.widths", np.array([0] * 9 + [down - 1, 0, across - 1]))
    x = writer.add("Pad", [x, widths], f"{name}.padded")
    x = shaped(x, "whole", size.channels, size.height * down, size.width * across)
    ends = [(size.height - 1) * down + 1, (size.width - 1) * across + 1]
    return _cut(writer, x, name, [0, 0], ends, [2, 3], [1, 1])


def _resample(writer: OnnxGraph, node: Node, x: str) -> str:
    """Pixels by index for the nearest, else two products with the shares that each pixel takes of the others."""
    settings, name = node.settings, node.name
    sizes, steps = settings["size"], settings.get("step", [1.0, 1.0])
    source = writer.sizes[node.inputs[0]]
    for axis, size, step, given in zip((2, 3), sizes, steps, (source.height, source.width), strict=True):
        if settings["mode"] in ("nearest", "exact"):
            places = writer.constant(f"{name}.{axis}.places", nearest(given, size, step, settings["mode"]))
            x = writer.add("Gather", [x, places], f"{name}.{axis}", axis=axis)
        elif settings["mode"] == "max":
            begin, end = pooled_ranges(given, size)
            reduced = writer.constant(f"{name}.{axis}.axis", np.array([axis]))
            parts = []
            for place, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
                part = _cut(writer, x, f"{name}.{axis}.{place}", [first], [last], [axis], [1])
                parts.append(writer.add("ReduceMax", [part, reduced], f"{name}.{axis}.{place}.max"))
            x = writer.add("Concat", parts, f"{name}.{axis}", axis=axis)
        else:
            shares = writer.constant(f"{name}.{axis}.shares", _shares(settings, given, size, step, axis))
            x = writer.add("MatMul", [shares, x] if axis == 2 else [x, shares], f"{name}.{axis}")
    return writer.add("Identity", [x], name)


def _shares(settings: dict[str, Any], given: int, size: int, step: float, axis: int) -> np.ndarray:
    """(size, given), what each output takes of each input; turned for the width."""
    shares = np.zeros((size, given), np.float32)
    if settings["mode"] == "average":
        begin, end = pooled_ranges(given, size)
        places = np.arange(given)
        inside = (places >= begin[:, None]) & (places < end[:, None])
        shares += inside / (end - begin)[:, None]
    else:
        first, second, share = neighbours(given, size, step, settings.get("corners", False))
        np.add.at(shares, (np.arange(size), first), 1 - share)
        np.add.at(shares, (np.arange(size), second), share)
    return shares if axis == 2 else np.ascontiguousarray(shares.T)


def _average(writer: OnnxGraph, node: Node, x: str) -> str:
    places = {"channels": 1, "height": 2, "width": 3}
    axes = writer.constant(f"{node.name}.axes", np.array([places[one] for one in node.settings["axes"]]))
    return writer.add("ReduceMean", [x, axes], node.name, keepdims=1)


def _pixels_last(writer: OnnxGraph, x: str, name: str) -> str:
    return writer.add("Transpose", [x], f"{name}.last", perm=[0, 2, 3, 1])


def _rearrange(writer: OnnxGraph, node: Node, x: str) -> str:
    name, settings = node.name, node.settings
    x = _pixels_last(writer, x, name)
    parts = writer.constant(f"{name}.sizes", np.array([-1, *settings["sizes"]]))
    x = writer.add("Reshape", [x, parts], f"{name}.parts")
    x = writer.add("Transpose", [x], f"{name}.moved", perm=[0, *(axis + 1 for axis in settings["order"])])
    x = writer.add("Reshape", [x, writer.constant(f"{name}.size", np.array([-1, *settings["size"]]))], f"{name}.whole")
    return writer.add("Transpose", [x], name, perm=[0, 3, 1, 2])


def _matmul(writer: OnnxGraph, node: Node, x: str, other: str) -> str:
    parts = [_pixels_last(writer, x, node.name), _pixels_last(writer, other, f"{node.name}.other")]
    made = writer.add("MatMul", parts, f"{node.name}.product")
    return writer.add("Transpose", [made], node.name, perm=[0, 3, 1, 2])


def _pixelwise(writer: OnnxGraph, node: Node, x: str) -> str:
    for op, key in (("Mul", "scale"), ("Add", "shift")):
        if key in node.arrays:
            array = np.ascontiguousarray(node.arrays[key].transpose(2, 0, 1)[None])
            x = writer.add(op, [x, writer.constant(f"{node.name}.{key}", array)], f"{node.name}.{key}d")
    return writer.add("Identity", [x], node.name)


MORE: dict[str, Callable[..., str]] = {
    "average": _average, "curve": _curve, "matmul": _matmul, "normalise": _normalise, "pad": _pad,
    "pixelwise": _pixelwise, "rearrange": _rearrange, "resample": _resample, "slice": _slice, "spread": _spread,
    "shuffle": lambda to, it, x: to.add("DepthToSpace", [x], it.name, blocksize=it.settings["factor"], mode="CRD"),
    "softmax": lambda writer, node, x: writer.add("Softmax", [x], node.name, axis=1),
}  # fmt: skip
