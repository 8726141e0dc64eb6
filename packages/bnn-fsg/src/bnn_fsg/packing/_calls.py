"""Functions and methods called in a `forward`, as nodes of the packed graph; the same bargain as `_modules`.

Each reads its arguments by name, and a call with any other argument is refused: none is passed over in silence.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_fsg.packing import _modules, _smooth, _spatial
from bnn_fsg.packing._modules import Result
from bnn_fsg.packing._values import Graph, Value

Given = dict[str, Any]
Handler = Callable[[Graph, Given, str, tuple[int, ...]], Result]


def read(
    target: Any, graph: Graph, arguments: tuple[Any, ...], more: dict[str, Any], name: str, shape: tuple[int, ...]
) -> Result:
    """Read a call: `target` is a function, or the name of a method; the result is a value or a reason, as there."""
    by_name = _NAMED.get(getattr(target, "__name__", ""))
    if target not in _HANDLERS and by_name is None:
        return ""
    found, parameters = _HANDLERS.get(target) or by_name  # type: ignore[misc]
    if parameters is None:
        return found(graph, {"input": arguments[0] if arguments else more["input"]}, name, shape)
    unknown = [str(one) for one in arguments[len(parameters) :]] + [key for key in more if key not in parameters]
    if unknown:
        return f"with {', '.join(unknown)}"
    return found(graph, dict(zip(parameters, arguments, strict=False)) | more, name, shape)


def _constant(one: Any, shape: tuple[int, ...]) -> Tensor | str:
    """A number, or a tensor with one number for each channel (dimension 1), as a vector."""
    tensor = torch.as_tensor(one, dtype=torch.float64).detach()
    sizes = (1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)
    others = math.prod(sizes[:1] + sizes[2:])
    return tensor.reshape(-1) if others == 1 and len(sizes) == len(shape) else f"a constant of shape {sizes}"


def _number(one: Any) -> bool:
    return isinstance(one, int | float) or (isinstance(one, Tensor) and one.ndim == 0)


def _sum(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _linear(graph, given["input"], given["other"], name, shape, 1)


def _difference(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _linear(graph, given["input"], given["other"], name, shape, -1)


def _linear(graph: Graph, first: Any, second: Any, name: str, shape: tuple[int, ...], sign: int) -> Result:
    if isinstance(first, Value) and isinstance(second, Value):
        if first.shape != second.shape:
            return f"shapes {first.shape} and {second.shape}"
        if sign < 0:
            minus = torch.tensor(-1.0)
            second = _modules.affine(graph, second, f"{name}.minus", second.shape, minus, None)
        graph.add("add", [first, second], name)
        return Value(name, shape)
    x, other = (first, second) if isinstance(first, Value) else (second, first)
    constant = _constant(other, shape)
    if isinstance(constant, str) or x.shape != shape:
        return constant if isinstance(constant, str) else "a constant larger than the value"
    if x is first:
        return _modules.affine(graph, x, name, shape, None, sign * constant)
    return _modules.affine(graph, x, name, shape, torch.tensor(float(sign)), constant)


def _product(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    first, second = given["input"], given["other"]
    x, other = (first, second) if isinstance(first, Value) else (second, first)
    if isinstance(other, Value):
        if len(x.shape) != len(other.shape) or shape[0] != x.shape[0]:
            return f"shapes {x.shape} and {other.shape}"
        graph.add("multiply", [x, other], name)
        return Value(name, shape)
    constant = _constant(other, shape)
    if isinstance(constant, str) or x.shape != shape:
        return constant if isinstance(constant, str) else "a constant larger than the value"
    return _modules.affine(graph, x, name, shape, constant, None)


def _quotient(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    if isinstance(given["other"], Value):
        return "division by a value"
    other = 1 / torch.as_tensor(given["other"], dtype=torch.float64)
    return _product(graph, {"input": given["input"], "other": other}, name, shape)


def _negative(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.affine(graph, given["input"], name, shape, torch.tensor(-1.0), None)


def _relu(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.rectify(graph, given["input"], name, shape, _modules.leaky(0.0))


def _leaky(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.rectify(graph, given["input"], name, shape, _modules.leaky(given.get("negative_slope", 0.01)))


def _prelu(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    if isinstance(given["weight"], Value):
        return "a slope that is a value"
    return _modules.rectify(graph, given["input"], name, shape, _modules.leaky(given["weight"]))


def _clip(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    low, high = given.get("min"), given.get("max")
    low, high = -3e38 if low is None else low, 3e38 if high is None else high
    if not (_number(low) and _number(high)):
        return "bounds that are no numbers"
    return _modules.clip(graph, given["input"], name, shape, float(low), float(high))


def _hardtanh(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    bounds = {"min": given.get("min_val", -1.0), "max": given.get("max_val", 1.0)}
    return _clip(graph, {"input": given["input"], **bounds}, name, shape)


def _pool(op: str) -> Handler:
    def add(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
        settings = dict(given)
        return _modules.pool(graph, op, settings.pop("input"), name, shape, settings.pop("kernel_size"), **settings)

    return add


def _adaptive(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.adaptive(graph, given["input"], name, shape)


def _flatten(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.flatten(graph, given["input"], name, shape)


def _mean(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    x, axes = given["input"], given.get("dim")
    axes = {axis % len(x.shape) for axis in ([axes] if isinstance(axes, int) else axes or ())}
    if len(x.shape) > 2 and axes == set(range(2, len(x.shape))):
        graph.add("mean", [x], name)
        return Value(name, shape)
    if not axes or 0 in axes or not (given.get("keepdim") or (axes == {2} and len(x.shape) == 4)):
        return f"a mean over dimensions {sorted(axes) or 'all'}{'' if given.get('keepdim') else ' without keepdim'}"
    names = ["", "channels", *(("height", "width") if len(x.shape) == 4 else ("width",))]
    graph.add("average", [x], name, {"axes": [names[axis] for axis in sorted(axes)]})
    return Value(name, shape)


def _pad(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    x, widths, mode = given["input"], list(given["pad"]), given.get("mode", "constant")
    if not any(widths):
        return Value(x.name, shape)
    spatial = 2 * (len(x.shape) - 2)
    if not any(widths[spatial:]):
        sides = [*[0] * (4 - spatial), *_spatial.sides(widths[:spatial])]
        return _spatial.frame(graph, x, name, sides[-4:], mode, given.get("value") or 0.0, shape)
    front, back = [*widths, 0, 0, 0, 0, 0, 0][4:6]
    others = any(widths[:4]) or any(widths[6:]) or min(front, back) < 0
    if mode != "constant" or given.get("value") not in (None, 0, 0.0) or len(x.shape) != 4 or others:
        return f"padding {widths} of mode {mode}: channels can only be added as zeros, and without pixels"
    graph.add("pick", [x], name, {"stride": [1, 1], "front": front, "back": back})
    return Value(name, shape)


def _item(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    x, place = given["input"], given["place"]
    place = place if isinstance(place, tuple) else (place,)
    whole = slice(None, None, None)
    if not all(isinstance(one, slice) for one in place) or place[0] != whole:
        return f"[{place}]: only slices of channels and pixels can be taken"
    bounds = [(0, size, 1) for size in x.shape]
    for axis, one in enumerate(place):
        begin, end, step = one.indices(x.shape[axis])
        bounds[axis] = begin, max(begin, end), step
    return _spatial.part(graph, x, name, bounds[1:], shape)


def _chunk(graph: Graph, given: Given, name: str, shapes: list[tuple[int, ...]]) -> list[Value] | str:
    """`chunk` and `split`: the shapes that they gave say where they cut."""
    x, axis = given["input"], given.get("dim", 0)
    if not isinstance(axis, int) or axis % len(x.shape) == 0:
        return f"along dimension {axis}"
    axis, at, parts = axis % len(x.shape), 0, []
    for index, shape in enumerate(shapes):
        bounds = [(0, size, 1) for size in x.shape]
        bounds[axis] = at, at + shape[axis], 1
        parts.append(_spatial.part(graph, x, f"{name}.{index}", bounds[1:], shape))
        at += shape[axis]
    return parts


def _concat(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    axis = given.get("dim", 0)
    if axis % len(shape) != 1:
        return f"along dimension {axis}"
    if not all(isinstance(one, Value) for one in given["tensors"]):
        return "of a constant"
    graph.add("concat", list(given["tensors"]), name)
    return Value(name, shape)


def _dropout(graph: Graph, given: Given, name: str, shape: tuple[int, ...]) -> Result:
    return "in training" if given.get("training", True) else _same(graph, given, name, shape)


def _same(_: Graph, given: Given, __: str, shape: tuple[int, ...]) -> Result:
    return Value(given["input"].name, shape)


_POOL = "input kernel_size stride padding"
_GROUPS: list[tuple[Handler, str | None, tuple[Any, ...]]] = [  # None: they may have any, which change no number
    (_sum, "input other", (operator.add, operator.iadd, torch.add, "add", "add_")),
    (_difference, "input other", (operator.sub, operator.isub, torch.sub, "sub", "sub_")),
    (_product, "input other", (operator.mul, operator.imul, torch.mul, "mul", "mul_")),
    (_quotient, "input other", (operator.truediv, operator.itruediv, torch.div, "div", "div_")),
    (_negative, "input", (operator.neg, torch.neg, "neg")),
    (_relu, "input inplace", (torch.relu, torch.relu_, F.relu, F.relu_, "relu", "relu_")),
    (_leaky, "input negative_slope inplace", (F.leaky_relu,)),
    (_prelu, "input weight", (torch.prelu, F.prelu)),
    (_clip, "input min max", (torch.clamp, torch.clip, "clamp", "clamp_", "clip")),
    (_hardtanh, "input min_val max_val inplace", (F.hardtanh,)),
    (_pool("max_pool"), f"{_POOL} dilation ceil_mode return_indices", (F.max_pool2d, torch.max_pool2d)),
    (_pool("average_pool"), f"{_POOL} ceil_mode count_include_pad divisor_override", (F.avg_pool2d,)),
    (_adaptive, "input output_size", (F.adaptive_avg_pool2d,)),
    (_flatten, None, (torch.flatten, torch.reshape, "flatten", "view", "reshape", torch.squeeze, "squeeze")),
    (_mean, "input dim keepdim", (torch.mean, "mean")),
    *_smooth.CALLS,
    *_spatial.CALLS,
    (_pad, "input pad mode value", (F.pad,)),
    (_item, "input place", (operator.getitem,)),
    (_concat, "tensors dim", (torch.cat, torch.concat)),
    (_dropout, "input p training inplace", (F.dropout,)),
    (_same, None, ("contiguous", "clone", "detach", "float")),
]
_HANDLERS: dict[Any, tuple[Handler, list[str] | None]] = {
    target: (found, None if parameters is None else parameters.split())
    for found, parameters, targets in _GROUPS
    for target in targets
}
_NAMED: dict[str, tuple[Handler, list[str] | None]] = {  # of packages that need not be here: torchvision
    "stochastic_depth": (_dropout, ["input", "p", "mode", "training"])
}
_PARTS = {
    target: words.split()
    for words, targets in (("input chunks dim", (torch.chunk, "chunk")), ("input size dim", (torch.split, "split")))
    for target in targets
}


def read_parts(
    target: Any, graph: Graph, arguments: tuple[Any, ...], more: dict[str, Any], name: str, shapes: list[Any]
) -> list[Value] | str:
    """Read a call that gives several tensors, of these shapes: values, or the reason for a refusal."""
    if target not in _PARTS:
        return ""
    given = dict(zip(_PARTS[target], arguments, strict=False)) | more
    return _chunk(graph, given, name, shapes) if isinstance(given.get("input"), Value) else ""
