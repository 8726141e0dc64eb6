"""Defects that were found in use, one test each."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, TokenPruner
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.ftp import PublishedPruner, RouterNet
from transformers.cache_utils import StaticCache

GREEDY = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


@torch.no_grad()
def test_left_padded_logits_are_the_models_own(model, ids):
    """The model counts positions over padding; rotary angles of other positions round otherwise (4e-5 off)."""
    mask = torch.ones_like(ids)
    mask[1, :9] = 0
    own = model(ids, attention_mask=mask).logits[mask.bool()]
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)):
        found = model(ids, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(found, own, rtol=0, atol=2e-6)


@pytest.mark.parametrize("router", ["observation", "dynamic", "static"])
def test_making_a_pruner_draws_nothing_from_the_global_generator(model, router):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    made = PublishedPruner(model) if router == "dynamic" else TokenPruner(model, FTPConfig(router=router))
    assert made.config.router == router
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("start", ["random", "static"])
def test_a_net_is_what_its_own_generator_gives(start):
    first, second = (RouterNet(generator=torch.Generator().manual_seed(1), start=start) for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
        assert bool(torch.isfinite(one).all())


def test_right_padding_is_refused_with_its_cause_once_tokens_follow(model, ids):
    mask = torch.ones_like(ids)
    mask[1, -5:] = 0
    with TokenPruner(model), pytest.raises(InputError, match=r"(?s)row 1.*padded on the left.*padding_side"):
        model.generate(ids, attention_mask=mask, **GREEDY)


def test_a_static_cache_is_refused_with_its_cause(model, ids):
    cache = StaticCache(config=model.config, max_cache_len=40)
    with TokenPruner(model), pytest.raises(InputError, match=r"(?s)StaticCache.*DynamicCache.*cache_implementation"):
        model(ids, **{CACHE_NAME: cache})
    with TokenPruner(model), pytest.raises(InputError, match="cache_implementation"):
        model.generate(ids, cache_implementation="static", **GREEDY)
