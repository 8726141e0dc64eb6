"""What the pulse activation is compared with in the publication's ablation: keep the smallest changes, or any."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.switch._ternary import activation_switch, check_alpha

Discard = Literal["low", "high", "random"]


def discard(tau: Tensor, alpha: float, which: Discard = "low", *, generator: torch.Generator | None = None) -> Tensor:
    """Drop a share of the changes and keep the values of the others.

    Args:
        tau: task vector, any shape, float32.
        alpha: share of the non-zero entries to drop, in [0, 1).
        which: "low" drops the smallest of each sign (pulse activation, P-Discard), "high" the largest of each sign,
            "random" each with probability alpha.
        generator: for "random".
    Returns: task vector shaped like `tau`.
    Raises:
        InputError: if alpha is out of range, `which` unknown or tau not finite.
    """
    check_alpha(alpha)
    if which not in get_args(Discard):
        raise InputError("which", got=repr(which), expected="low, high or random")
    if alpha == 0:
        return tau.clone()
    if which == "random":
        return tau * (torch.rand(tau.shape, generator=generator) >= alpha)
    if which == "high":  # the largest alpha share is what the activation switch at 1 - alpha would keep
        return tau * ~activation_switch(tau, 1 - alpha)
    return tau * activation_switch(tau, alpha)
