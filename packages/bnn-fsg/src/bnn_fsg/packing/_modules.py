"""Modules as nodes of the packed graph. A handler adds nodes and returns the value, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bnn_fsg.layers._spec import BinaryLayer, RectifierLayer
from bnn_fsg.packing import _smooth, _spatial
from bnn_fsg.packing._values import Graph, Value

Result = Any  # Value, or str: the reason for a refusal


def handler(module: nn.Module) -> Callable[[Graph, Any, Value, str, tuple[int, ...]], Result]:
    """What reads `module`."""
    if isinstance(module, BinaryLayer):
        return _binary
    if isinstance(module, RectifierLayer):
        return _rectifier
    for kinds, found in _HANDLERS:
        if isinstance(module, kinds):
            return found
    return _refuse


def pair(setting: Any, first: int = 1) -> list[int]:
    """(a,) of one dimension, (a, b), or a number for both, as [vertical, horizontal]."""
    if isinstance(setting, int):
        return [setting, setting]
    setting = list(setting)
    return [first, *setting] if len(setting) == 1 else setting


def _refuse(*_: Any) -> str:
    return ""


def _geometry(module: Any, x: Value) -> dict[str, Any] | str:
    """Settings of a convolution or linear layer, or why it cannot be."""
    if isinstance(module, nn.Linear) and x.view == "pixels":
        return {}
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and len(x.shape) != module.weight.ndim:
        return f"a value of {len(x.shape)} dimensions"  # torch would take one without a batch
    if isinstance(module, nn.Linear):
        return {}
    if not isinstance(module, nn.Conv1d | nn.Conv2d):
        return "only Conv1d, Conv2d and Linear can be packed"
    kernel, dilation = pair(module.kernel_size), pair(module.dilation)
    if isinstance(module.padding, str):
        reach = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        if module.padding == "same" and any(one % 2 for one in reach):
            return "padding 'same' with an even kernel"
        padding = [one // 2 for one in reach] if module.padding == "same" else [0, 0]
    else:
        padding = pair(module.padding, first=0)
    return {"kernel": kernel, "stride": pair(module.stride), "padding": padding, "dilation": dilation}


def _framed(graph: Graph, module: Any, x: Value, name: str, settings: dict[str, Any]) -> Value:
    """The input with the frame that a convolution of another padding mode than zeros puts around it."""
    mode = getattr(module, "padding_mode", "zeros")
    if mode == "zeros" or not any(settings.get("padding", ())):
        return x
    (down, across), settings["padding"] = settings["padding"], [0, 0]
    return _spatial.frame(graph, x, f"{name}.framed", [down, down, across, across], mode)


def _steps(weight: Tensor) -> Tensor:
    """(out, channels, *kernel) -> (out, taps, channels)."""
    return weight.flatten(2).transpose(1, 2) if weight.ndim > 2 else weight[:, None]


def _vector(given: Tensor | None, width: int) -> np.ndarray:
    if given is None:
        return np.zeros(width)
    return np.broadcast_to(given.detach().double().cpu().reshape(-1).numpy(), (width,))


def _binary(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    settings = _geometry(module, x)
    if isinstance(settings, str):
        return settings
    x = _framed(graph, module, x, name, settings)
    if not bool(torch.stack(module.weight.aminmax()).isfinite().all()):  # their signs would not show it
        return "NaN or infinity in its weight"
    with torch.no_grad():
        layer: Any = module
        weight, given = layer.binary_weight(), layer.binary_input()
    sign = weight.sign.detach()
    if not bool((sign.abs() == 1).all()):
        return "a weight sign that is not +1 or -1"
    width = len(sign)
    bias = _vector(module.bias, width)
    scale, shift = _vector(weight.scale, width), _vector(weight.shift, width)
    arrays: dict[str, Any] = {"bits": (_steps(sign) > 0).cpu().numpy()}
    if given is not None:
        inner = float(given.scale)
        if not inner > 0:
            return f"inputs of scale {inner:g}, which must be above 0"
        offset = 0.0 if given.shift is None else float(given.shift) / inner
        scale, shift = scale * inner, shift * inner
        if given.threshold is not None:
            arrays["threshold"] = given.threshold.reshape(-1)
        if offset:
            settings["offset"] = offset
    arrays |= {"scale": torch.tensor(scale), "shift": torch.tensor(bias)}
    if shift.any():
        arrays["sums"] = torch.tensor(shift)
    if getattr(module, "groups", 1) > 1:
        settings["groups"] = module.groups
    graph.add("conv_signs" if given is None else "conv_bits", [x], name, settings, arrays)
    return Value(name, shape)


def _float(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    settings = _geometry(module, x)
    if isinstance(settings, str):
        return settings
    x = _framed(graph, module, x, name, settings)
    if getattr(module, "groups", 1) > 1:
        settings["groups"] = module.groups
    shift = torch.tensor(_vector(module.bias, len(module.weight)))
    graph.add("conv", [x], name, settings, {"weight": _steps(module.weight), "shift": shift})
    return Value(name, shape)


def _rectifier(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    with torch.no_grad():
        found = module.rectifier()
    arrays = {key: getattr(found, key) for key in ("positive", "negative", "shift_in", "shift_out")}
    return rectify(graph, x, name, shape, {key: one.reshape(-1) for key, one in arrays.items() if one is not None})


def rectify(graph: Graph, x: Value, name: str, shape: tuple[int, ...], arrays: dict[str, Tensor]) -> Value:
    """Add a rectifier."""
    graph.add("rectify", [x], name, {}, arrays)
    return Value(name, shape)


def leaky(negative: Tensor | float) -> dict[str, Tensor]:
    """Arrays of a rectifier with slope 1 above zero."""
    return {"positive": torch.ones(1), "negative": torch.as_tensor(negative, dtype=torch.float32).reshape(-1)}


def affine(
    graph: Graph, x: Value, name: str, shape: tuple[int, ...], scale: Tensor | None, shift: Tensor | None
) -> Value:
    """Add scale * x + shift by channel; None stands for 1 and for 0."""
    ones = torch.ones(x.channels, dtype=torch.float64)
    scale = ones if scale is None else scale.detach().double().reshape(-1) * ones
    shift = 0 * ones if shift is None else shift.detach().double().reshape(-1) * ones
    graph.add("affine", [x], name, {}, {"scale": scale, "shift": shift})
    return Value(name, shape)


def _batch_norm(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    if module.running_mean is None:
        return "it keeps no running statistics"
    mean, variance = module.running_mean.double(), module.running_var.double()
    scale = 1 / torch.sqrt(variance + module.eps)
    if module.weight is not None:
        scale = scale * module.weight.detach().double()
    shift = -mean * scale if module.bias is None else module.bias.detach().double() - mean * scale
    return affine(graph, x, name, shape, scale, shift)


def _relu(graph: Graph, _: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return rectify(graph, x, name, shape, leaky(0.0))


def _leaky_relu(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return rectify(graph, x, name, shape, leaky(module.negative_slope))


def _prelu(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return rectify(graph, x, name, shape, leaky(module.weight.detach()))


def _hardtanh(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return clip(graph, x, name, shape, float(module.min_val), float(module.max_val))


def clip(graph: Graph, x: Value, name: str, shape: tuple[int, ...], low: float, high: float) -> Value:
    """Add a clip."""
    graph.add("clip", [x], name, {"low": low, "high": high})
    return Value(name, shape)


def pool(graph: Graph, op: str, x: Value, name: str, shape: tuple[int, ...], kernel: Any, **more: Any) -> Result:
    """Add a pooling; `more`: stride, padding, dilation, ceil_mode, count_include_pad of torch."""
    if len(x.shape) != 4:
        return "pooling over one dimension"
    refused = ("divisor_override", "return_indices")
    if any(more.get(key) for key in refused) or pair(more.get("dilation", 1)) != [1, 1]:
        return "dilation, divisor_override or return_indices"
    stride = more.get("stride")
    settings: dict[str, Any] = {"kernel": pair(kernel), "stride": pair(kernel if stride in (None, []) else stride)}
    settings["padding"] = pair(more.get("padding", 0))
    if more.get("ceil_mode"):
        settings["ceil"] = True
    if op == "average_pool":
        settings["count_padding"] = bool(more.get("count_include_pad", True))
    graph.add(op, [x], name, settings)
    return Value(name, shape)


def _max_pool(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    more = {key: getattr(module, key) for key in ("stride", "padding", "dilation", "ceil_mode", "return_indices")}
    return pool(graph, "max_pool", x, name, shape, module.kernel_size, **more)


def _average_pool(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    more = {key: getattr(module, key) for key in ("stride", "padding", "ceil_mode", "count_include_pad")}
    more["divisor_override"] = module.divisor_override
    return pool(graph, "average_pool", x, name, shape, module.kernel_size, **more)


def adaptive(graph: Graph, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    """Add an adaptive average pooling, whose output size is in `shape`."""
    if all(size == 1 for size in shape[2:]):
        graph.add("mean", [x], name)
        return Value(name, shape)
    if len(shape) != 4 or any(size % out for size, out in zip(x.shape[2:], shape[2:], strict=True)):
        graph.add("resample", [x], name, {"size": [1, *shape[2:]][-2:], "mode": "average"})
        return Value(name, shape)
    kernel = [size // out for size, out in zip(x.shape[2:], shape[2:], strict=True)]
    return pool(graph, "average_pool", x, name, shape, kernel)


def _adaptive_max(graph: Graph, _: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    graph.add("resample", [x], name, {"size": [1, *shape[2:]][-2:], "mode": "max"})
    return Value(name, shape)


def _adaptive(graph: Graph, _: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return adaptive(graph, x, name, shape)


def flatten(graph: Graph, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    """Add a flattening to vectors; a vector stays as it is."""
    if shape == x.shape:
        return Value(x.name, shape)
    if len(shape) != 2 or shape[0] != x.shape[0]:
        return f"a change of shape from {x.shape} to {shape}"
    graph.add("flatten", [x], name)
    return Value(name, shape)


def _flatten(graph: Graph, _: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return flatten(graph, x, name, shape)


def _same(_: Graph, __: Any, x: Value, ___: str, shape: tuple[int, ...]) -> Result:
    return Value(x.name, shape)


_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
_HANDLERS: list[tuple[Any, Any]] = [
    ((nn.Identity, *_DROPOUTS), _same),
    ((nn.ConvTranspose1d, nn.ConvTranspose2d), _spatial.transposed),
    (nn.ConvTranspose3d, lambda *_: "transposed, over three dimensions"),
    ((nn.Conv1d, nn.Conv2d, nn.Linear), _float),
    ((nn.BatchNorm1d, nn.BatchNorm2d), _batch_norm),
    (nn.ReLU6, _hardtanh),
    (nn.Hardtanh, _hardtanh),
    (nn.ReLU, _relu),
    (nn.LeakyReLU, _leaky_relu),
    (nn.PReLU, _prelu),
    (nn.MaxPool2d, _max_pool),
    (nn.AvgPool2d, _average_pool),
    ((nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool1d), _adaptive),
    ((nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool1d), _adaptive_max),
    (nn.Flatten, _flatten),
    *_smooth.HANDLERS,
    *_spatial.HANDLERS,
]
