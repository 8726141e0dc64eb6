"""Signs in ONNX graphs, as QONNX, Larq's networks and plain operators write them, and the layers of bits they enter.

A value of two numbers, such as what BipolarQuant, Sign, a comparison or Where gives, is kept as `Signs` until a layer
takes it: what is computed of it on the way is computed of both numbers. The sign of 0 is +1, as in all this package.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from bnn_fsg.layers._activations import Maxout, SignActivation
from bnn_fsg.layers._layers import BinaryConv1d, BinaryConv2d, BinaryLinear
from bnn_fsg.layers._quantizers import quantizer
from bnn_fsg.layers._signs import Approx
from bnn_fsg.layers._spec import BinaryInput

_FORMS: dict[type, Any] = {nn.Conv1d: BinaryConv1d, nn.Conv2d: BinaryConv2d, nn.Linear: BinaryLinear}
_SMALLEST = 2.0**-126  # of the numbers above 0


class RefusedError(ValueError):
    """Why a node cannot be read."""


@dataclass(frozen=True)
class Signs:
    """`high` where the value `of` is at least `bound`, else `low`; all three broadcast over `of`."""

    of: fx.Node
    bound: Tensor
    high: Tensor
    low: Tensor


class StoredSign(SignActivation):
    """`high` where x >= 0, else `low`."""

    def __init__(self, high: float, low: float) -> None:
        super().__init__(lambda _: Approx())
        self.size, self.middle = (high - low) / 2, (high + low) / 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.size + self.middle

    def binary_input(self) -> BinaryInput:
        return BinaryInput(torch.zeros(1), torch.tensor(self.size), torch.tensor([self.middle]))


def with_bits(module: Any, signs: Signs | None) -> Any:
    """A float layer as one of bits, if each filter has two values; RefusedError if it takes signs and has others."""
    flat = module.weight.detach().flatten(1)
    high, low = flat.amax(1), flat.amin(1)
    two = bool(((flat == high[:, None]) | (flat == low[:, None])).all())
    symmetric = two and bool((high == -low)[high != low].all()) and bool(high.any())
    two = symmetric if (high == low).any() else two
    if signs is not None and not two:
        raise RefusedError("takes signs with weights of more than two values a filter")
    if not two or (signs is None and (flat.shape[1] < 3 or bool((high == low).all()))):  # a float layer by its looks
        return module
    if not symmetric:  # latent weights whose mean and spread are the filter's middle and half of its range
        above = flat == high[:, None]
        count = above.sum(1, keepdim=True)
        ratio = ((flat.shape[1] - count) / count).sqrt()
        latent = ((high + low) / 2)[:, None] + ((high - low) / 2)[:, None] * torch.where(above, ratio, -1 / ratio)
        module.weight.data = latent.view_as(module.weight)
    module.__class__, module.label, module.order = _FORMS[type(module)], "", 0
    module.quantizer = quantizer("xnor" if symmetric else "adabin")
    module.activation = None if signs is None else StoredSign(float(signs.high), float(signs.low))
    return module


def of_two_values(op: str, inputs: list[Any], call: Callable[..., fx.Node]) -> Any:
    """What a node gives if its output is made of constants or has two values; None for any other node.

    Args:
        op, inputs: the node's; values are `fx.Node`, constants `Tensor`, signs `Signs`.
        call: adds a call of a function, or of a module, to the graph.
    """
    signs = [one for one in inputs if isinstance(one, Signs)]
    values = [one for one in inputs if isinstance(one, fx.Node)]
    if (
        op == "Mul"
        and len(signs) == len(values) == 1
        and signs[0].of is values[0]
        and (signs[0].bound.abs() < _SMALLEST).all()
    ):
        slopes = signs[0].high, signs[0].low
        rectifier = Maxout(max(one.numel() for one in slopes))
        for own, slope in zip(rectifier.parameters(), slopes, strict=True):
            own.data = slope.reshape(-1).expand(len(own)).clone().float()
        return call(rectifier, values[0])
    if op not in _OF_TWO or len(signs) + len(values) > 1:
        return None
    if signs:
        high, low = (_OF_TWO[op](*(getattr(one, key, one) for one in inputs)) for key in ("high", "low"))
        return Signs(signs[0].of, signs[0].bound, high, low)
    if not values:
        return _OF_TWO[op](*inputs)
    return _first_signs(op, inputs)


def _first_signs(op: str, inputs: list[Any]) -> Signs | None:
    """The signs of a float value."""
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    if op in ("Sign", "BipolarQuant"):
        scale = inputs[1] if op == "BipolarQuant" else one
        if not (scale > 0).all():
            raise RefusedError("a scale that is not positive")
        return Signs(inputs[0], zero, scale, -scale)
    if op == "Quant":
        x, scale, offset, width = inputs
        if not (width == 1).all() or not (scale > 0).all():
            raise RefusedError("of other than one bit, or a scale that is not positive")
        return Signs(x, -offset * scale, (1 - offset) * scale, (-1 - offset) * scale)
    if op not in _COMPARES or not isinstance(inputs[0], fx.Node):
        return None
    bound = inputs[1].float()
    if op in ("Greater", "LessOrEqual"):
        bound = torch.nextafter(bound, torch.tensor(torch.inf))
    return Signs(inputs[0], bound, *((one, zero) if op.startswith("Greater") else (zero, one)))


def plain(signs: Signs, call: Callable[..., fx.Node]) -> Signs:
    """The same signs as of 0 and with two numbers for all channels; RefusedError if they have more."""
    high, low = torch.maximum(signs.high, signs.low).float(), torch.minimum(signs.high, signs.low).float()
    if not ((high == high.flatten()[0]) & (low == low.flatten()[0]) & (high > low)).all():
        raise RefusedError("signs whose values differ by channel")
    of, up, bound = signs.of, signs.high > signs.low, signs.bound
    if not up.all():  # below a bound is at least the next number, turned
        of = call(operator.mul, of, torch.where(up, 1.0, -1.0))
        bound = torch.where(up, bound, torch.nextafter(-bound, torch.tensor(torch.inf)))
    of = call(operator.sub, of, bound) if bound.any() else of
    return Signs(of, torch.tensor(0.0), high.flatten()[0], low.flatten()[0])


def _sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0)


def _quant(x: Tensor, scale: Tensor, offset: Tensor, width: Tensor) -> Tensor:
    if not (width == 1).all():
        raise RefusedError("of other than one bit")
    return (_sign(x / scale + offset) - offset) * scale


_COMPARES: dict[str, Any] = {
    "GreaterOrEqual": operator.ge, "Greater": operator.gt, "Less": operator.lt, "LessOrEqual": operator.le,
}  # fmt: skip
_OF_TWO: dict[str, Callable[..., Tensor]] = {
    **_COMPARES, "Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": operator.truediv,
    "Neg": operator.neg, "Not": lambda x: x == 0, "Xor": lambda x, y: (x != 0) ^ (y != 0), "Cast": lambda x: x,
    "Where": lambda flag, yes, no: torch.where(flag != 0, yes, no), "Identity": lambda x: x, "Sign": _sign,
    "BipolarQuant": lambda x, scale: _sign(x) * scale, "Quant": _quant,
}  # fmt: skip
