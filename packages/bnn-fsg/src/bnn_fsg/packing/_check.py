"""Each node against what torch computed there, so that nothing that was read wrongly is packed in silence.

A whole network cannot be held against torch without false alarms: a sum that lies on a threshold is rounded to either
side of it, and one sign changes all that follows. So every node is given torch's own inputs, and is allowed what
rounding can do to it: a share of the magnitudes that it adds up, and both values for an input next to a threshold.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.packing._twin import ONE, apply, by_channel, by_pixel, node_tensors

_ROUNDING = 1e-3  # of the magnitudes: far more than float32, and enough for torch's bfloat16 products
_BESIDE = 1e-5  # of the magnitudes: how far from its threshold an input's sign is not known


def difference(node: Node | None, values: dict[str, Tensor], made: Tensor, expected: Tensor) -> str:
    """How what a node made of `values` (pictures by name) differs from torch's picture, or ""; equal without a node."""
    doubt = torch.zeros(())
    if node is not None:
        doubt = _doubt(node, node_tensors(node), [values[one] for one in node.inputs])
    if made.shape != expected.shape:
        return f"packed it gives shape {tuple(made.shape)}, not {tuple(expected.shape)}"
    wrong = ((made - expected).abs() > doubt) & expected.isfinite()  # what overflows in torch shows nothing
    if not bool(wrong.any()):
        return ""
    return f"packed it gives {float(made[wrong][0]):g} where torch gives {float(expected[wrong][0]):g}"


def _doubt(node: Node, arrays: dict[str, Tensor], inputs: list[Tensor]) -> Tensor:
    """How far rounding can move the node's output, a number for each or for all of its elements."""
    x = inputs[0]
    if node.op == "affine":
        return _ROUNDING * ((x * by_channel(arrays["scale"])).abs() + by_channel(arrays["shift"]).abs())
    if node.op == "pixelwise":
        return _ROUNDING * ((x * by_pixel(arrays.get("scale", ONE))).abs() + by_pixel(arrays.get("shift", ONE)).abs())
    if node.op == "matmul":
        return _ROUNDING * apply(node, arrays, [one.abs() for one in inputs])
    if node.op in CONVOLUTIONS:
        return _doubt_of_sums(node, arrays, x)
    if node.op == "normalise" or node.settings.get("function") == "rsqrt":
        return torch.tensor(_ROUNDING * float(apply(node, arrays, inputs).abs().max()))
    largest = max(float(one.abs().max()) for one in inputs)
    if node.op == "multiply":
        largest = max(largest, float(inputs[0].abs().max()) * float(inputs[1].abs().max()))
    if node.op == "softmax":
        largest = 1.0
    if node.op == "rectify":
        largest += float(arrays["shift_in"].abs().max()) if "shift_in" in arrays else 0.0
        largest *= max(1.0, *(float(arrays[key].abs().max()) for key in ("positive", "negative")))
        largest += float(arrays["shift_out"].abs().max()) if "shift_out" in arrays else 0.0
    return torch.tensor(_ROUNDING * largest)


def _doubt_of_sums(node: Node, arrays: dict[str, Tensor], x: Tensor) -> Tensor:
    """Rounding times the sum of the inputs' magnitudes times the filter's largest weight: one convolution by ones."""
    moved = _ROUNDING * x.abs()
    if "threshold" in arrays:
        threshold = by_channel(arrays["threshold"])
        beside = (x - threshold).abs() <= _BESIDE * max(float(x.abs().max()), float(threshold.abs().max()))
        moved = _ROUNDING * (1 + abs(node.settings.get("offset", 0.0))) + 2.0 * beside
    weight = arrays["weight"]
    geometry: dict[str, Any] = {k: node.settings[k] for k in ("stride", "padding", "dilation") if k in node.settings}
    sums = F.conv2d(moved.sum(1, keepdim=True), torch.ones(1, 1, *weight.shape[2:]), **geometry)
    most = torch.maximum(weight.amax((1, 2, 3)), -weight.amin((1, 2, 3)))
    return sums * by_channel(most) + _ROUNDING * by_channel(arrays["bias"]).abs()
