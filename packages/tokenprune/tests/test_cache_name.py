"""The name of the cache: `cache` from transformers 5.24 on, `past_key_values` before, which 5.24 takes as well."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import fields

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, PrunedCache, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from transformers.cache_utils import DynamicCache, EncoderDecoderCache, StaticCache
from transformers.generation import GenerateDecoderOnlyOutput
from transformers.modeling_outputs import CausalLMOutputWithPast

from .conftest import FAMILIES

SCHEDULE = (0.0, 0.25, 0.5, 0.4)
GREEDY = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
TAKEN = sorted({CACHE_NAME, "past_key_values"})  # by the installed transformers

old_name = pytest.mark.filterwarnings("ignore:.*past_key_values:FutureWarning")


@pytest.fixture
def pruner(model):
    return TokenPruner(model, FTPConfig(router="static"), SCHEDULE)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_name_is_that_of_each_supported_model(family):
    family_model = tiny_model(family)
    for module in (family_model, family_model.get_decoder()):
        assert CACHE_NAME in inspect.signature(module.forward).parameters


@pytest.mark.parametrize("output", [CausalLMOutputWithPast, GenerateDecoderOnlyOutput])
def test_the_name_is_that_of_the_outputs(output):
    assert CACHE_NAME in {field.name for field in fields(output)}


@old_name
@torch.no_grad()
@pytest.mark.parametrize("name", TAKEN)
def test_new_tokens_go_on_from_a_cache_given_under_each_name_that_transformers_takes(pruner, model, ids, name):
    prompt, new, decoder = ids[:, :18], ids[:, 18:19], model.get_decoder()
    executor, held = pruner.executor(), PrunedCache(4)
    executor.prefill(executor.start(prompt), held)
    expected = decoder.norm(executor.decode(decoder.embed_tokens(new), held))
    with pruner:
        pruned, empty = model(prompt, logits_to_keep=1)[CACHE_NAME], DynamicCache(config=model.config)
        assert torch.equal(model(new, **{name: pruned}).logits, model.lm_head(expected))
        model(prompt, logits_to_keep=1, **{name: empty})  # the caller's own cache
        assert torch.equal(decoder(new, **{name: empty}).last_hidden_state, expected)


def static(model):
    return StaticCache(config=model.config, max_cache_len=40)


@old_name
@torch.no_grad()
@pytest.mark.parametrize("name", TAKEN)
def test_generate_takes_a_cache_under_each_name_that_transformers_takes(pruner, model, ids, name):
    with pruner:
        expected = model.generate(ids, **GREEDY)
        assert torch.equal(model.generate(ids, **{name: DynamicCache(config=model.config)}, **GREEDY), expected)
        assert torch.equal(model.generate(ids, **{name: static(model)}, **GREEDY), expected)


@old_name
@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_a_cache_of_another_kind_is_refused_under_either_name(pruner, model, ids, name):
    """Continuous batching gives its paged cache as `cache` in every version."""
    with pruner, pytest.raises(InputError, match=f"(?s){CACHE_NAME}: got a EncoderDecoderCache.*DynamicCache"):
        model(ids, **{name: EncoderDecoderCache(DynamicCache(), DynamicCache())})


def test_a_cache_under_each_name_is_refused(pruner, model, ids):
    caches = {name: DynamicCache(config=model.config) for name in ("cache", "past_key_values")}
    with pruner, pytest.raises(InputError, match=f"(?s)got both.*`{CACHE_NAME}`"):
        model.model(ids, **caches)


@torch.no_grad()
def test_no_name_that_transformers_warns_of_is_used(pruner, model, ids):
    with pruner, warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        first = model.generate(ids, return_dict_in_generate=True, **GREEDY)
        model.generate(first.sequences, **{CACHE_NAME: first[CACHE_NAME]}, **GREEDY)
