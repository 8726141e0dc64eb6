"""Functions and methods called in a `forward`, and layers, as nodes of the packed graph.

A handler is given what a call was given, by name, adds nodes and returns the value, or raises why it cannot. A call
with any other argument than those listed is refused: none is passed over in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_fsg.packing import _layers, _smooth, _spatial
from bnn_fsg.packing._values import Graph, RefusedError, Shape, Value, first, rows

Given = dict[str, Any]
Handler = Callable[[Graph, Given, str, Shape], Value]


def read(graph: Graph, call: str, arguments: tuple[Any, ...], more: Given, name: str, shape: Shape) -> Value:
    """Read a call by the name of its function; RefusedError says why it cannot be packed."""
    if call not in _HANDLERS:
        raise RefusedError
    handler, parameters = _HANDLERS[call]
    return handler(graph, _by_name(parameters, arguments, more), name, shape)


def _by_name(parameters: list[str], arguments: tuple[Any, ...], more: Given) -> Given:
    if parameters[-1] == "**":  # it may have any others, which change no number
        return {"input": arguments[0] if arguments else more["input"]}
    if parameters[-1] == "*":
        parameters = parameters[:-1]
        arguments = (*arguments[: len(parameters) - 1], arguments[len(parameters) - 1 :])
        if len(arguments[-1]) == 1 and isinstance(arguments[-1][0], list | tuple):
            arguments = (*arguments[:-1], tuple(arguments[-1][0]))
    unknown = [str(one) for one in arguments[len(parameters) :]] + [key for key in more if key not in parameters]
    if unknown:
        raise RefusedError(f"with {', '.join(unknown)}")
    return dict(zip(parameters, arguments, strict=False)) | more


def gives_parts(call: str) -> bool:
    """Whether `read_parts` knows a call."""
    return call in _PARTS


def read_parts(
    graph: Graph, call: str, arguments: tuple[Any, ...], more: Given, name: str, shapes: list[Shape]
) -> list[Value]:
    """Read a call that gives several tensors, of these shapes."""
    return _spatial.parts(graph, _by_name(_PARTS[call], arguments, more), name, shapes)


def rectifier(graph: Graph, module: Any, x: Value, name: str, _: Shape) -> Value:
    """Read a module that keeps `RectifierLayer`."""
    with torch.no_grad():
        found = module.rectifier()
    arrays = {key: getattr(found, key) for key in ("positive", "negative", "shift_in", "shift_out")}
    return _rectify(graph, x, name, {key: one.reshape(-1) for key, one in arrays.items() if one is not None})


def _rectify(graph: Graph, x: Value, name: str, arrays: dict[str, Tensor]) -> Value:
    if max(array.numel() for array in arrays.values()) > 1:
        x = graph.first(x)
    graph.add("rectify", [x], name, {}, arrays)
    return x.like(name)


def _leaky(slope: str, start: float) -> Handler:
    def add(graph: Graph, given: Given, name: str, _: Shape) -> Value:
        negative = given.get(slope, start)
        if isinstance(negative, Value):
            raise RefusedError("a slope that is a value")
        negative = torch.as_tensor(negative, dtype=torch.float32).detach().reshape(-1)
        return _rectify(graph, given["input"], name, {"positive": torch.ones(1), "negative": negative})

    return add


def _affine(graph: Graph, x: Value, name: str, scale: Any, shift: Any) -> Value:
    """scale * x + shift; numbers, or tensors of x's rank, None for 1 and 0."""
    pair = [torch.as_tensor(1.0 if scale is None else scale), torch.as_tensor(0.0 if shift is None else shift)]
    pair = [one.detach().double() for one in pair]
    pair = [one.reshape((1,) * (len(x.shape) - one.ndim) + tuple(one.shape)) for one in pair]
    varied = {axis for one in pair for axis in range(one.ndim) if one.shape[axis] > 1}
    if varied <= {1} and (x.lies_first or (varied and len(x.shape) > 2 and x.shape[0] == 1 and not x.lies_by_rows)):
        x = graph.first(x)
    elif varied and varied <= {len(x.shape) - 1}:
        x = graph.rows(x)
    elif varied:
        return _by_pixel(graph, x, name, pair, scale is None, shift is None)
    ones = torch.ones(x.size[2], dtype=torch.float64)
    graph.add("affine", [x], name, {}, {"scale": pair[0].reshape(-1) * ones, "shift": pair[1].reshape(-1) * ones})
    return x.like(name)


