"""Curves, softmax, normalisation by group and products, as modules and as calls; the same bargain as `_modules`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_fsg.packing._values import Graph, Value

Result = Any  # Value, or str: the reason for a refusal


def curve(function: str) -> Callable[..., Result]:
    """A handler of modules that adds a curve."""

    def add(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
        tanh = function == "gelu" and getattr(module, "approximate", "none") == "tanh"
        graph.add("curve", [x], name, {"function": "gelu_tanh" if tanh else function})
        return Value(name, shape)

    return add


def _called(function: str) -> Callable[..., Result]:
    def add(graph: Graph, given: dict[str, Any], name: str, shape: tuple[int, ...]) -> Result:
        tanh = given.get("approximate", "none") == "tanh"
        graph.add("curve", [given["input"]], name, {"function": "gelu_tanh" if tanh else function})
        return Value(name, shape)

    return add


def _softmax(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return _over_channels(graph, x, module.dim, name, shape)


def _softmax_called(graph: Graph, given: dict[str, Any], name: str, shape: tuple[int, ...]) -> Result:
    return _over_channels(graph, given["input"], given.get("dim"), name, shape)


def _over_channels(graph: Graph, x: Value, axis: int | None, name: str, shape: tuple[int, ...]) -> Result:
    if axis is None or axis % len(shape) != 1:
        return f"over dimension {axis}; only that of the channels, 1, can be packed"
    graph.add("softmax", [x], name)
    return Value(name, shape)


def _normal(
    graph: Graph, x: Value, name: str, shape: tuple[int, ...], groups: int, module: Any, weight: Tensor | None
) -> Result:
    ones = torch.ones(x.channels)
    scale = ones if weight is None else weight.detach().reshape(-1)
    shift = 0 * ones if module.bias is None else module.bias.detach().reshape(-1)
    graph.add("normalise", [x], name, {"groups": groups, "eps": module.eps}, {"scale": scale, "shift": shift})
    return Value(name, shape)


def _group_norm(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return _normal(graph, x, name, shape, module.num_groups, module, module.weight)


def _instance_norm(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    if module.track_running_stats:
        return "it keeps running statistics; BatchNorm does the same"
    return _normal(graph, x, name, shape, x.channels, module, module.weight)


def _layer_norm(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    if x.view == "pixels" and tuple(module.normalized_shape) == (x.channels,):
        return _normal(graph, x, name, shape, 0, module, module.weight)
    if x.view or tuple(module.normalized_shape) != shape[1:]:
        return f"over {tuple(module.normalized_shape)} of {shape[1:]}; only all but the batch can be packed"
    if module.weight is not None and len(shape) > 2:
        return "a weight for each pixel"
    return _normal(graph, x, name, shape, 1, module, module.weight)


def _layer_norm_called(graph: Graph, given: dict[str, Any], name: str, shape: tuple[int, ...]) -> Result:
    keys = {"weight": None, "bias": None, "eps": 1e-5} | given
    return _layer_norm(graph, SimpleNamespace(**keys), given["input"], name, shape)


_CURVES: list[tuple[type[nn.Module], str]] = [
    (nn.SiLU, "silu"), (nn.GELU, "gelu"), (nn.Sigmoid, "sigmoid"), (nn.Tanh, "tanh"), (nn.Hardswish, "hardswish"),
    (nn.Hardsigmoid, "hardsigmoid"),
]  # fmt: skip
HANDLERS: list[tuple[Any, Any]] = [
    *((kind, curve(function)) for kind, function in _CURVES),
    (nn.Softmax, _softmax),
    (nn.GroupNorm, _group_norm),
    ((nn.InstanceNorm1d, nn.InstanceNorm2d), _instance_norm),
    (nn.LayerNorm, _layer_norm),
]
CALLS: list[tuple[Any, str, tuple[Any, ...]]] = [
    (_called("silu"), "input inplace", (F.silu,)),
    (_called("gelu"), "input approximate", (F.gelu,)),
    (_called("sigmoid"), "input", (torch.sigmoid, F.sigmoid, "sigmoid", "sigmoid_")),
    (_called("tanh"), "input", (torch.tanh, F.tanh, "tanh", "tanh_")),
    (_called("hardswish"), "input inplace", (F.hardswish,)),
    (_called("hardsigmoid"), "input inplace", (F.hardsigmoid,)),
    (_layer_norm_called, "input normalized_shape weight bias eps", (F.layer_norm,)),
    (_softmax_called, "input dim", (F.softmax, torch.softmax, "softmax")),
]
