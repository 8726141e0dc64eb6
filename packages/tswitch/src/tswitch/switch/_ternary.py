"""T-Switch on one tensor: activation switch, polarity switch and switch knob (CVPR 2025, arXiv 2412.00054, section 3).

A task vector tau = fine-tuned - base, in float32, becomes knob * activation * polarity: which entries act, their sign,
and one number. Positive and negative entries are thresholded apart, among the non-zero ones.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.switch._select import RadixSelect

Scale = Literal["l2", "mean", "full"]
Granularity = Literal["tensor", "model"]
DEFAULT_SCALE: Scale = "full"
"""The knob where none is asked for, of every function and verb."""

_log = logging.getLogger("tswitch")


@dataclass(frozen=True)
class Ternary:
    """A ternarised task vector of one tensor.

    Attributes:
        codes: int8 in {-1, 0, 1}, shaped like the task vector: activation times polarity switch.
        scale: the switch knob, a float32 value; 0.0 if nothing is active.
        active: number of non-zero codes.

    Examples:
        >>> import torch
        >>> from tswitch import Ternary, ternarise

        >>> change = torch.tensor([0.9, -0.1, 0.05, -0.8, 0.0])
        >>> found = ternarise(change, alpha=0.5, scale="mean")
        >>> isinstance(found, Ternary), found.codes.tolist(), found.active
        (True, [1, 0, 0, -1, 0], 2)
        >>> found.dequantise()
        tensor([ 0.8500,  0.0000,  0.0000, -0.8500,  0.0000])
    """

    codes: Tensor
    scale: float
    active: int

    def dequantise(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The task vector that the switch stands for: scale * codes."""
        return (self.codes.to(torch.float32) * self.scale).to(dtype)


def ternarise(tau: Tensor, alpha: float = 0.6, scale: Scale = DEFAULT_SCALE) -> Ternary:
    """All three parts on one tensor.

    Args:
        tau: task vector, any shape and floating dtype; taken as float32.
        alpha: share of the non-zero entries to drop, in [0, 1).
        scale: "l2", "mean" or "full", see `switch_knob`.
    Raises:
        InputError: if alpha is out of range, the scale unknown, or tau not finite.

    Examples:
        >>> import torch
        >>> from tswitch import ternarise

        >>> change = torch.tensor([0.9, -0.1, 0.05, -0.8, 0.0])  # fine-tuned minus base
        >>> found = ternarise(change, alpha=0.5)
        >>> found.codes.tolist(), round(found.scale, 3)
        ([1, 0, 0, -1, 0], 0.855)
    """
    mask = activation_switch(tau, alpha)
    return Ternary(
        polarity_switch(tau) * mask.to(torch.int8), switch_knob(tau, mask, scale), int(torch.count_nonzero(mask))
    )


def activation_switch(tau: Tensor, alpha: float = 0.6) -> Tensor:
    """Which entries act: the largest positive and the largest negative ones (pulse activation).

    Of n positive entries the floor(n (1 - alpha)) largest are kept, with all that tie with the smallest of them; the
    same for negative entries by magnitude. Where that number is 0, all entries of the sign stay, so that tiny tensors
    stay whole.

    Args:
        tau: task vector, any shape and floating dtype; taken as float32.
        alpha: share of the non-zero entries to drop, in [0, 1).
    Returns: bool mask shaped like `tau`; exact zeros are never active.
    Raises:
        InputError: if alpha is out of range or tau is not finite.

    Examples:
        >>> import torch
        >>> from tswitch import activation_switch

        >>> change = torch.tensor([0.9, -0.1, 0.05, -0.8, 0.0])
        >>> activation_switch(change, alpha=0.5).tolist()  # the largest of each sign
        [True, False, False, True, False]
    """
    check_alpha(alpha)
    values = tau.detach().to(torch.float32)
    flat = values.reshape(-1).cpu().numpy()
    select = RadixSelect()
    select.count(flat)
    if select.not_finite:
        raise InputError("tau", got=f"{select.not_finite} NaN or infinite values", expected="finite values")
    set_ranks(select, alpha, "tau")
    select.refine(flat)
    positive, negative = select.thresholds()
    return (values >= positive) | (values <= -negative)