def _by_pixel(graph: Graph, x: Value, name: str, pair: list[Tensor], plain: bool, still: bool) -> Value:
    """The same by numbers for each pixel: by rows whose sides the constants vary over wholly, else expanded."""
    rank, best = len(x.shape), None
    varies = [[one.shape[axis] > 1 for one in pair] for axis in range(rank)]
    for at in range(rank + 1):
        for to in range(at, rank + 1):
            groups = (range(at), range(at, to), range(to, rank))
            parts = [[axis for axis in some if x.shape[axis] > 1] for some in groups]
            if best is None and all(len({tuple(varies[axis]) for axis in part}) <= 1 for part in parts):
                best = groups
    if best is None:
        pair = [one.expand(x.shape) for one in pair]
        best = (range(rank - 2), range(rank - 2, rank - 1), range(rank - 1, rank))
    size = tuple(math.prod(x.shape[axis] for axis in some) for some in best)
    x = graph.rows(x, size)
    sides = [[math.prod(one.shape[axis] for axis in some) for some in best] for one in pair]
    arrays = {key: one.reshape(side) for key, one, side in zip(("scale", "shift"), pair, sides, strict=True)}
    arrays = {key: one for key, one in arrays.items() if not (plain if key == "scale" else still)}
    graph.add("pixelwise", [x], name, {}, arrays)
    return x.like(name)


def _batch_norm(graph: Graph, given: Given, name: str, _: Shape) -> Value:
    if given.get("running_mean") is None:
        raise RefusedError("it keeps no running statistics")
    x = graph.first(given["input"])
    mean, variance = given["running_mean"].double(), given["running_var"].double()
    scale = 1 / torch.sqrt(variance + given.get("eps", 1e-5))
    if given.get("weight") is not None:
        scale = scale * given["weight"].detach().double()
    shift = -mean * scale if given.get("bias") is None else given["bias"].detach().double() - mean * scale
    graph.add("affine", [x], name, {}, {"scale": scale, "shift": shift})
    return x.like(name)


def _of_two(graph: Graph, x: Value, other: Value) -> tuple[Value, Value]:
    """The two values of a sum or product, laid alike."""
    rank = max(len(x.shape), len(other.shape))
    x, other = (graph.reshaped(one, (1,) * (rank - len(one.shape)) + one.shape) for one in (x, other))
    if (x.atoms, x.dims, x.size) == (other.atoms, other.dims, other.size):
        return x, other
    lay = graph.first if x.lies_first or other.lies_first else graph.rows
    return lay(x), lay(other)


