"""Attention as the transformers' blocks share it."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

Drop = Callable[[Tensor], Tensor]


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, heads: int, drop: Drop) -> Tensor:
    """softmax(q k' / sqrt(d / heads)) v in each head (Vaswani et al. 2017, equation 1).

    Args:
        query, key, value: (rows, steps, d), projected.
        allowed: whether a step sees another, bool (rows, 1, steps, steps).
        heads: that divide d.
        drop: dropout on the shares.
    Returns: (rows, steps, d), heads side by side, not yet projected.
    """
    rows, steps, width = query.shape

    def split(one: Tensor) -> Tensor:
        return one.view(rows, steps, heads, width // heads).transpose(1, 2)

    scores = split(query) @ split(key).transpose(2, 3) / math.sqrt(width // heads)
    share = drop(scores.masked_fill(~allowed, -math.inf).softmax(-1))
    return (share @ split(value)).transpose(1, 2).reshape(rows, steps, width)