def polarity_switch(tau: Tensor) -> Tensor:
    """The sign of each entry, int8 in {-1, 1}, shaped like `tau`. Zeros, which are never active, get 1.

    Examples:
        >>> import torch
        >>> from tswitch import polarity_switch

        >>> polarity_switch(torch.tensor([0.9, -0.1, 0.0])).tolist()
        [1, -1, 1]
    """
    return torch.where(tau.detach() < 0, -1, 1).to(torch.int8)


def switch_knob(tau: Tensor, mask: Tensor, scale: Scale = DEFAULT_SCALE) -> float:
    """One number for all active entries.

    Args:
        tau: task vector, any shape and floating dtype; taken as float32.
        mask: bool, shaped like `tau`.
        scale: "l2" (paper): norm of the active part over norm of its signs, sqrt(mean tau^2 over the mask);
            "mean": mean |tau| over the mask, which is the closest in least squares and never larger;
            "full": norm of the whole of tau over norm of the signs, sqrt(sum tau^2 / active), so that the switch is as
            long as the change that it stands for, whatever was dropped. Never smaller than "l2".
    Returns: a float32 value; 0.0 if nothing is active.
    Raises:
        InputError: if the scale is unknown or the shapes differ.

    Examples:
        >>> import torch
        >>> from tswitch import activation_switch, switch_knob

        >>> change = torch.tensor([0.9, -0.1, 0.05, -0.8, 0.0])
        >>> mask = activation_switch(change, alpha=0.5)
        >>> [round(switch_knob(change, mask, scale), 3) for scale in ("l2", "mean", "full")]
        [0.851, 0.85, 0.855]
    """
    check_scale(scale)
    if tau.shape != mask.shape:
        raise InputError("mask", got=f"shape {tuple(mask.shape)}", expected=f"{tuple(tau.shape)}, the shape of tau")
    values = tau.detach().to(torch.float32)
    counted = (values if scale == "full" else values[mask]).to(torch.float64).reshape(-1)
    terms = counted.abs() if scale == "mean" else counted.square()
    return knob(math.fsum(terms.tolist()), int(torch.count_nonzero(mask)), scale)


def knob(total: float, active: int, scale: Scale) -> float:
    """Switch knob, a float32 value.

    Args:
        total: sum of squares of the active entries ("l2") or of all ("full"), or of magnitudes of the active ("mean").
        active: number of active entries.
    """
    if not active:
        return 0.0
    mean = total / active
    return float(np.float32(mean if scale == "mean" else math.sqrt(mean)))


def set_ranks(select: RadixSelect, alpha: float, what: str) -> None:
    """Set the ranks of both signs for a drop ratio; `what` names the tensor in the log."""
    ranks = []
    for sign, there in (("positive", select.positives), ("negative", select.negatives)):
        # The 1e-9 mends products such as 10 * (1 - 0.9) = 0.9999999999999998.
        ranks.append(math.floor(there * (1 - alpha) + 1e-9))
        if there and not ranks[-1]:
            _log.info("%s: all %d %s entries stay, too few for a threshold at alpha %g", what, there, sign, alpha)
    select.seek(*ranks)


def check_alpha(alpha: float) -> None:
    """Raise InputError unless alpha is in [0, 1)."""
    if not 0 <= alpha < 1:
        raise InputError("alpha", got=alpha, expected="a share in [0, 1), not a percentage")


def check_scale(scale: str) -> None:
    """Raise InputError unless scale is a known one."""
    if scale not in get_args(Scale):
        raise InputError("scale", got=repr(scale), expected=" or ".join(map(repr, get_args(Scale))))
