"""Other views of a picture: channels last, as layers over the channels of each pixel want them, and channels in groups,
as a channel shuffle has them on its way. A view adds no node; only the end of a shuffle does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnn_fsg.packing._values import Graph, Value

Result = Any  # Value, or str: the reason for a refusal
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
_PERMUTES, _TRANSPOSES = ("permute", torch.permute), ("transpose", torch.transpose, "swapaxes", torch.swapaxes)
_RESHAPES = ("view", "reshape", torch.reshape, "flatten", torch.flatten)
_BY_PIXEL = (  # modules that do the same to the channels of each pixel, wherever these stand
    nn.Linear, nn.LayerNorm, nn.Identity, nn.Dropout, nn.ReLU, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh,
    nn.Hardswish, nn.Hardsigmoid,
)  # fmt: skip
_CALLS_BY_PIXEL = {
    "layer_norm", "dropout", "relu", "silu", "gelu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "clone",
    "stochastic_depth",
}  # fmt: skip
_OF_TWO = {"add", "iadd", "mul", "imul"}


def read(graph: Graph, target: Any, given: tuple[Any, ...], name: str, shape: tuple[int, ...]) -> Result:
    """The value that a change of view gives, the reason for a refusal, or None where the call is no such change."""
    x = given[0] if given else None
    if not isinstance(x, Value):
        return None
    if target in _PERMUTES:
        dims = given[1] if len(given) == 2 and isinstance(given[1], list | tuple) else given[1:]
        order = tuple(one % len(shape) for one in dims)
        if (x.view, order) == ("", _TO_LAST):
            return Value(x.name, shape, "last")
        if (x.view, order) == ("last", _TO_FIRST):
            return Value(x.name, shape)
        return f"of dimensions {order}; only channels can be put last, and first again"
    if target == "contiguous" and x.view:
        return Value(x.name, shape, x.view)
    if target in _TRANSPOSES and x.view == "grouped" and {one % 5 for one in given[1:]} == {1, 2}:
        return Value(x.name, shape, "shuffled")
    if target in _RESHAPES and len(shape) == 5 and not x.view and (shape[0], *shape[3:]) == (x.shape[0], *x.shape[2:]):
        return Value(x.name, shape, "grouped")
    if target in _RESHAPES and x.view == "shuffled" and len(shape) == 4 and shape[2:] == x.shape[3:]:
        return _shuffled(graph, x, name, shape)
    return None


def _shuffled(graph: Graph, x: Value, name: str, shape: tuple[int, ...]) -> Value:
    """A channel shuffle as a 1x1 convolution with one 1 in each filter: exact, and folded like any other."""
    _, each, groups = x.shape[:3]
    channels = groups * each
    weight = torch.zeros(channels, 1, channels)
    weight[torch.arange(channels), 0, torch.arange(channels).reshape(groups, each).T.reshape(-1)] = 1
    graph.add("conv", [Value(x.name, shape)], name, {}, {"weight": weight, "shift": torch.zeros(channels)})
    return Value(name, shape)


def works_by_pixel(module: nn.Module | None, target: Any, inputs: list[Any]) -> bool:
    """Whether a module or call does the same to the channels of each pixel, so that they may stand last."""
    if module is not None:
        return isinstance(module, _BY_PIXEL)
    kind = str(getattr(target, "__name__", target)).rstrip("_")
    return kind in _CALLS_BY_PIXEL or (kind in _OF_TWO and len(inputs) == 2)


def first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(n, h, w, channels) as (n, channels, h, w)."""
    return (shape[0], shape[3], shape[1], shape[2])


def by_pixel(value: Any) -> Any:
    """A value with channels last as handlers take it."""
    return Value(value.name, first(value.shape), "pixels") if isinstance(value, Value) else value


def picture_of(value: Value, result: Tensor) -> Tensor:
    """What torch gave for a value with channels last, as a picture."""
    return result.permute(0, 3, 1, 2) if value.view == "last" else result
