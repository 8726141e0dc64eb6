"""Attention over the kept tokens, as one of transformers' attention functions: the blocks call it, we see what passes.

While a block runs under `ours(config)`, its attention module hands rotated queries, keys and values to `attend`, with
the `Attention` that the executor passed along: how many kept tokens each row has, what is cached of this block, and
what to note. No mask is ever built for a prompt: kept tokens are in order, so plain causal attention is right, also
for rows that keep different numbers (`_ragged.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.executor._held import Fixed, Held
from tokenprune.executor._ragged import Ragged, last_columns, packed, packed_attention
from tokenprune.executor._replaced import replaced

NAME = "tokenprune"


@dataclass(frozen=True)
class Form:
    """How one block turns queries and keys into weights.

    Attributes:
        scaling: factor of the logits; None: head_dim^-0.5.
        window: sliding window in tokens.
        softcap: logits are softcap tanh(logits / softcap), as Gemma 2's.
        sinks: (heads,) logit of each head that takes weight and gives no value, as gpt-oss has.
    """

    scaling: float | None = None
    window: int | None = None
    softcap: float | None = None
    sinks: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether weights are the softmax of scaled products."""
        return self.softcap is None and self.sinks is None

    def weights(self, products: Tensor, seen: Tensor, width: int) -> Tensor:
        """Products of queries and keys (R, heads, q, n), which of these are seen -> weights in float32."""
        logits = products.float() * (width**-0.5 if self.scaling is None else self.scaling)
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        logits = logits.masked_fill(~seen, -1e30)
        if self.sinks is None:
            return logits.softmax(-1)
        sinks = self.sinks.float()[None, :, None, None].expand(*logits.shape[:3], 1)
        return torch.cat([logits, sinks], -1).softmax(-1)[..., :-1]


class Looked(Exception):  # noqa: N818  (no error: a block that was only to be looked at ends here)
    """The scores that were asked for are there; the rest of the block is not run."""


@dataclass
class Attention:
    """What one block's attention is to know, and to note.

    Attributes:
        counts: kept tokens of each row; where queries have another number of rows, these lie one after another.
        cached: note keys and values.
        past: what the block holds of earlier tokens.
        window: score the keys by this many last queries of each row, or as many as it has; 0 for no scores. Of new
            tokens over a cache their own queries alone are noted.
        windows: how many of these queries count in each row; empty: all.
        remembered: how many last queries are noted, at least `window`.
        reduction: how a key's score is had from the attention of heads and queries on it (`Router.reduction`).
        heads: score by each of these heads alone, and end there (`Looked`); empty: the block runs.
        gate: (B, n) weight of each key, for training; then nothing is gathered.
        places: (R, n) which token of its row each is, where some block sees a sliding window; None elsewhere.
        beyond: whether the prompt is longer than the window.
        queries: out: the last queries of each row, (B, heads, up to `remembered`, head_dim), columns of rows that
            have fewer without meaning; of new tokens over a cache all of theirs.
        form: out: how the block turns queries and keys into weights.
        scores: out: the attention on each key, row after row; with `heads` (B, heads, L), the maximum over queries.
        present: out: keys and values, the past included.
    """

    counts: list[int]
    cached: bool = False
    past: Held | Fixed | None = None
    window: int = 0
    windows: Sequence[int] = ()
    remembered: int = 0
    reduction: str = "mean"
    heads: tuple[int, ...] = ()
    gate: Tensor | None = None
    places: Tensor | None = None
    beyond: bool = False
    form: Form | None = None
    queries: Tensor | None = None
    scores: Tensor | None = None
    present: Held | None = None


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float | None = None, dropout: float = 0.0, *, tokenprune: Attention, **others: Any,  # noqa: ARG001
) -> tuple[Tensor, None]:  # fmt: skip
    """Query (R, heads, n, head_dim), key and value (R, kv_heads, n, head_dim) -> (R, n, heads, head_dim)."""
    about, window = tokenprune, others.get("sliding_window")
    form = about.form = Form(scaling, window if isinstance(window, int) else None, others.get("softcap"),
                             others.get("s_aux"))  # fmt: skip
    if about.gate is not None:
        if not form.plain:
            raise InputError(
                "model", got="soft-capped attention or sinks", expected="plain softmax attention to train in"
            )
        out = _gated(query, key, value, about, scaling)
    elif about.past is not None:
        places = None if about.places is None else about.places[:, None, :, None]
        held = about.past.extended(key, value, places)
        about.present = held if isinstance(held, Held) else None  # a fixed one is written in place
        seen = held.seen(query.shape[2], form.window if about.beyond else None)
        out = _causal(query, held.keys, held.values, form, seen)
        if about.window:
            about.queries = query.clone()
    else:
        out = _kept(query, key, value, about, form)
    return out.transpose(1, 2), None


