"""Padding, slices, resampling, shuffles and transposed convolutions, as modules and as calls; as in `_modules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_fsg.packing._values import Graph, Value

Result = Any  # Value, or str: the reason for a refusal
_MODES = {"constant": "constant", "zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def sides(widths: Sequence[int]) -> list[int]:
    """torch's (left, right, top, bottom), or (left, right), as top, bottom, left, right."""
    return [*widths[2:4], *widths[:2]] if len(widths) > 2 else [0, 0, *widths]


def frame(
    graph: Graph, x: Value, name: str, around: list[int], mode: str, value: float = 0.0, shape: Any = None
) -> Result:
    """Add pixels around a picture (top, bottom, left, right); `shape` is what torch gave, or is found from x."""
    if mode not in _MODES or len(x.shape) < 3:
        return f"padding of mode {mode!r}"
    graph.add("pad", [x], name, {"sides": around, "mode": _MODES[mode], "value": float(value)})
    grown = [size + before + after for size, before, after in zip(x.shape[2:], *_pairs(around, x), strict=True)]
    return Value(name, shape or (*x.shape[:2], *grown))


def _pairs(around: list[int], x: Value) -> tuple[list[int], list[int]]:
    before, after = [around[0], around[2]], [around[1], around[3]]
    return (before, after) if len(x.shape) == 4 else (before[1:], after[1:])


