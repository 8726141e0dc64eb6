"""Fast-net: a small coordinate-wise MLP on W~, shared over layers; its output multiplies the newest gradient."""

from __future__ import annotations

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

_ACTIVATIONS = {"none": None, "relu": torch.relu, "tanh": torch.tanh}


class FastNet(nn.Module):
    """MLP 1 - hidden - hidden - 1 without bias.

    Without activation it is x -> c x with one learned number c; with ReLU, c+ x above 0 and c- x below. Both are stored
    as the MLP and computed collapsed.
    """

    def __init__(self, hidden: int = 100, activation: str = "none") -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise InputError("fast activation", got=repr(activation), expected=f"one of {', '.join(_ACTIVATIONS)}")
        self.activation = activation
        self.first = nn.Linear(1, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden, bias=False)
        self.third = nn.Linear(hidden, 1, bias=False)

    @torch.no_grad()
    def descend(self) -> None:
        """Flip the sign of the last map if a positive W~ would turn the gradient round."""
        if float(self.mlp(self.first.weight.new_ones(1))) < 0:
            self.third.weight.neg_()

    def mlp(self, x: Tensor) -> Tensor:
        """The network as it is stored, (n,) -> (n,)."""
        bend = _ACTIVATIONS[self.activation]
        x = self.first(x[:, None])
        x = self.second(x if bend is None else bend(x))
        return self.third(x if bend is None else bend(x))[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same; equal to `mlp`."""
        if self.activation == "tanh":
            return self.mlp(x.reshape(-1)).view_as(x)
        if self.activation == "none":
            return x * self.mlp(x.new_ones(1))
        ends = self.mlp(x.new_tensor([1.0, -1.0]))
        return x.clamp(min=0) * ends[0] + x.clamp(max=0) * -ends[1]
