"""What `pack` asks of a binarised layer: three small protocols, so that packing knows no quantiser by name.

A layer that is packed is a `torch.nn.Conv1d`, `Conv2d` or `Linear` (its stride, padding, dilation, groups and bias are
read from it) which also keeps `BinaryLayer`. In evaluation it must compute, in float32,

    conv(a, w) + bias,   w[o] = scale[o] * sign[o] + shift[o],   a = input.scale * s + input.shift,
    s = +1 where x >= input.threshold, else -1      (zero padding is added after this step, as torch does)

Signs are +1 or -1 and never 0. Ties are the forward's: sign(0) = +1 for BWN, -1 for DoReFa (its round(0.5) is 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class BinaryWeight:
    """The weight that a layer's forward uses, as bits and two numbers for each output channel.

    Attributes:
        sign: (*weight.shape), +1 or -1, any float or int8 dtype.
        scale: (out,) or (1,), float32; its sign is free.
        shift: (out,) or (1,), float32 (AdaBin's filter means), or None for zero.
    """

    sign: Tensor
    scale: Tensor
    shift: Tensor | None = None


@dataclass(frozen=True)
class BinaryInput:
    """How a layer binarises its input.

    Attributes:
        threshold: (in_channels,) or (1,), float32: s = +1 where x >= threshold. None: the input must be +1 or -1
            already, which the packed model checks when it runs.
        scale: (1,) or (), float32, > 0: a = scale * s + shift.
        shift: (1,) or (), float32, or None for zero.
    """

    threshold: Tensor | None
    scale: Tensor
    shift: Tensor | None = None


@dataclass(frozen=True)
class Rectifier:
    """A piecewise linear activation by channel: y = p * max(u, 0) + n * min(u, 0) + shift_out, u = x + shift_in.

    ReLU, PReLU, RPReLU (ReActNet) and Maxout (AdaBin) are all of this form. Each field is (channels,) or (1,).
    """

    positive: Tensor
    negative: Tensor
    shift_in: Tensor | None = None
    shift_out: Tensor | None = None


@runtime_checkable
class BinaryLayer(Protocol):
    """A binarised convolution or linear layer."""

    def binary_weight(self) -> BinaryWeight:
        """The weight as bits, computed from the parameters of now, without gradient."""
        ...

    def binary_input(self) -> BinaryInput | None:
        """How the input is binarised, or None if it stays float (W1A32)."""
        ...


@runtime_checkable
class RectifierLayer(Protocol):
    """A module whose whole forward, in evaluation, is one `Rectifier` over channels (dimension 1)."""

    def rectifier(self) -> Rectifier:
        """The parameters of now, without gradient."""
        ...
