"""Forwards of 1-bit weights: W -> normalised x -> s = sign(x) -> W^, each under its publication's name.

What a learned gradient needs is stored with it: W~ (`latent`), the calibration k = dW^/dW with the sign
straight-through and all statistics constant, and the gate of the straight-through estimator.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from ninefold.errors import InputError
from torch import Tensor

from bnn_fsg.layers._signs import Surrogate, binary, hard_sign


class WeightQuantizer:
    """One forward; stateless, shared by all layers. Weights are (filters, ...), float32."""

    name: ClassVar[str]
    source: ClassVar[str]
    tie: ClassVar[int] = 1

    def normalize(self, weight: Tensor) -> Tensor:
        """X, whose sign is taken; differentiable."""
        return weight

    def rescale(self, sign: Tensor, weight: Tensor) -> Tensor:  # noqa: ARG002  (for subclasses)
        """W^ from s; differentiable."""
        return sign

    def affine(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(scale, offset), each (filters,), of W^ = scale * s + offset."""
        return weight.new_ones(len(weight)), weight.new_zeros(len(weight))

    def latent(self, weight: Tensor) -> Tensor:
        """W~, what a fast-net sees."""
        return self.normalize(weight)

    def gate(self, weight: Tensor) -> Tensor:
        """1[|W~| <= 1]."""
        return (self.latent(weight).abs() <= 1).to(weight.dtype)

    def calibration(self, weight: Tensor) -> Tensor:
        """K, shaped like `weight`, or a scalar."""
        return weight.new_ones(())

    def __call__(self, weight: Tensor, surrogate: Surrogate) -> Tensor:
        """W^ with gradients through the surrogate."""
        return self.rescale(binary(self.normalize(weight), surrogate, self.tie), weight)

    @torch.no_grad()
    def values(self, weight: Tensor) -> Tensor:
        """W^ without gradients."""
        return self.rescale(self.bits(weight), weight)

    @torch.no_grad()
    def bits(self, weight: Tensor) -> Tensor:
        """+1 and -1, shaped like `weight`."""
        return hard_sign(self.normalize(weight), self.tie)

    def check(self, weight: Tensor, where: str) -> None:
        """InputError that names the layer `where` if these weights have no such 1-bit form."""
        if not torch.isfinite(weight).all():
            raise InputError(f"weights of layer {where}", got="NaN or infinity", expected="finite values")
        if not weight.any():
            raise InputError(f"weights of layer {where}", got="all zero", expected="values of both signs to binarise")


class DoReFa(WeightQuantizer):
    """W~ = 1/2 + tanh(W) / (2 M), M = max|tanh W| held constant; W^ = 2 round(W~) - 1."""

    name, source = "dorefa", "arXiv 1606.06160, 1 bit"
    tie = -1

    def normalize(self, weight: Tensor) -> Tensor:
        bent = torch.tanh(weight)
        return bent / bent.detach().abs().max()

    def latent(self, weight: Tensor) -> Tensor:
        return 0.5 + self.normalize(weight) / 2

    def gate(self, weight: Tensor) -> Tensor:
        return weight.new_ones(())  # W~ lies in [0, 1]

    def calibration(self, weight: Tensor) -> Tensor:
        bent = torch.tanh(weight)
        return (1 - bent * bent) / bent.abs().max()


