"""Convolutions and linear layers, 1-bit and float, as nodes of the packed graph; the same bargain as `_calls`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bnn_fsg.layers._spec import BinaryLayer
from bnn_fsg.packing._values import Graph, RefusedError, Shape, Value, first, rows

_MODES = {"constant": "constant", "zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
Given = dict[str, Any]
Kernel = Callable[[Tensor], dict[str, Any]]  # arrays of a node for weights as (out, channels of a group, *kernel)


def mode_of(mode: str) -> str:
    """A padding mode as the graph calls it."""
    if mode not in _MODES:
        raise RefusedError(f"padding of mode {mode!r}")
    return _MODES[mode]


def many(setting: Any, count: int) -> list[int]:
    """A number for each of `count` dimensions; torch takes one for all."""
    numbers = [setting] if isinstance(setting, int) else list(setting)
    return numbers * count if len(numbers) == 1 else numbers


def _vector(given: Any, width: int) -> np.ndarray:
    if given is None:
        return np.zeros(width)
    return np.broadcast_to(given.detach().double().cpu().reshape(-1).numpy(), (width,))


def binary(graph: Graph, module: Any, x: Value, name: str, shape: Shape) -> Value:
    """Add a layer that keeps `BinaryLayer`."""
    if not bool(torch.stack(module.weight.aminmax()).isfinite().all()):  # their signs would not show it
        raise RefusedError("NaN or infinity in its weight")
    with torch.no_grad():
        layer: BinaryLayer = module
        weight, given = layer.binary_weight(), layer.binary_input()
    sign = weight.sign.detach()
    if not bool((sign.abs() == 1).all()):
        raise RefusedError("a weight sign that is not +1 or -1")
    width, more = len(sign), {}
    scale, shift = _vector(weight.scale, width), _vector(weight.shift, width)
    arrays: dict[str, Any] = {}
    if given is not None:
        inner = float(given.scale)
        if not inner > 0:
            raise RefusedError(f"inputs of scale {inner:g}, which must be above 0")
        offset = 0.0 if given.shift is None else float(given.shift) / inner
        scale, shift = scale * inner, shift * inner
        if given.threshold is not None:
            arrays["threshold"] = given.threshold.reshape(-1)
        if offset:
            more["offset"] = offset
    arrays |= {"scale": torch.tensor(scale), "shift": torch.tensor(_vector(module.bias, width))}
    if shift.any():
        arrays["sums"] = torch.tensor(shift)

    def bits(filters: Tensor) -> dict[str, Any]:
        return {"bits": (_steps(filters) > 0).cpu().numpy(), **arrays}

    op = "conv_signs" if given is None else "conv_bits"
    if isinstance(module, nn.Linear):
        return linear_of(graph, op, x, name, shape, bits(sign), more)
    keys = ("stride", "padding", "dilation", "groups")
    settings = {key: getattr(module, key) for key in keys}
    if module.padding_mode != "zeros":
        x, settings["padding"] = _framed(graph, module, x, name), 0
    return convolution(graph, op, x, name, shape, sign, settings, bits, more)


def _framed(graph: Graph, module: Any, x: Value, name: str) -> Value:
    """The input with the frame that a layer of another padding mode than zeros puts around it."""
    for axis, width in enumerate(_padding(module.kernel_size, module.padding, module.dilation), 2):
        if width:
            x = graph.padded(x, axis, width, width, mode_of(module.padding_mode), 0.0, graph.fresh(f"{name}.framed"))
    return x


def linear(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a linear layer of float weights."""
    shift = _shift(given)  # first: it refuses weights that are computed
    arrays = {"weight": _steps(given["weight"]), "shift": shift}
    return linear_of(graph, "conv", given["input"], name, shape, arrays, {})


def _shift(given: Given) -> Tensor:
    weight, bias = given["weight"], given.get("bias")
    if isinstance(weight, Value) or isinstance(bias, Value):
        raise RefusedError("weights that are computed")
    return torch.tensor(_vector(bias, len(weight)))


