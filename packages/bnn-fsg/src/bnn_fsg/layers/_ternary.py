"""Linear layers with ternary weights and 8-bit inputs (BitNet b1.58), which every estimator trains.

They compute what `TernaryLinear` does, and stand outside `binarize`, whose forwards are a sign and an affine map.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.layers._layers import Binary, _check_weights, _skipped
from bnn_fsg.layers._quantizers import WeightQuantizer
from bnn_fsg.layers._signs import Clip, Surrogate, binary

_SMALLEST = 1e-5  # as in `TernaryLinear`


class AbsMean(WeightQuantizer):
    """W^ = m t: m the mean of |W| over the layer, t = W / m rounded (halves to even) and cut to -1 and 1.

    Straight-through hands the gradient of W^ to all of W, as published. Another derivative stands in for both signs of
    t = (sign(2 W/m - 1) + sign(2 W/m + 1)) / 2.
    """

    name, source = "ternary", "arXiv 2402.17764"

    def scale(self, weight: Tensor) -> Tensor:
        """M, a scalar without gradient; as `TernaryLinear.of_floats` computes it."""
        return weight.detach().abs().mean(dtype=torch.float64).clamp(min=_SMALLEST).float()

    def normalize(self, weight: Tensor) -> Tensor:
        return weight / self.scale(weight)

    def rescale(self, sign: Tensor, weight: Tensor) -> Tensor:
        return sign * self.scale(weight)

    def latent(self, weight: Tensor) -> Tensor:
        return 0.5 + weight / (2 * weight.detach().abs().max())  # as DoReFa's: a factor of it turns no gradient round

    def gate(self, weight: Tensor) -> Tensor:
        return weight.new_ones(())

    def __call__(self, weight: Tensor, surrogate: Surrogate) -> Tensor:
        if isinstance(surrogate, Clip):
            return weight + (self.values(weight) - weight).detach()
        twice = 2 * self.normalize(weight)
        return self.rescale((binary(twice - 1, surrogate, -1) + binary(twice + 1, surrogate)) / 2, weight)

    @torch.no_grad()
    def bits(self, weight: Tensor) -> Tensor:
        """T: -1, 0 and 1, shaped like `weight`."""
        return self.normalize(weight).round().clamp(-1, 1)


class BitLinear(Binary, nn.Linear):
    """A linear layer with ternary weights; inputs are rounded to 8 bits by each token's largest, straight-through."""

    quantizer: AbsMean

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name)
        by = 127 / input.detach().abs().amax(-1, keepdim=True).clamp(min=_SMALLEST)
        whole = input * by
        whole = whole + (whole.round() - whole).detach()
        weight, bias = self.tensors()
        if self.training:
            return F.linear(whole / by, weight, bias)
        sums = F.linear(whole, self.quantizer.bits(self.weight))  # of whole numbers: exact, as the library's
        out = sums * (self.quantizer.scale(self.weight) / by)
        return out if bias is None else out + bias

    def binary_weight(self) -> Any:
        """InputError: `pack` has no ternary layers."""
        hint = "TernaryLinear.of_floats(layer.weight) runs one layer, BitNet.packed() a whole model"
        raise InputError(f"layer {self.label}", got="ternary weights", expected="1-bit ones", hint=hint)


def ternarize(model: nn.Module, *, skip: Sequence[str | type] = ()) -> nn.Module:
    """A copy of `model` whose Linear layers have ternary weights and 8-bit inputs; latent weights start at its own.

    Args:
        model: any module; it is not changed. Layers that are no plain `nn.Linear` stay float.
        skip: names (patterns) or types of modules that stay float, such as "lm_head".
    Returns: what STE, ReSTE, MetaQuant, FSG and the other estimators train. In evaluation its layers give what
        `TernaryLinear.of_floats` of their weights gives, bit for bit; there no gradient reaches the weights.
    Raises:
        InputError: names the layer: none left, a pattern that matches nothing, weights shared by two layers, weights
            that are all zero, not finite or not float32.

    Examples:
        >>> import torch
        >>> from bnn_fsg import STE
        >>> from bnn_fsg.language.training import ternarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4))
        >>> model = ternarize(net, skip=["2"])
        >>> gradient = STE(model, torch.optim.Adam(model.parameters(), lr=0.01))
        >>> x, labels = torch.randn(64, 16), torch.randint(4, (64,))
        >>> losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))) for _ in range(20)]
        >>> losses[-1] < losses[0]
        True
    """
    named, form = dict(model.named_modules()), AbsMean()
    left = _skipped(named, skip)
    chosen = {name: one for name, one in named.items() if type(one) is nn.Linear and name not in left}
    if not chosen:
        raise InputError("model", got="no layer to make ternary", expected="a Linear outside `skip`")
    _check_weights(model, chosen, form)
    made = copy.deepcopy(model)
    for order, name in enumerate(chosen):
        layer: Any = made.get_submodule(name)
        layer.__class__ = BitLinear
        layer.label, layer.order, layer.quantizer, layer.activation = name, order, form, None
    return made
