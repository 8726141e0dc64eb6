"""Curves, softmax and normalisation as nodes of the packed graph; the same bargain as `_calls`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_fsg.packing._layers import linear
from bnn_fsg.packing._values import Graph, RefusedError, Shape, Value, first, rows

Given = dict[str, Any]
CURVES = ("gelu", "hardsigmoid", "hardswish", "rsqrt", "sigmoid", "silu", "tanh")


def curve(function: str) -> Callable[[Graph, Given, str, Shape], Value]:
    """A handler that adds a curve."""

    def add(graph: Graph, given: Given, name: str, _: Shape) -> Value:
        tanh = given.get("approximate", "none") == "tanh"
        graph.add("curve", [given["input"]], name, {"function": "gelu_tanh" if tanh else function})
        return given["input"].like(name)

    return add


def last(graph: Graph, x: Value, axis: Any) -> tuple[Value, list[int]]:
    """`x` by rows with a dimension behind all others, and the order that puts it back."""
    if not isinstance(axis, int) or axis % len(x.shape) == x.batch:
        raise RefusedError(f"over dimension {axis}")
    order = [dim for dim in range(len(x.shape)) if dim != axis % len(x.shape)] + [axis % len(x.shape)]
    return graph.rows(x.permuted(order)), sorted(range(len(order)), key=order.__getitem__)


def softmax(graph: Graph, given: Given, name: str, _: Shape) -> Value:
    """Add a softmax over one dimension."""
    x, back = last(graph, given["input"], given.get("dim"))
    if given.get("dtype") is not None:
        raise RefusedError("in another dtype")
    graph.add("softmax", [x], name)
    return x.like(name).permuted(back)


def _of_weights(weight: Any, bias: Any, channels: int) -> dict[str, Tensor]:
    if isinstance(weight, Value) or isinstance(bias, Value):
        raise RefusedError("weights that are computed")
    scale = torch.ones(channels) if weight is None else weight.detach().reshape(-1)
    return {"scale": scale, "shift": torch.zeros(channels) if bias is None else bias.detach().reshape(-1)}


def layer_norm(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a normalisation over the last dimensions."""
    x, over = given["input"], given["normalized_shape"]
    over = (over,) if isinstance(over, int) else tuple(over)
    if x.batch >= len(shape) - len(over):
        raise RefusedError("over the batch")
    count = math.prod(over)
    flat = graph.rows(graph.reshaped(x, (*shape[: -len(over)], count)))
    arrays = _of_weights(given.get("weight"), given.get("bias"), count)
    graph.add("normalise", [flat], name, {"groups": 0, "eps": given.get("eps", 1e-5)}, arrays)
    return graph.reshaped(flat.like(name), shape)


def group_norm(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a normalisation of groups of channels over all pixels."""
    x = graph.first(given["input"])
    arrays = _of_weights(given.get("weight"), given.get("bias"), x.shape[1])
    graph.add("normalise", [x], name, {"groups": given["num_groups"], "eps": given.get("eps", 1e-5)}, arrays)
    return first(name, shape)


def instance_norm(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a normalisation of each channel over all pixels."""
    if not given.get("use_input_stats", True):
        raise RefusedError("it keeps running statistics; BatchNorm does the same")
    return group_norm(graph, {**given, "num_groups": shape[1]}, name, shape)


def matmul(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add products of matrices, or a layer where the second is constant."""
    x, other = given["input"], given["other"]
    if not isinstance(x, Value) or len(x.shape) < 2 or len(other.shape) < 2:
        raise RefusedError("of a constant and a value, or of vectors")
    if not isinstance(other, Value):
        if other.ndim != 2:
            raise RefusedError(f"by a constant of shape {tuple(other.shape)}")
        return linear(graph, {"input": x, "weight": other.T}, name, shape)
    if x.shape[:-2] != other.shape[:-2] or x.batch >= len(shape) - 2 or other.batch >= len(shape) - 2:
        raise RefusedError(f"of shapes {x.shape} and {other.shape}")
    graph.add("matmul", [graph.rows(x), graph.rows(other)], name)
    return rows(name, shape)