def _frame(mode: str) -> Any:
    def add(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
        widths = list(module.padding)
        if len(widths) != 2 * (len(x.shape) - 2):
            return f"padding {widths} of a value of {len(x.shape)} dimensions"
        return frame(graph, x, name, sides(widths), mode, getattr(module, "value", 0.0), shape)

    return add


def part(graph: Graph, x: Value, name: str, bounds: list[tuple[int, int, int]], shape: tuple[int, ...]) -> Value:
    """Add a slice: (begin, end, step) of channels and pixels; `pick` where whole channels of every n-th pixel stay."""
    (channels, height, width) = [bounds[0], *([(0, 1, 1)] * (4 - len(x.shape))), *bounds[1:]]
    all_kept = all(begin == 0 and end == size for (begin, end, _), size in zip(bounds, x.shape[1:], strict=True))
    if all_kept and len(x.shape) == 4 and channels[2] == 1:
        graph.add("pick", [x], name, {"stride": [height[2], width[2]], "front": 0, "back": 0})
        return Value(name, shape)
    whole = [height, width, channels]
    settings = {key: [one[index] for one in whole] for index, key in enumerate(("begin", "end", "step"))}
    graph.add("slice", [x], name, settings)
    return Value(name, shape)


def _upsample(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    keys = ("scale_factor", "mode", "align_corners", "recompute_scale_factor")
    return _resample(graph, {"input": x, **{key: getattr(module, key) for key in keys}}, name, shape)


def _resample(graph: Graph, given: dict[str, Any], name: str, shape: tuple[int, ...]) -> Result:
    x, mode = given["input"], given.get("mode", "nearest")
    kinds = {"nearest": "nearest", "nearest-exact": "exact", "bilinear": "bilinear", "linear": "bilinear"}
    if mode not in kinds or given.get("antialias") or len(shape) < 3:
        return f"mode {mode!r}{' with antialias' if given.get('antialias') else ''}"
    factors = given.get("scale_factor")
    if factors is None or given.get("recompute_scale_factor"):
        steps = [before / after for before, after in zip(x.shape[2:], shape[2:], strict=True)]
    else:
        factors = factors if isinstance(factors, list | tuple) else [factors] * (len(shape) - 2)
        steps = [1 / factor for factor in factors]
    settings: dict[str, Any] = {"size": [1, *shape[2:]][-2:], "mode": kinds[mode], "step": [1.0, *steps][-2:]}
    if given.get("align_corners"):
        settings["corners"] = True
    graph.add("resample", [x], name, settings)
    return Value(name, shape)


def _shuffle(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    return _shuffled(graph, {"input": x, "upscale_factor": module.upscale_factor}, name, shape)


def _shuffled(graph: Graph, given: dict[str, Any], name: str, shape: tuple[int, ...]) -> Result:
    if len(shape) != 4:
        return f"a value of {len(shape)} dimensions"
    graph.add("shuffle", [given["input"]], name, {"factor": given["upscale_factor"]})
    return Value(name, shape)


def transposed(graph: Graph, module: Any, x: Value, name: str, shape: tuple[int, ...]) -> Result:
    """A transposed convolution: one of pixels with zeros between them, or of single pixels that are then shuffled."""
    if len(x.shape) != module.weight.ndim:
        return f"a value of {len(x.shape)} dimensions"
    flat = module.weight.ndim == 3
    kernel, stride, padding, dilation, more = (
        [first, *setting] if flat else list(setting)
        for first, setting in (
            (1, module.kernel_size), (1, module.stride), (0, module.padding), (1, module.dilation),
            (0, module.output_padding),
        )
    )  # fmt: skip
    weight = _turned(module.weight.detach()[:, :, None] if flat else module.weight.detach(), module.groups)
    shift = torch.zeros(len(weight)) if module.bias is None else module.bias.detach()
    settings: dict[str, Any] = {"groups": module.groups} if module.groups > 1 else {}
    if kernel == stride and kernel[0] == kernel[1] and dilation == [1, 1] and not any(padding + more):
        taps = kernel[0] * kernel[1]
        single = weight.transpose(1, 2).reshape(len(weight) * taps, 1, -1)  # (out, taps, in): as PixelShuffle wants it
        arrays = {"weight": single, "shift": shift.repeat_interleave(taps)}
        graph.add("conv", [x], f"{name}.single", {"kernel": [1, 1], **settings}, arrays)
        graph.add("shuffle", [Value(f"{name}.single", shape)], name, {"factor": kernel[0]})
        return Value(name, shape)
    if stride != [1, 1]:
        graph.add("spread", [x], f"{name}.spread", {"stride": stride})
        x = Value(f"{name}.spread", shape)
    frame_of = [dilation[axis] * (kernel[axis] - 1) - padding[axis] for axis in (0, 1)]
    if min(frame_of) < 0 or any(more):
        around = [frame_of[0], frame_of[0] + more[0], frame_of[1], frame_of[1] + more[1]]
        graph.add("pad", [x], f"{name}.padded", {"sides": around, "mode": "constant", "value": 0.0})
        x, frame_of = Value(f"{name}.padded", shape), [0, 0]
    settings |= {"kernel": kernel, "stride": [1, 1], "padding": frame_of, "dilation": dilation}
    flipped = weight.flip(2).transpose(1, 2)
    graph.add("conv", [x], name, settings, {"weight": flipped, "shift": shift})
    return Value(name, shape)


def _turned(weight: Tensor, groups: int) -> Tensor:
    """(in, out of a group, kh, kw) of a transposed convolution as (out, in of a group, taps)."""
    parts = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    return parts.transpose(1, 2).reshape(groups * weight.shape[1], len(weight) // groups, -1)


HANDLERS: list[tuple[Any, Any]] = [
    ((nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d), _frame("constant")),
    ((nn.ReflectionPad1d, nn.ReflectionPad2d), _frame("reflect")),
    ((nn.ReplicationPad1d, nn.ReplicationPad2d), _frame("replicate")),
    ((nn.CircularPad1d, nn.CircularPad2d), _frame("circular")),
    (nn.Upsample, _upsample),
    (nn.PixelShuffle, _shuffle),
]
_INTERPOLATE = "input size scale_factor mode align_corners recompute_scale_factor antialias"
CALLS: list[tuple[Any, str, tuple[Any, ...]]] = [
    (_resample, _INTERPOLATE, (F.interpolate,)),
    (_shuffled, "input upscale_factor", (F.pixel_shuffle, torch.pixel_shuffle)),
]
