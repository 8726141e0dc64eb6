"""What the runtime's curves and moves are in torch, on pictures (n, channels, h, w)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Settings = dict[str, Any]


def _pad(x: Tensor, settings: Settings) -> Tensor:
    top, bottom, left, right = settings["sides"]
    mode: str = {"edge": "replicate", "wrap": "circular"}.get(settings["mode"]) or settings["mode"]
    widths = (left, right, top, bottom)
    return F.pad(x, widths, mode, settings["value"]) if mode == "constant" else F.pad(x, widths, mode)


def _spread(x: Tensor, settings: Settings) -> Tensor:
    down, across = settings["stride"]
    wide = x.new_zeros(*x.shape[:2], (x.shape[2] - 1) * down + 1, (x.shape[3] - 1) * across + 1)
    wide[:, :, ::down, ::across] = x
    return wide


def _slice(x: Tensor, settings: Settings) -> Tensor:
    bounds = zip(settings["begin"], settings["end"], settings["step"], strict=True)
    height, width, channels = (slice(*one) for one in bounds)
    return x[:, channels, height, width]


def _resample(x: Tensor, settings: Settings) -> Tensor:
    size, mode = settings["size"], settings["mode"]
    if mode in ("average", "max"):
        return (F.adaptive_avg_pool2d if mode == "average" else F.adaptive_max_pool2d)(x, size)
    more: Settings = {"align_corners": settings.get("corners", False)} if mode == "bilinear" else {}
    kind = "nearest-exact" if mode == "exact" else mode
    factors = [1 / step for step in settings["step"]]
    made = [int(given * factor) for given, factor in zip(x.shape[2:], factors, strict=True)]
    if list(size) == made and not more.get("align_corners"):  # torch's own places come from the factors it was given
        return F.interpolate(x, scale_factor=factors, mode=kind, **more)
    return F.interpolate(x, size=list(size), mode=kind, **more)


def _average(x: Tensor, settings: Settings) -> Tensor:
    places = {"channels": 1, "height": 2, "width": 3}
    return x.mean([places[name] for name in settings["axes"]], keepdim=True)


def _rearrange(x: Tensor, settings: Settings) -> Tensor:
    parts = x.permute(0, 2, 3, 1).reshape(len(x), *settings["sizes"])
    moved = parts.permute(0, *(axis + 1 for axis in settings["order"]))
    return moved.reshape(len(x), *settings["size"]).permute(0, 3, 1, 2)


MOVES: dict[str, Callable[[Tensor, Settings], Tensor]] = {
    "average": _average,
    "pad": _pad,
    "rearrange": _rearrange,
    "resample": _resample,
    "shuffle": lambda x, settings: F.pixel_shuffle(x, settings["factor"]),
    "slice": _slice,
    "spread": _spread,
}
CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    **{name: getattr(F, name) for name in ("gelu", "hardsigmoid", "hardswish", "silu")},
    **{name: getattr(torch, name) for name in ("rsqrt", "sigmoid", "tanh")},
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}
