"""A pruned model under torch.compile, and with transformers' static caches."""

from __future__ import annotations

import pytest
import torch
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from transformers.cache_utils import StaticCache

GREEDY = {"max_new_tokens": 2, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
MOST = 4  # graphs of one forward


@pytest.fixture
def model():
    return tiny_model(num_hidden_layers=2, seed=2)  # each block takes a second to trace


@pytest.fixture
def mask(ids):
    made = torch.ones_like(ids)
    made[1, :9] = 0
    return made


@torch.no_grad()
def test_prompt_and_decoding_are_traced_in_few_graphs(model, ids, mask):
    torch._dynamo.reset()
    with TokenPruner(model, FTPConfig(target_sparsity=0.4)):
        prompt = {"attention_mask": mask, "logits_to_keep": 1}
        first = torch._dynamo.explain(model)(ids, **prompt)
        longer = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        held = {CACHE_NAME: model(ids, **prompt)[CACHE_NAME]}
        new = torch._dynamo.explain(model)(ids[:, :1], attention_mask=longer, **held)
    assert 1 <= first.graph_count <= MOST
    assert 1 <= new.graph_count <= MOST
    assert first.op_count > 20 * len(model.model.layers)  # the blocks themselves are in them


@torch.no_grad()
def test_a_compiled_model_generates_the_same(model, ids, mask, monkeypatch):
    with TokenPruner(model, FTPConfig(target_sparsity=0.4)):
        expected = model.generate(ids, attention_mask=mask, **GREEDY)
        torch._dynamo.reset()
        monkeypatch.setattr(model, "forward", torch.compile(model.forward, backend="eager"))
        assert torch.equal(model.generate(ids, attention_mask=mask, **GREEDY), expected)
    torch._dynamo.reset()


@torch.no_grad()
def test_a_static_cache_is_taken_empty_and_with_a_prefix(model, ids, mask):
    def prefix():
        held = {CACHE_NAME: StaticCache(config=model.config, max_cache_len=40)}
        return {CACHE_NAME: model(ids[:, :16], attention_mask=mask[:, :16], use_cache=True, **held)[CACHE_NAME]}

    stock = model.generate(ids, attention_mask=mask, **GREEDY)
    after, again = model.generate(ids, attention_mask=mask, **prefix(), **GREEDY), prefix()
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)):
        assert torch.equal(model.generate(ids, attention_mask=mask, cache_implementation="static", **GREEDY), stock)
        assert torch.equal(model.generate(ids, attention_mask=mask, **again, **GREEDY), after)
    with TokenPruner(model, FTPConfig(target_sparsity=0.4)):
        pruned = model.generate(ids, attention_mask=mask, **GREEDY)
        static = model.generate(ids, attention_mask=mask, cache_implementation="static", **GREEDY)
    assert torch.equal(static, pruned)
