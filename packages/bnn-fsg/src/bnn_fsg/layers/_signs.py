"""The sign function with its one tie rule, and the derivatives that estimators put in its place.

Ties: sign(0) is +1 everywhere, except under DoReFa, where round(1/2) = 0 makes it -1 (`tie=-1`). torch.sign(0) would
be a third value. The packed kernels keep the same rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from ninefold.errors import InputError
from torch import Tensor


class Surrogate(Protocol):
    """A derivative that stands in for that of the sign."""

    def derivative(self, x: Tensor) -> Tensor:
        """d sign(x) / dx as the estimator has it, shaped like `x`."""
        ...

    def value(self, x: Tensor) -> Tensor:
        """The function that has this derivative, odd: what the estimator takes the sign for."""
        ...


@dataclass(frozen=True)
class Clip:
    """Straight-through: 1 where |x| <= 1, else 0 (Bengio et al. 2013; Hubara et al. 2016)."""

    def derivative(self, x: Tensor) -> Tensor:
        """See the class."""
        return (x.abs() <= 1).to(x.dtype)

    def value(self, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        return x.clamp(-1, 1)


@dataclass(frozen=True)
class Approx:
    """Bi-Real Net's piecewise polynomial: 2 - 2|x| where |x| < 1, else 0 (Liu et al. 2018)."""

    def derivative(self, x: Tensor) -> Tensor:
        """See the class."""
        return (2 - 2 * x.abs()).clamp_(min=0)

    def value(self, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        x = x.clamp(-1, 1)
        return 2 * x - x * x.abs()


@dataclass(frozen=True)
class Power:
    """ReSTE's power function sign(x)|x|^(1/o): (1/o)|x|^((1-o)/o), its chord below 0.1, 0 above 1.5 (Wu et al. 2023).

    Attributes:
        o: 1 is straight-through; larger is nearer to the sign.
    """

    o: float = 1.0

    def derivative(self, x: Tensor) -> Tensor:
        """See the class."""
        size = x.abs()
        slope = size.clamp(min=0.1) ** ((1 - self.o) / self.o) / self.o
        slope = torch.where(size <= 0.1, torch.full_like(slope, 0.1 ** (1 / self.o) / 0.1), slope)
        return torch.where(size <= 1.5, slope, torch.zeros_like(slope))

    def value(self, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        size = x.abs().clamp(max=1.5)
        return x.sign() * torch.where(size <= 0.1, size * (0.1 ** (1 / self.o) / 0.1), size ** (1 / self.o))

    @staticmethod
    def at(progress: float, end: float = 3.0) -> Power:
        """The schedule: o = 1 + (end - 1)(1 - cos(pi progress / 2)), `progress` = share of the epochs done."""
        return Power(1 + (end - 1) * (1 - math.cos(math.pi * progress / 2)))


@dataclass(frozen=True)
class Tanh:
    """IR-Net's error decay estimator: k t (1 - tanh^2(t x)) (Qin et al. 2020, and its code)."""

    t: float = 0.1

    @property
    def k(self) -> float:
        """max(1/t, 1), so that the derivative at 0 is at least 1."""
        return max(1 / self.t, 1.0)

    def derivative(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.k * self.t * (1 - torch.tanh(self.t * x) ** 2)

    def value(self, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        return self.k * torch.tanh(self.t * x)

    @staticmethod
    def at(progress: float, start: float = 0.1, end: float = 10.0) -> Tanh:
        """The schedule: t from `start` to `end`, linearly in its logarithm."""
        return Tanh(start * (end / start) ** progress)


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate, tie: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return hard_sign(x, tie)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(x), None, None


def hard_sign(x: Tensor, tie: int = 1) -> Tensor:
    """+1 or -1, shaped and typed like `x`; 0 becomes `tie` (+1 or -1). No gradient."""
    if tie not in (1, -1):
        raise InputError("tie", got=tie, expected="+1 or -1")
    plus = x >= 0 if tie == 1 else x > 0
    return plus.to(x.dtype).mul_(2).sub_(1)


def binary(x: Tensor, surrogate: Surrogate, tie: int = 1) -> Tensor:
    """sign(x) whose backward pass is `surrogate`'s derivative."""
    return _Sign.apply(x, surrogate, tie)  # type: ignore[no-any-return]
