"""What transformers calls a cache, among a model's keyword arguments and in its output: `cache` from 5.24 on.

Before 5.24 it was `past_key_values`, a name that 5.24 still takes, with a warning.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ninefold.errors import InputError
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast, MoeModelOutputWithPast

CACHE_NAME = next(field.name for field in fields(BaseModelOutputWithPast) if field.name in ("cache", "past_key_values"))


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
