"""A pruned model under torch.compile, and with transformers' static caches."""

from __future__ import annotations

import pytest
import torch
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from transformers.cache_utils import StaticCache

GREEDY = {"max_new_tokens": 2, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
NEW = 64


@pytest.fixture
def model():
    return tiny_model(num_hidden_layers=2, seed=2)  # each block takes a second to trace


@pytest.fixture
def mask(ids):
    made = torch.ones_like(ids)
    made[1, :9] = 0
    return made


@torch.no_grad()
@pytest.mark.parametrize("padded", [False, True])
def test_any_number_of_new_tokens_is_at_most_two_graphs(model, ids, mask, padded):
    sizes: list[int] = []

    def counting(graph, _inputs):
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    mask = mask if padded else torch.ones_like(mask)
    options = {**GREEDY, "max_new_tokens": NEW, "min_new_tokens": NEW}
    with TokenPruner(model, FTPConfig(target_sparsity=0.4)):
        expected = model.generate(ids, attention_mask=mask, **options)
        compiled = torch.compile(model, backend=counting)
        held = compiled(ids, attention_mask=mask, logits_to_keep=1, use_cache=True)[CACHE_NAME]
        prompt, found = list(sizes), [ids]
        sizes.clear()
        for at in range(NEW):
            one = expected[:, ids.shape[1] + at, None]
            seen = torch.cat([mask, torch.ones(len(ids), at + 1, dtype=torch.long)], 1)
            out = compiled(one, attention_mask=seen, logits_to_keep=1, **{CACHE_NAME: held})
            found.append(out.logits[:, -1].argmax(-1)[:, None])
        assert 1 <= len(prompt) <= len(model.model.layers) + 2
        assert len(sizes) <= 2
        assert max(prompt) > 20 * len(model.model.layers)  # the blocks themselves are in them
        assert torch.equal(torch.cat(found[1:-1], 1), expected[:, ids.shape[1] + 1 :])
    torch._dynamo.reset()


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
