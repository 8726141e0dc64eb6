"""Functions and methods called in a `forward`, as nodes of the packed graph; the same bargain as `_modules`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_fsg._pack import _modules
from bnn_fsg._pack._modules import Result

if TYPE_CHECKING:
    from bnn_fsg._pack._trace import Graph

Handler = Callable[["Graph", tuple[Any, ...], dict[str, Any], str, tuple[int, ...]], Result]


def handler(target: Any) -> Handler:
    """What reads a call: `target` is a function, or the name of a method."""
    return _HANDLERS.get(target, lambda *_: "")


def _is_value(one: Any) -> bool:
    from bnn_fsg._pack._trace import Value

    return isinstance(one, Value)


def _constant(one: Any, shape: tuple[int, ...]) -> Tensor | str:
    """A number, or a tensor with one number for each channel (dimension 1), as a vector."""
    tensor = torch.as_tensor(one, dtype=torch.float64).detach()
    sizes = (1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)
    others = math.prod(sizes[:1] + sizes[2:])
    return tensor.reshape(-1) if others == 1 and len(sizes) == len(shape) else f"a constant of shape {sizes}"


def _sum(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _linear(graph, arguments, more, name, shape, 1)


def _difference(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _linear(graph, arguments, more, name, shape, -1)


def _linear(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...], sign: int) -> Result:
    first, second = arguments[:2]
    if more:
        return f"with {', '.join(more)}"
    if _is_value(first) and _is_value(second):
        if first.shape != second.shape:
            return f"shapes {first.shape} and {second.shape}"
        if sign < 0:
            minus = torch.tensor(-1.0)
            second = _modules.affine(graph, second, f"{name}.minus", second.shape, minus, None)
        graph.add("add", [first, second], name)
        return _modules.value(name, shape)
    x, other = (first, second) if _is_value(first) else (second, first)
    constant = _constant(other, shape)
    if isinstance(constant, str) or x.shape != shape:
        return constant if isinstance(constant, str) else "a constant larger than the value"
    if x is first:
        return _modules.affine(graph, x, name, shape, None, sign * constant)
    return _modules.affine(graph, x, name, shape, torch.tensor(float(sign)), constant)


def _product(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    first, second = arguments[:2]
    x, other = (first, second) if _is_value(first) else (second, first)
    if _is_value(other):
        return "a product of two values"
    constant = _constant(other, shape)
    return constant if isinstance(constant, str) else _modules.affine(graph, x, name, shape, constant, None)


def _quotient(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    if _is_value(arguments[1]):
        return "division by a value"
    constant = _constant(arguments[1], shape)
    return (
        constant if isinstance(constant, str) else _modules.affine(graph, arguments[0], name, shape, 1 / constant, None)
    )


def _negative(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.affine(graph, arguments[0], name, shape, torch.tensor(-1.0), None)


def _relu(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.rectify(graph, arguments[0], name, shape, _modules.leaky(0.0))


def _leaky(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    slope = more.get("negative_slope", arguments[1] if len(arguments) > 1 else 0.01)
    return _modules.rectify(graph, arguments[0], name, shape, _modules.leaky(slope))


def _prelu(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.rectify(graph, arguments[0], name, shape, _modules.leaky(more.get("weight", arguments[-1])))


def _clip(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    x = arguments[0]
    low, high = (*arguments[1:], None, None)[:2]
    low = more.get("min", more.get("min_val", low))
    high = more.get("max", more.get("max_val", high))
    return _modules.clip(
        graph, x, name, shape, -3e38 if low is None else float(low), 3e38 if high is None else float(high)
    )


def _hardtanh(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    low, high = (*arguments[1:], *(-1.0, 1.0)[len(arguments) - 1 :])[:2]
    return _clip(graph, (arguments[0], low, high), {k: v for k, v in more.items() if k != "inplace"}, name, shape)


_POOL = ("kernel_size", "stride", "padding")


def _pool(op: str, *fourth: str) -> Handler:
    def add(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
        settings = dict(zip((*_POOL, *fourth), arguments[1:], strict=False)) | more
        return _modules.pool(graph, op, arguments[0], name, shape, settings.pop("kernel_size"), **settings)

    return add


def _adaptive(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.adaptive(graph, arguments[0], name, shape)


def _flatten(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    return _modules.flatten(graph, arguments[0], name, shape)


def _mean(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    x = arguments[0]
    axes = more.get("dim", arguments[1] if len(arguments) > 1 else None)
    axes = {axis % len(x.shape) for axis in ([axes] if isinstance(axes, int) else axes or ())}
    if len(x.shape) < 3 or axes != set(range(2, len(x.shape))):
        return f"a mean over dimensions {sorted(axes) or 'all'}"
    graph.add("mean", [x], name)
    return _modules.value(name, shape)


def _pad(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    x, widths = arguments[0], list(arguments[1] if len(arguments) > 1 else more["pad"])
    mode = more.get("mode", arguments[2] if len(arguments) > 2 else "constant")
    fill = more.get("value", arguments[3] if len(arguments) > 3 else None)
    if mode != "constant" or fill not in (None, 0, 0.0) or len(x.shape) != 4 or any(widths[:4]) or any(widths[6:]):
        return f"padding {widths} of mode {mode}: only zero channels can be added"
    front, back = widths[4:6]
    graph.add("pick", [x], name, {"stride": [1, 1], "front": front, "back": back})
    return _modules.value(name, shape)


def _item(graph: Graph, arguments: Any, _: Any, name: str, shape: tuple[int, ...]) -> Result:
    x, place = arguments
    place = place if isinstance(place, tuple) else (place,)
    whole = slice(None, None, None)
    strides = []
    for index, one in enumerate(place):
        kept = isinstance(one, slice) and one.start in (None, 0) and one.stop is None
        if not kept or (index < 2 and one != whole):
            return f"[{place}]: only every n-th pixel can be taken"
        strides.append(one.step or 1)
    strides = [*strides, 1, 1, 1, 1][2:4]
    if len(x.shape) != 4:
        return "a slice of no picture"
    graph.add("pick", [x], name, {"stride": strides, "front": 0, "back": 0})
    return _modules.value(name, shape)


def _concat(graph: Graph, arguments: Any, more: Any, name: str, shape: tuple[int, ...]) -> Result:
    axis = more.get("dim", arguments[1] if len(arguments) > 1 else 0)
    if axis % len(shape) != 1 or not all(_is_value(one) for one in arguments[0]):
        return f"along dimension {axis}"
    graph.add("concat", list(arguments[0]), name)
    return _modules.value(name, shape)


def _same(_: Graph, arguments: Any, __: Any, ___: str, shape: tuple[int, ...]) -> Result:
    return _modules.value(arguments[0].name, shape)


_GROUPS: list[tuple[Handler, tuple[Any, ...]]] = [
    (_sum, (operator.add, operator.iadd, torch.add, "add", "add_")),
    (_difference, (operator.sub, operator.isub, torch.sub, "sub", "sub_")),
    (_product, (operator.mul, operator.imul, torch.mul, "mul", "mul_")),
    (_quotient, (operator.truediv, operator.itruediv, torch.div, "div", "div_")),
    (_negative, (operator.neg, torch.neg, "neg")),
    (_relu, (torch.relu, torch.relu_, F.relu, F.relu_, "relu", "relu_")),
    (_leaky, (F.leaky_relu,)),
    (_prelu, (torch.prelu, F.prelu)),
    (_clip, (torch.clamp, torch.clip, "clamp", "clamp_", "clip")),
    (_hardtanh, (F.hardtanh,)),
    (_pool("max_pool", "dilation", "ceil_mode"), (F.max_pool2d, torch.max_pool2d)),
    (_pool("average_pool", "ceil_mode", "count_include_pad", "divisor_override"), (F.avg_pool2d,)),
    (_adaptive, (F.adaptive_avg_pool2d,)),
    (_flatten, (torch.flatten, torch.reshape, "flatten", "view", "reshape", torch.squeeze, "squeeze")),
    (_mean, (torch.mean, "mean")),
    (_pad, (F.pad,)),
    (_item, (operator.getitem,)),
    (_concat, (torch.cat, torch.concat)),
    (_same, (F.dropout, "contiguous", "clone", "detach", "float")),
]
_HANDLERS: dict[Any, Handler] = {target: found for found, targets in _GROUPS for target in targets}
