"""Caches of callers: what transformers calls them, which ones are taken, and how those of the dense model are read.

A model's keyword argument and the field of its output are `cache` from 5.24 on.

Before 5.24 it was `past_key_values`, a name that 5.24 still takes, with a warning.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, StaticCache
from transformers.modeling_outputs import BaseModelOutputWithPast, MoeModelOutputWithPast

from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._held import Held

CACHE_NAME = next(field.name for field in fields(BaseModelOutputWithPast) if field.name in ("cache", "past_key_values"))
TAKEN = (DynamicCache, StaticCache)  # callers' caches; a prompt leaves them empty, and ours goes with them


def given_cache(cache: Cache | None, past_key_values: Cache | None) -> Cache | None:
    """The cache that a caller gives, under either name in any version.

    Raises:
        InputError: if there is one under each name.
    """
    if cache is not None and past_key_values is not None:
        raise InputError("cache and past_key_values", got="both", expected=f"one of them, `{CACHE_NAME}`")
    return past_key_values if cache is None else cache


def output_with_cache(hidden: Tensor, cache: Cache | None) -> MoeModelOutputWithPast:
    """A decoder's output: hidden states after the final norm, and the cache in the field of the installed version.

    Models of experts ask it for router logits, which are None.
    """
    named: dict[str, Any] = {CACHE_NAME: cache}
    return MoeModelOutputWithPast(last_hidden_state=hidden, **named)


def check_cache(given: Cache | None, *, windowed: bool) -> None:
    """InputError for a cache that stores keys in a form of its own, as a static one does of a sliding window."""
    static = type(given) is StaticCache and windowed
    if given is None or isinstance(given, PrunedCache) or (type(given) in TAKEN and not static):
        return
    raise InputError(CACHE_NAME, got=f"a {type(given).__name__}", expected="none, or transformers' DynamicCache",
                     hint="leave cache_implementation out; a static cache is taken where all blocks see all tokens",
                     )  # fmt: skip


def of_dense(filled: Cache, attention_mask: Tensor | None, rows: int, *, windowed: bool) -> PrunedCache:
    """What the model by itself has cached of a prefix, as a cache to continue from: new tokens see all of it."""
    layers: Any = filled.layers
    made, seen = PrunedCache(len(layers)), filled.get_seq_length()
    real = torch.ones(rows, seen, dtype=torch.bool) if attention_mask is None else attention_mask[:, :seen].cpu() != 0
    made.seen, made.tokens = seen, real.sum(1)
    places = real.cumsum(1) - 1
    made.next_position = torch.full((rows,), seen)
    for block, layer in enumerate(layers):
        keys, values = (one[:, :, :seen] for one in (layer.keys, layer.values))  # a static one has room beyond
        count = keys.shape[2]  # a sliding window holds the last tokens alone
        there = None if bool(real.all()) else real[:, seen - count :].to(keys.device)
        own = places[:, None, seen - count :, None].to(keys.device) if windowed else None
        made.held[block] = Held(keys, values, there=there, places=own)
    return made