def linear_of(graph: Graph, op: str, x: Value, name: str, shape: Shape, arrays: Any, settings: Any) -> Value:
    """Add a layer over the last dimension."""
    if len(x.shape) < 2 or x.batch == len(x.shape) - 1:
        raise RefusedError("over the batch")
    graph.add(op, [graph.rows(x)], name, settings, arrays)
    return rows(name, shape)


def conv(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a convolution of float weights over one to three dimensions."""
    shift = _shift(given)
    kernel: Kernel = lambda filters: {"weight": _steps(filters), "shift": shift}  # noqa: E731
    return convolution(graph, "conv", given["input"], name, shape, given["weight"], given, kernel, {})


def _padding(kernel: Any, padding: Any, dilation: Any) -> list[int]:
    count = len(kernel)
    if not isinstance(padding, str):
        return many(padding, count)
    reach = [step * (size - 1) for size, step in zip(kernel, many(dilation, count), strict=True)]
    if padding == "same" and any(one % 2 for one in reach):
        raise RefusedError("padding 'same' with an even kernel")
    return [one // 2 if padding == "same" else 0 for one in reach]


def convolution(
    graph: Graph, op: str, x: Value, name: str, shape: Shape, weight: Tensor, given: Given, kernel: Kernel, more: Given
) -> Value:
    """Add a convolution; `given` are torch's settings, `more` those of the node."""
    count = weight.ndim - 2
    if len(x.shape) != weight.ndim:
        raise RefusedError(f"a value of {len(x.shape)} dimensions")  # torch would take one without a batch
    size, groups = list(weight.shape[2:]), given.get("groups", 1)
    stride, dilation = (many(given.get(key, 1), count) for key in ("stride", "dilation"))
    padding = _padding(size, given.get("padding", 0), dilation)
    more = {**more, **({"groups": groups} if groups > 1 else {})}
    if count == 3:
        if any(padding) and op == "conv_bits":
            raise RefusedError("1-bit inputs with padding over three dimensions")
        x, weight = _gathered(graph, x, name, weight, groups, (stride[0], padding[0], dilation[0]))
        return _framewise(graph, op, x, name, shape, (stride, padding, dilation), weight, kernel, more)
    keys = {"kernel": (size, 1), "stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    settings = {key: [one] * (2 - count) + numbers for key, (numbers, one) in keys.items()}
    graph.add(op, [graph.first(x)], name, {**settings, **more}, kernel(weight))
    return first(name, shape)


def _gathered(
    graph: Graph, x: Value, name: str, weight: Tensor, groups: int, setting: tuple[int, int, int]
) -> tuple[Value, Tensor]:
    """(n, channels, t, h, w) with the frames under the kernel as channels of one, and the weights for them."""
    stride, padding, dilation = setting
    taps, channels = weight.shape[2], x.shape[1]
    if padding:
        x = graph.padded(graph.first(x), 2, padding, padding, "constant", 0.0, graph.fresh(f"{name}.between"))
    if taps == 1 and stride == 1:
        return graph.first(x), weight[:, :, 0]
    frames, parts = (x.shape[2] - dilation * (taps - 1) - 1) // stride + 1, []
    for begin in range(0, taps * dilation, dilation):
        end, piece = begin + (frames - 1) * stride + 1, graph.fresh(f"{name}.tap")
        parts.append(graph.first(graph.cut(graph.first(x), 2, begin, end, stride, piece)))
    x = first(graph.fresh(f"{name}.taps"), (x.shape[0], taps * channels, frames, *x.shape[3:]))
    graph.add("concat", parts, x.name)
    if groups > 1:
        x = graph.reshaped(x, (x.shape[0], taps, groups, channels // groups, *x.shape[2:]))
        x = graph.reshaped(x.permuted([0, 2, 1, 3, 4, 5, 6]), (x.shape[0], taps * channels, *x.shape[4:]))
    return x, weight.transpose(1, 2).reshape(len(weight), -1, *weight.shape[3:])


def _framewise(
    graph: Graph, op: str, x: Value, name: str, shape: Shape, geometry: Any, weight: Tensor, kernel: Kernel, more: Given
) -> Value:
    """A convolution of each frame of (n, channels, t, h, w): frames stand one below another, as many rows of zeros
    between them that none reaches the next, and the rows of the output that belong to two are left out."""
    (_, down, across), (_, above, left), (_, *dilation) = geometry
    reach = dilation[0] * (weight.shape[2] - 1) + 1
    around = (above, above + -(x.shape[3] + 2 * above) % down)
    if any(around):
        x = graph.padded(graph.first(x), 3, *around, "constant", 0.0, graph.fresh(f"{name}.framed"))
    source = graph.first(x)
    if reach > down:
        stacked, sides = source.like(graph.fresh(f"{name}.stacked")), [0, reach - down, 0, 0]
        graph.add("pad", [source], stacked.name, {"sides": sides, "mode": "constant", "value": 0.0})
        source = stacked
    rows_of = x.shape[3] // down
    whole = rows_of == shape[3]
    settings = {"kernel": list(weight.shape[2:]), "stride": [down, across], "padding": [0, left], "dilation": dilation}
    sums = name if whole else graph.fresh(f"{name}.sums")
    graph.add(op, [source], sums, {**settings, **more}, kernel(weight))
    made = first(sums, (*shape[:3], rows_of, shape[4]))
    return made if whole else graph.cut(made, 3, 0, shape[3], 1, name)


def _steps(weight: Tensor) -> Tensor:
    """(out, channels, *kernel) -> (out, taps, channels)."""
    return weight.flatten(2).transpose(1, 2) if weight.ndim > 2 else weight[:, None]


def transposed(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """A transposed convolution: one of pixels with zeros between them, or of single pixels that are then shuffled."""
    x, weight, groups = given["input"], given["weight"].detach(), given.get("groups", 1)
    count = weight.ndim - 2
    if len(x.shape) != weight.ndim or count > 2:
        raise RefusedError(f"a value of {len(x.shape)} dimensions")
    starts = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
    stride, padding, dilation, more = (
        [start] * (2 - count) + many(given.get(key, start), count) for key, start in starts.items()
    )
    kernel = [1] * (2 - count) + list(weight.shape[2:])
    weight = _turned(weight, groups)
    shift = torch.tensor(_vector(given.get("bias"), len(weight)))
    settings: dict[str, Any] = {"groups": groups} if groups > 1 else {}
    x = graph.first(x)
    if kernel == stride and kernel[0] == kernel[1] and dilation == [1, 1] and not any(padding + more):
        taps = kernel[0] * kernel[1]
        single = weight.transpose(1, 2).reshape(len(weight) * taps, 1, -1)  # (out, taps, in): as PixelShuffle wants it
        arrays = {"weight": single, "shift": shift.repeat_interleave(taps)}
        graph.add("conv", [x], f"{name}.single", {"kernel": [1, 1], **settings}, arrays)
        graph.add("shuffle", [x.like(f"{name}.single")], name, {"factor": kernel[0]})
        return first(name, shape)
    if stride != [1, 1]:
        graph.add("spread", [x], f"{name}.spread", {"stride": stride})
        x = x.like(f"{name}.spread")
    frame_of = [dilation[axis] * (kernel[axis] - 1) - padding[axis] for axis in (0, 1)]
    if min(frame_of) < 0 or any(more):
        around = [frame_of[0], frame_of[0] + more[0], frame_of[1], frame_of[1] + more[1]]
        graph.add("pad", [x], f"{name}.padded", {"sides": around, "mode": "constant", "value": 0.0})
        x, frame_of = x.like(f"{name}.padded"), [0, 0]
    settings |= {"kernel": kernel, "stride": [1, 1], "padding": frame_of, "dilation": dilation}
    graph.add("conv", [x], name, settings, {"weight": weight.flip(2).transpose(1, 2), "shift": shift})
    return first(name, shape)


def _turned(weight: Tensor, groups: int) -> Tensor:
    """(in, out of a group, kh, kw) of a transposed convolution as (out, in of a group, taps)."""
    parts = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    return parts.transpose(1, 2).reshape(groups * weight.shape[1], len(weight) // groups, -1)
