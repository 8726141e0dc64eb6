"""Attention over the kept tokens, as one of transformers' attention functions: the blocks call it, we see what passes.

While a block runs under `ours(config)`, its attention module hands rotated queries, keys and values to `attend`, beside
the `Attention` that the executor passed along: how many kept tokens each row has, what is cached of this block, and
what to note. No mask is ever built for a prompt: kept tokens are in order, so plain causal attention is right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor

NAME = "tokenprune"


@dataclass
class Attention:
    """What one block's attention is to know, and to note.

    Attributes:
        counts: kept tokens of each row, as they lie one after another (ignored if the rows lie side by side).
        past: keys and values of each group of rows (`PrunedCache` explains groups), or None without a cache.
        window: score the keys by this many last queries of each row, or as many as it has; 0 for no scores.
        gate: (B, n) weight of each key, for training; then nothing is gathered.
        all_keys: with a gate: it chooses queries alone, and every key has its full weight.
        others: for each group, keys and values of tokens that give no query, and which key each query sees
            (`_project.py`).
        keys_only: note keys and values, and compute no attention.
        scores: out: for each group the mean attention on its keys, (rows, n).
        present: out: keys and values of each group, (rows, kv_heads, n, head_dim), the past included.
    """

    counts: list[int]
    past: list[tuple[Tensor, Tensor]] | None = None
    window: int = 0
    gate: Tensor | None = None
    all_keys: bool = False
    others: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    keys_only: bool = False
    scores: list[Tensor] = field(default_factory=list)
    present: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float | None = None, dropout: float = 0.0, *, tokenprune: Attention, **others: Any,  # noqa: ARG001
) -> tuple[Tensor, None]:  # fmt: skip
    """Query (R, heads, n, head_dim), key and value (R, kv_heads, n, head_dim) -> (R, n, heads, head_dim)."""
    if others.get("softcap") is not None:
        raise InputError("model", got="attention with soft-capped logits", expected="plain softmax attention")
    if tokenprune.keys_only:
        tokenprune.present.append((key, value))
        return query.transpose(1, 2), None
    if tokenprune.gate is not None:
        return _gated(query, key, value, tokenprune, scaling).transpose(1, 2), None
    outputs = []
    for index, (q, k, v) in enumerate(_groups(query, key, value, tokenprune)):
        if tokenprune.past is not None and tokenprune.past:
            before_k, before_v = tokenprune.past[index]
            k, v = torch.cat([before_k, k], 2), torch.cat([before_v, v], 2)
        seen = None
        if tokenprune.others:
            more_k, more_v, seen = tokenprune.others[index]
            k, v = torch.cat([k, more_k], 2), torch.cat([v, more_v], 2)
        outputs.append(_causal(q, k, v, scaling, seen))
        if tokenprune.past is not None:
            tokenprune.present.append((k, v))
        if tokenprune.window:
            last = slice(-tokenprune.window, None)
            tokenprune.scores.append(key_scores(q[:, :, last], k, scaling, None if seen is None else seen[:, :, last]))
    if len(outputs) == 1:
        return outputs[0].transpose(1, 2), None
    return torch.cat(outputs, 2 if query.shape[0] == 1 else 0).transpose(1, 2), None


def _groups(query: Tensor, key: Tensor, value: Tensor, about: Attention) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Rows of equal length in one piece; else each row for itself, cut from where the rows lie one after another."""
    rows = query.shape[0]
    if rows == len(about.counts):
        if about.past and len(about.past) > 1:  # new tokens side by side over pasts of different lengths
            return [(query[r : r + 1], key[r : r + 1], value[r : r + 1]) for r in range(rows)]
        return [(query, key, value)]
    pieces = [one.split(about.counts, 2) for one in (query, key, value)]
    return list(zip(*pieces, strict=True))


def _causal(query: Tensor, key: Tensor, value: Tensor, scaling: float | None, mask: Tensor | None = None) -> Tensor:
    new, seen = query.shape[2], key.shape[2]
    if mask is None and 1 < new < seen:  # several new tokens over a cache: each sees the past and those before it
        mask = torch.ones(new, seen, dtype=torch.bool, device=query.device).tril(seen - new)
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None and new > 1, scale=scaling, enable_gqa=grouped
    )


def key_scores(query: Tensor, key: Tensor, scaling: float | None, seen: Tensor | None = None) -> Tensor:
    """Mean attention on each key by the last queries (section 2.5 of the summary; O(w n), never n by n).

    Args:
        query: (R, heads, w, head_dim), the last w of the kept tokens.
        key: (R, kv_heads, n, head_dim), n >= w.
        scaling: factor of the logits.
        seen: (R, 1, w, n) which key each query sees; if left out, all up to its own.
    Returns: (R, n), non-negative, each row sums to one.
    """
    rows, heads, last, width = query.shape
    kv_heads, n = key.shape[1], key.shape[2]
    factor = width**-0.5 if scaling is None else scaling
    grouped = query.reshape(rows, kv_heads, heads // kv_heads * last, width)
    logits = (grouped @ key.transpose(2, 3)).float().view(rows, heads, last, n) * factor
    if seen is not None:
        logits = logits.masked_fill(~seen, float("-inf"))
    elif last > 1:
        later = torch.ones(last, n, dtype=torch.bool, device=query.device).triu(n - last + 1)
        logits = logits.masked_fill(later, float("-inf"))
    return logits.softmax(-1).mean((1, 2))


def _gated(query: Tensor, key: Tensor, value: Tensor, about: Attention, scaling: float | None) -> Tensor:
    """A'_qk = A_qk g_k / sum_m A_qm g_m: with hard gates the value that attention over the kept keys alone gives."""
    _rows, heads, n, width = query.shape
    repeat = heads // key.shape[1]
    key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    logits = (query @ key.transpose(2, 3)).float() * (width**-0.5 if scaling is None else scaling)
    assert about.gate is not None
    gate = torch.ones_like(about.gate) if about.all_keys else about.gate
    later = torch.ones(n, n, dtype=torch.bool, device=query.device).triu(1)
    shut = later | (gate[:, None, None, :] <= 0)
    most = logits.masked_fill(shut, float("-inf")).amax(-1, keepdim=True).detach()
    weights = torch.exp((logits - most).clamp(max=30)).masked_fill(later, 0) * gate[:, None, None, :]
    weights = weights / weights.sum(-1, keepdim=True)
    if about.window:  # by the last kept queries, as where the others are not computed
        place = torch.arange(n, device=query.device).masked_fill(about.gate.detach() <= 0, -1)
        last = place.topk(min(about.window, n), dim=1)
        theirs = weights.detach().gather(2, last.indices[:, None, :, None].expand(-1, heads, -1, n)).mean(1)
        real = (last.values >= 0)[..., None]  # a row may have fewer kept queries than that
        about.scores.append((theirs * real).sum(1) / real.sum(1))
    return weights.to(value.dtype) @ value


@contextlib.contextmanager
def ours(config: Any) -> Iterator[None]:
    """Attention modules of this config call `attend` inside the block; what they called before comes back after it."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    before = config._attn_implementation_internal
    config._attn_implementation_internal = NAME
    try:
        yield
    finally:
        config._attn_implementation_internal = before
