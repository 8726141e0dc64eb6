"""Functions that are read as the calls of which they are made: attention, products by indices, unit vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_fsg.packing._values import RefusedError


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Any = None, dropout_p: float = 0.0, **more: Any
) -> Tensor:
    if (
        mask is not None
        or dropout_p
        or more.get("is_causal")
        or more.get("enable_gqa")
        or more.get("attn_mask") is not None
    ):
        raise RefusedError("with a mask, dropout or groups of heads")
    scale = more.get("scale") or query.shape[-1] ** -0.5
    return torch.matmul((torch.matmul(query, key.transpose(-2, -1)) * scale).softmax(-1), value)


def _heads(
    query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, weight: Any, bias: Any, bias_k: Any, bias_v: Any,
    zero: bool, dropout: float, out_weight: Tensor, out_bias: Any, *, training: bool = True, need_weights: bool = True,
    **more: Any,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """torch's `multi_head_attention_forward`, over (tokens, batch, width)."""
    others = [bias_k, bias_v, more.get("key_padding_mask"), more.get("attn_mask"), *[weight] * (weight is None)]
    if zero or (training and dropout) or weight is None or any(one is not None for one in others):
        raise RefusedError("with a mask, dropout, or keys and values of other widths")
    biases = (None, None, None) if bias is None else bias.chunk(3)
    inputs = zip((query, key, value), weight.chunk(3), biases, strict=True)
    made = (F.linear(x, w, b) for x, w, b in inputs)
    q, k, v = (x.view(*x.shape[:2], heads, width // heads).permute(1, 2, 0, 3) for x in made)
    scores = (torch.matmul(q, k.transpose(-2, -1)) * (width // heads) ** -0.5).softmax(-1)
    done = torch.matmul(scores, v).permute(2, 0, 1, 3).reshape(query.shape)
    return F.linear(done, out_weight, out_bias), scores.mean(1) if need_weights else None


def _einsum(equation: str, *given: Any) -> Tensor:
    """Two values whose indices are shared by both and the result, summed over, or of one alone."""
    operands = given[0] if len(given) == 1 else given
    sides, _, result = equation.replace(" ", "").partition("->")
    names = sides.split(",")
    if len(operands) != 2 or len(names) != 2 or "." in equation or not result:
        raise RefusedError(f"of {equation!r}")
    one, two = names
    shared, summed = ([i for i in one if i in two and (i in result) == kept] for kept in (True, False))
    left, right = ([i for i in some if i not in other] for some, other in ((one, two), (two, one)))
    if len(left) != 1 or len(right) != 1 or len(summed) != 1 or {*shared, *left, *right} != set(result):
        raise RefusedError(f"of {equation!r}")
    first = operands[0].permute([one.index(i) for i in [*shared, *left, *summed]])
    second = operands[1].permute([two.index(i) for i in [*shared, *summed, *right]])
    made = [*shared, *left, *right]
    return torch.matmul(first, second).permute([made.index(i) for i in result])


def _normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Tensor:
    if p != 2 or out is not None:
        raise RefusedError(f"by a norm of power {p}")
    count = x.shape[dim]
    return x * ((x * x).mean(dim, keepdim=True).clamp(min=eps * eps / count).rsqrt() * count**-0.5)


COMPOSITES: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": _attention, "multi_head_attention_forward": _heads, "einsum": _einsum,
    "normalize": _normalize,
}  # fmt: skip