def _kept(query: Tensor, key: Tensor, value: Tensor, about: Attention, form: Form) -> Tensor:
    """Kept tokens among themselves."""
    if about.heads:
        group, some = query.shape[1] // key.shape[1], list(about.heads)
        query, key, about.reduction = query[:, some], key[:, [head // group for head in some]], "each"
        form = replace(form, sinks=None if form.sinks is None else form.sinks[some])
    ragged = Ragged(about.counts, query.device) if query.shape[0] != len(about.counts) else None
    places = None if about.places is None else about.places[:, None, :, None]
    if about.cached:
        about.present = Held(key, value, ragged, places=places)
    near = None
    if places is not None and form.window is not None and about.beyond:
        near = _within(places if ragged is None else ragged.side_by_side(places), form.window)
    if ragged is None:
        if about.window:
            noted = max(about.window, about.remembered)
            about.queries = query[:, :, -noted:].clone()  # a view would hold the queries of the whole prompt
            seen = None if near is None else near[:, :, -about.window :]
            if about.windows:
                last, n = min(about.window, key.shape[2]), key.shape[2]
                seen = _up_to(last, n, query.device) if seen is None else seen
                seen = seen & _counting(about.windows, last, query.device)
            about.scores = key_scores(query[:, :, -about.window :], key, form, seen, about.reduction)
        if about.heads:
            raise Looked
        return _causal(query, key, value, form, near)
    rows, keys = (ragged.side_by_side(one) for one in (query, key))
    if about.window:
        noted = last_columns(about.counts, max(about.window, about.remembered), query.device)
        last = noted[:, -about.window :]
        seen = torch.arange(ragged.longest, device=query.device) <= last[:, None, :, None]
        if near is not None:
            seen = seen & _at(near, last)
        if about.windows:
            seen = seen & _counting(about.windows, about.window, query.device)
        about.queries = _at(rows, noted)
        about.scores = key_scores(about.queries[:, :, -about.window :], keys, form, seen, about.reduction)
        if about.heads:
            raise Looked
        about.scores = about.scores.flatten().index_select(0, ragged.slots)
    if form.plain and near is None and packed(query):
        return packed_attention(query, key, value, about.counts, form.scaling)
    return ragged.one_after_another(_causal(rows, keys, ragged.side_by_side(value), form, near))


def _within(places: Tensor, window: int) -> Tensor:
    """Positions (B, 1, n, 1) -> (B, 1, n, n) which tokens each sees: those before it, within the window."""
    causal = torch.ones(places.shape[2], places.shape[2], dtype=torch.bool, device=places.device).tril()
    return causal & (places.mT > places - window)


def _up_to(new: int, total: int, device: torch.device) -> Tensor:
    """(1, 1, new, total) which of so many tokens the last ones see: all up to their own."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)[None, None]


def _counting(windows: Sequence[int], last: int, device: torch.device) -> Tensor:
    """(B, 1, last, 1) which of the last queries are among the so many that count in each row."""
    from_end = torch.arange(last, 0, -1, device=device)
    return (from_end <= torch.tensor(windows, device=device)[:, None])[:, None, :, None]


def scoring_by(windows: Sequence[int], *, scores: bool = True) -> dict[str, Any]:
    """Settings `window` and `windows` of an `Attention`, of how many last queries of each row score the keys."""
    alike = len(set(windows)) == 1
    return {"window": max(windows) * scores, "windows": () if alike or not scores else windows}


def scores_over(
    queries: Tensor, held: Held, form: Form, reduction: str, *, beyond: bool = False, windows: Sequence[int] = ()
) -> Tensor:  # fmt: skip
    """(T,) attention of the last queries on each token that a block holds, row after row.

    `windows`: how many of these queries count in each row; empty: all.
    """
    rows, last, total = queries.shape[0], queries.shape[2], held.keys.shape[2]
    there = queries.new_ones(rows, total, dtype=torch.bool) if held.there is None else held.there
    place = (there.cumsum(1) - 1)[:, None, None]
    own = there.sum(1)[:, None] - last + torch.arange(last, device=there.device)  # negative: the row has fewer
    seen = (place <= own[:, None, :, None]) & there[:, None, None]
    if beyond and form.window is not None and held.places is not None:
        at = held.places.expand(rows, -1, -1, -1)[:, 0, :, 0]
        theirs = torch.where(seen[:, 0], at[:, None], -1).amax(-1)  # a query's own position is the last that it sees
        seen = seen & (at[:, None, None] > theirs[:, None, :, None] - form.window)
    if windows:
        seen = seen & _counting(windows, last, seen.device)
    return key_scores(queries, held.keys, form, seen, reduction)[there]


def _at(rows: Tensor, columns: Tensor) -> Tensor:
    """(B, h, n, m), (B, w) -> (B, h, w, m); columns below zero give what means nothing."""
    return rows.gather(2, columns.clamp(min=0)[:, None, :, None].expand(-1, rows.shape[1], -1, rows.shape[3]))


_QUERIES = 256  # rows of the matrix of weights at a time, where no fused kernel takes the form


def _causal(query: Tensor, key: Tensor, value: Tensor, form: Form, mask: Tensor | None = None) -> Tensor:
    """Attention of queries on keys up to their own; a mask says all that they see."""
    grouped = query.shape[1] != key.shape[1]
    if form.plain:
        causal = mask is None and query.shape[2] > 1
        if grouped and query.shape[2] == 1:  # heads that share keys as queries of one head: keys are read once
            shared = query.view(*key.shape[:2], -1, query.shape[3])
            out = F.scaled_dot_product_attention(shared, key, value, attn_mask=mask, scale=form.scaling)
            return out.reshape(query.shape)
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, scale=form.scaling, enable_gqa=grouped
        )
    if grouped:
        key, value = (one.repeat_interleave(query.shape[1] // one.shape[1], 1) for one in (key, value))
    new, total = query.shape[2], key.shape[2]
    if mask is None:
        mask = _up_to(new, total, query.device)
    parts = []
    for start in range(0, new, _QUERIES):
        some = slice(start, start + _QUERIES)
        weights = form.weights(query[:, :, some] @ key.mT, mask[:, :, some], query.shape[-1])
        parts.append(weights.to(value.dtype) @ value)
    return torch.cat(parts, 2)


def key_scores(
    query: Tensor, key: Tensor, form: Form, seen: Tensor | None = None, reduction: str = "mean"
) -> Tensor:  # fmt: skip
    """Attention on each key by the last queries (section 2.5 of the summary; O(w n), never n by n).

    Args:
        query: (R, heads, w, head_dim), the last w of the kept tokens.
        key: (R, kv_heads, n, head_dim), n >= w.
        form: how products become weights.
        seen: (R, 1, w, n) which key each query sees; one that sees none does not count; if left out, all up to its own.
        reduction: over heads and queries, "mean", "max" or "weighted" (`Router.reduction`); "each": over queries alone.
    Returns: (R, n), in [0, 1]; means, weighted or not, sum to one in each row, but for sinks. (R, heads, n) for "each".
    """
    rows, heads, last, width = query.shape
    kv_heads, n = key.shape[1], key.shape[2]
    grouped = query.reshape(rows, kv_heads, heads // kv_heads * last, width)
    products = (grouped @ key.transpose(2, 3)).view(rows, heads, last, n)
    if seen is None:
        seen = _up_to(last, n, query.device)
    weights = form.weights(products, seen, width) * seen
    return _reduced(weights, seen.expand(rows, 1, last, n).any(-1).to(weights.dtype), reduction)


def _reduced(weights: Tensor, real: Tensor, reduction: str) -> Tensor:
    """Attention (R, heads, w, n), queries that count (R, 1, w) -> scores (R, n)."""
    if reduction == "max":
        return (weights * real[..., None]).amax((1, 2))
    if reduction == "each":
        return (weights * real[..., None]).amax(2)
    if reduction == "weighted":
        real = real * torch.arange(1, real.shape[-1] + 1, device=real.device)
    return (weights.mean(1) * real[:, 0, :, None]).sum(1) / real.sum(-1).clamp(min=1)


def _gated(query: Tensor, key: Tensor, value: Tensor, about: Attention, scaling: float | None) -> Tensor:
    """A'_qk = A_qk g_k / sum_m A_qm g_m: with hard gates the value that attention over the kept keys alone gives.

    The gradient to the gate of a key that is shut is what opening that key alone would change, w / (sum + w) times the
    step of its value. The slope at g = 0, w / sum, has no bound: a query whose sharpest key is shut (the token before
    it, say) makes it a million, and all other gradients vanish when the norm is clipped.
    """
    _rows, heads, n, width = query.shape
    repeat = heads // key.shape[1]
    key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    logits = (query @ key.transpose(2, 3)).float() * (width**-0.5 if scaling is None else scaling)
    gate = about.gate
    assert gate is not None
    later = torch.ones(n, n, dtype=torch.bool, device=query.device).triu(1)
    shut = later | (gate[:, None, None, :] <= 0)
    most = logits.masked_fill(shut, float("-inf")).amax(-1, keepdim=True).detach()
    weights = torch.exp((logits - most).clamp(max=30)).masked_fill(later, 0)
    if gate.requires_grad:
        total = (weights * gate[:, None, None, :]).detach().sum(-1, keepdim=True)
        weights = torch.where(shut, weights * (total / (total + weights)), weights)
    weights = weights * gate[:, None, None, :]
    weights = weights / weights.sum(-1, keepdim=True)
    if about.window:  # by the last kept queries, as where the others are not computed
        place = torch.arange(n, device=query.device).masked_fill(gate.detach() <= 0, -1)
        last = place.topk(min(about.window, n), dim=1)
        theirs = weights.detach().gather(2, last.indices[:, None, :, None].expand(-1, heads, -1, n))
        real = (last.values >= 0).to(theirs.dtype)  # a row may have fewer kept queries than that
        order = last.values.sort(dim=1).indices  # the latest at the end
        theirs = theirs.gather(2, order[:, None, :, None].expand_as(theirs))
        about.scores = _reduced(theirs, real.gather(1, order)[:, None], about.reduction)
    return weights.to(value.dtype) @ value


def ours(config: Any) -> AbstractContextManager[None]:
    """Attention modules of this config call `attend` inside the block; what they called before comes back after it."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    return replaced(config, "_attn_implementation_internal", NAME)