class BWN(WeightQuantizer):
    """W^ = mean|W| sign(W), one scale a layer; as MetaQuant has it, the gradient passes the scale unchanged (k = 1)."""

    name, source = "bwn", "arXiv 1603.05279; scale as in MetaQuant, NeurIPS 2019"

    def rescale(self, sign: Tensor, weight: Tensor) -> Tensor:
        scale = _filters(self.affine(weight)[0], weight)
        return sign + (sign * scale - sign).detach()

    def affine(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        weight = weight.detach()
        return weight.abs().mean().expand(len(weight)), weight.new_zeros(len(weight))


class PlainSign(WeightQuantizer):
    """W^ = sign(W): BWN as the code of FSG has it, without a scale."""

    name, source = "bwn-none", "author code of arXiv 2412.11777"


class BWNF(BWN):
    """BWN with one scale an output filter."""

    name = "bwn-f"

    def affine(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight.detach().abs().flatten(1).mean(1), weight.new_zeros(len(weight))


class XNOR(WeightQuantizer):
    """W^ = mean|W| sign(W) by filter, with the gradient of the scale too (Rastegari et al. 2016, equation 11)."""

    name, source = "xnor", "arXiv 1603.05279"

    def rescale(self, sign: Tensor, weight: Tensor) -> Tensor:
        return sign * _filters(weight.abs().flatten(1).mean(1), weight)

    def affine(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight.detach().abs().flatten(1).mean(1), weight.new_zeros(len(weight))

    def calibration(self, weight: Tensor) -> Tensor:
        return _filters(self.affine(weight)[0], weight)


class _Standardized(WeightQuantizer):
    """Common part of forwards that centre each filter."""

    def check(self, weight: Tensor, where: str) -> None:
        super().check(weight, where)
        flat = weight.flatten(1)
        constant = (flat == flat[:, :1]).all(1)
        if constant.any():
            number = int(constant.nonzero()[0])
            raise InputError(f"weights of layer {where}", got=f"filter {number} constant", expected="values that vary")


class IRNet(_Standardized):
    """x = (W - mean) / sd by filter; W^ = 2^round(log2 mean|x|) sign(x) (libra parameter binarisation)."""

    name, source = "irnet", "arXiv 1909.10788"

    def normalize(self, weight: Tensor) -> Tensor:
        flat = weight.flatten(1)
        return (weight - _filters(flat.mean(1), weight)) / _filters(flat.std(1), weight)

    def rescale(self, sign: Tensor, weight: Tensor) -> Tensor:
        return sign * _filters(self.affine(weight)[0], weight)

    @torch.no_grad()
    def affine(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        size = self.normalize(weight).flatten(1).abs().mean(1)
        return 2 ** size.log2().round(), torch.zeros_like(size)

    def calibration(self, weight: Tensor) -> Tensor:
        return _filters(self.affine(weight)[0] / weight.flatten(1).std(1), weight)


class AdaBin(_Standardized):
    """W^ = a sign((W - b)/a) + b, b the filter's mean, a its RMS about b."""

    name, source = "adabin", "arXiv 2208.08084"

    def normalize(self, weight: Tensor) -> Tensor:
        scale, offset = self._statistics(weight)
        return (weight - _filters(offset, weight)) / _filters(scale, weight)

    def rescale(self, sign: Tensor, weight: Tensor) -> Tensor:
        scale, offset = self._statistics(weight)
        return sign * _filters(scale, weight) + _filters(offset, weight)

    def affine(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale, offset = self._statistics(weight.detach())
        return scale, offset

    @staticmethod
    def _statistics(weight: Tensor) -> tuple[Tensor, Tensor]:
        flat = weight.flatten(1)
        offset = flat.mean(1)
        return ((flat - offset[:, None]) ** 2).mean(1).sqrt(), offset


class ReActNet(XNOR):
    """Weights as XNOR has them; what is new in ReActNet are its activations (`rsign`, `RPReLU`)."""

    name, source = "reactnet", "arXiv 2003.03488"


def _filters(values: Tensor, weight: Tensor) -> Tensor:
    """(filters,) values shaped to multiply `weight`."""
    return values.view(-1, *[1] * (weight.ndim - 1))


QUANTIZERS: dict[str, type[WeightQuantizer]] = {
    one.name: one for one in (DoReFa, BWN, PlainSign, BWNF, XNOR, IRNet, AdaBin, ReActNet)
}


def quantizer(name: str) -> WeightQuantizer:
    """The forward called `name`; InputError lists the names."""
    if name not in QUANTIZERS:
        raise InputError("weights", got=repr(name), expected=f"one of {', '.join(QUANTIZERS)}")
    return QUANTIZERS[name]()
