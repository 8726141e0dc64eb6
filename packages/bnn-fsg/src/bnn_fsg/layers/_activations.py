"""1-bit activations, and the non-linearities that came with them (RPReLU of ReActNet, Maxout of AdaBin)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.layers._signs import Approx, Clip, Power, Surrogate, Tanh, binary
from bnn_fsg.layers._spec import BinaryInput, Rectifier


class SignActivation(nn.Module):
    """sign(x), with sign(0) = +1 and a surrogate derivative that may move with the share of the epochs done."""

    name = ""  # as `activation` knows it

    def __init__(self, surrogate: Callable[[float], Surrogate]) -> None:
        super().__init__()
        self.surrogate = surrogate
        self.progress = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, ...) -> +1 and -1."""
        return binary(x, self.surrogate(self.progress))

    def binary_input(self) -> BinaryInput:
        """What `pack` needs."""
        return BinaryInput(torch.zeros(1), torch.ones(()))


class RSign(SignActivation):
    """ReActNet's sign(x - threshold), one learned threshold a channel (arXiv 2003.03488, equation 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__(lambda _: Approx())
        self.threshold = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - by_channel(self.threshold, x))

    def binary_input(self) -> BinaryInput:
        return BinaryInput(self.threshold.detach(), torch.ones(()))


class AdaBinActivation(SignActivation):
    """a (s + b), s = sign((x - b)/a), with learned scalars a and b (arXiv 2208.08084, its code)."""

    def __init__(self) -> None:
        super().__init__(lambda _: Approx())
        self.alpha_a = nn.Parameter(torch.tensor(1.0))
        self.beta_a = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha_a * (super().forward((x - self.beta_a) / self.alpha_a) + self.beta_a)

    def binary_input(self) -> BinaryInput:
        scale, beta = self.alpha_a.detach(), self.beta_a.detach()
        if scale <= 0:
            raise InputError("AdaBin's scale of activations", got=float(scale), expected="a positive one")
        return BinaryInput(beta.reshape(1), scale, scale * beta)


class RPReLU(nn.Module):
    """ReActNet's PReLU(x - shift) + rise, all by channel (arXiv 2003.03488, equation 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.rise = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, ...)."""
        moved = x - by_channel(self.shift, x)
        # relu: the backward pass of clamp takes twice as long
        return moved.relu() - by_channel(self.slope, x) * (-moved).relu() + by_channel(self.rise, x)

    def rectifier(self) -> Rectifier:
        """What `pack` needs."""
        slope = self.slope.detach()
        return Rectifier(torch.ones_like(slope), slope, -self.shift.detach(), self.rise.detach())


class Maxout(nn.Module):
    """AdaBin's p max(x, 0) + n min(x, 0), both by channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pos_scale = nn.Parameter(torch.ones(channels))
        self.neg_scale = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, ...)."""
        return by_channel(self.pos_scale, x) * x.relu() - by_channel(self.neg_scale, x) * (-x).relu()

    def rectifier(self) -> Rectifier:
        """What `pack` needs."""
        return Rectifier(self.pos_scale.detach(), self.neg_scale.detach())


def by_channel(values: Tensor, x: Tensor) -> Tensor:
    """(channels,) values shaped to meet x (n, channels, ...); a token sequence (n, length, features) has them last."""
    if x.ndim == 3 and x.shape[-1] == len(values) != x.shape[1]:
        return values
    return values.view(-1, *[1] * (x.ndim - 2))


ACTIVATIONS: dict[str, Callable[[int], SignActivation]] = {
    "sign": lambda _: SignActivation(lambda _: Clip()),
    "approx": lambda _: SignActivation(lambda _: Approx()),
    "reste": lambda _: SignActivation(Power.at),
    "irnet": lambda _: SignActivation(lambda share: Tanh.at(share, 1e-3)),
    "rsign": RSign,
    "adabin": lambda _: AdaBinActivation(),
}


def activation(name: str, channels: int) -> SignActivation:
    """A fresh activation called `name` for inputs of that many channels; InputError lists the names."""
    if name not in ACTIVATIONS:
        raise InputError("activations", got=repr(name), expected=f"None or one of {', '.join(ACTIVATIONS)}")
    made = ACTIVATIONS[name](channels)
    made.name = name
    return made