def _sum(sign: int) -> Handler:
    def add(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
        x, other = given["input"], given["other"]
        if isinstance(x, Value) and isinstance(other, Value):
            if x.shape != other.shape:
                raise RefusedError(f"shapes {x.shape} and {other.shape}")
            if sign < 0:
                other = _affine(graph, other, graph.fresh(f"{name}.minus"), -1.0, None)
            both = _of_two(graph, x, other)
            graph.add("add", both, name)
            return both[0].like(name)
        value, constant = (x, other) if isinstance(x, Value) else (other, x)
        _fits(value, shape)
        if value is x:
            return _affine(graph, value, name, None, sign * torch.as_tensor(constant, dtype=torch.float64))
        return _affine(graph, value, name, float(sign) if sign < 0 else None, constant)

    return add


def _fits(value: Value, shape: Shape) -> None:
    if value.shape != shape:
        raise RefusedError("a constant larger than the value")


def _turned(handler: Handler) -> Handler:
    return lambda graph, given, *how: handler(graph, {"input": given["other"], "other": given["input"]}, *how)


def _product(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    x, other = given["input"], given["other"]
    if isinstance(x, Value) and isinstance(other, Value):
        if len(x.shape) != len(other.shape) or x.shape[x.batch] != other.shape[x.batch]:
            raise RefusedError(f"shapes {x.shape} and {other.shape}")
        one, two = _of_two(graph, x, other)
        sides = [max(pair) for pair in zip(one.size, two.size, strict=True)]
        spread = all(1 in pair or pair[0] == pair[1] for pair in zip(one.size, two.size, strict=True))
        if not spread or math.prod(sides) != math.prod(shape):
            raise RefusedError(f"shapes {x.shape} and {other.shape}")
        graph.add("multiply", [one, two], name)
        if one.shape == two.shape:
            return one.like(name)
        return first(name, shape) if one.lies_first else rows(name, shape)
    value, constant = (x, other) if isinstance(x, Value) else (other, x)
    _fits(value, shape)
    return _affine(graph, value, name, constant, None)


def _quotient(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    if isinstance(given["other"], Value):
        raise RefusedError("division by a value")
    other = 1 / torch.as_tensor(given["other"], dtype=torch.float64)
    return _product(graph, {"input": given["input"], "other": other}, name, shape)


def _negative(graph: Graph, given: Given, name: str, _: Shape) -> Value:
    return _affine(graph, given["input"], name, -1.0, None)


def _clip(low_key: str, high_key: str, ends: tuple[Any, Any]) -> Handler:
    def add(graph: Graph, given: Given, name: str, _: Shape) -> Value:
        low, high = given.get(low_key, ends[0]), given.get(high_key, ends[1])
        low, high = -3e38 if low is None else low, 3e38 if high is None else high
        if not all(isinstance(one, int | float) or (isinstance(one, Tensor) and one.ndim == 0) for one in (low, high)):
            raise RefusedError("bounds that are no numbers")
        graph.add("clip", [given["input"]], name, {"low": float(low), "high": float(high)})
        return given["input"].like(name)

    return add


def _reshape(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    x = given["input"]
    if x.lies_first and len(shape) == 2 and shape[0] == 1 and len(x.shape) > 2:
        graph.add("flatten", [x], name)
        return first(name, shape)
    return graph.reshaped(x, shape)


def _permute(_: Graph, given: Given, __: str, shape: Shape) -> Value:
    return given["input"].permuted([dim % len(shape) for dim in given["dims"]])


def _transpose(_: Graph, given: Given, __: str, shape: Shape) -> Value:
    one, two = (given[key] % len(shape) for key in ("dim0", "dim1"))
    order = list(range(len(shape)))
    order[one], order[two] = two, one
    return given["input"].permuted(order)


def _dropout(_: Graph, given: Given, *__: Any) -> Value:
    if given.get("training", True):
        raise RefusedError("in training")
    return given["input"]


_POOL = "input kernel_size stride padding"
_AVERAGE = f"{_POOL} ceil_mode count_include_pad divisor_override"
_CONV = "input weight bias stride padding dilation groups"
_TRANSPOSED = "input weight bias stride padding output_padding groups dilation"
_NORM = "input running_mean running_var weight bias training momentum eps"
_INTERPOLATE = "input size scale_factor mode align_corners recompute_scale_factor antialias"
_GROUPS: list[tuple[Handler, str, str]] = [  # a handler, what it takes (see `_by_name`), names of functions
    (_sum(1), "input other", "add radd iadd"),
    (_sum(-1), "input other", "sub isub subtract"),
    (_turned(_sum(-1)), "input other", "rsub"),
    (_product, "input other", "mul rmul imul multiply"),
    (_quotient, "input other", "div idiv truediv true_divide itruediv"),
    (_smooth.matmul, "input other", "matmul bmm rmatmul"),
    (_negative, "input", "neg negative"),
    (_leaky("", 0.0), "input inplace", "relu"),
    (_leaky("negative_slope", 0.01), "input negative_slope inplace", "leaky_relu"),
    (_leaky("weight", 0.25), "input weight", "prelu"),
    (_clip("min", "max", (None, None)), "input min max", "clamp clip"),
    (_clip("min_val", "max_val", (-1.0, 1.0)), "input min_val max_val inplace", "hardtanh"),
    (_clip("", "", (0.0, 6.0)), "input inplace", "relu6"),
    (_batch_norm, _NORM, "batch_norm"),
    *((_spatial.pool("max_pool", n), f"{_POOL} dilation ceil_mode return_indices", f"max_pool{n}d") for n in (1, 2, 3)),
    *((_spatial.pool("average_pool", n), _AVERAGE, f"avg_pool{n}d") for n in (1, 2, 3)),
    (_spatial.adaptive("average"), "input output_size", "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    (_spatial.adaptive("max"), "input output_size return_indices", "adaptive_max_pool1d adaptive_max_pool2d"),
    (_reshape, "input **", "flatten reshape view squeeze unsqueeze unflatten"),
    (_permute, "input dims *", "permute"),
    (_transpose, "input dim0 dim1", "transpose swapaxes"),
    (_layers.linear, "input weight bias", "linear"),
    (_layers.conv, _CONV, "conv1d conv2d conv3d"),
    (_layers.transposed, _TRANSPOSED, "conv_transpose1d conv_transpose2d"),
    (_spatial.mean, "input dim keepdim", "mean"),
    *((_smooth.curve(function), "input inplace approximate", function) for function in _smooth.CURVES),
    (_smooth.softmax, "input dim _stacklevel dtype", "softmax"),
    (_smooth.layer_norm, "input normalized_shape weight bias eps", "layer_norm"),
    (_smooth.group_norm, "input num_groups weight bias eps", "group_norm"),
    (_smooth.instance_norm, "input running_mean running_var weight bias use_input_stats momentum eps", "instance_norm"),
    (_spatial.pad, "input pad mode value", "pad"),
    (_spatial.item, "input place", "getitem"),
    (_spatial.roll, "input shifts dims", "roll"),
    (_spatial.concat, "tensors dim", "cat concat"),
    (_spatial.resample, _INTERPOLATE, "interpolate"),
    (_spatial.shuffle, "input upscale_factor", "pixel_shuffle"),
    (_dropout, "input p training inplace", "dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout"),
    (lambda _, given, *__: given["input"], "input **", "contiguous clone detach float to"),
]
_HANDLERS: dict[str, tuple[Handler, list[str]]] = {
    name: (handler, parameters.split()) for handler, parameters, names in _GROUPS for name in names.split()
}
_PARTS = {"chunk": ["input", "chunks", "dim"], "split": ["input", "size", "dim"], "unbind": ["input", "dim"]}
