"""A pruned model under torch.compile, and with transformers' static caches."""

from __future__ import annotations

import pytest
import torch
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from transformers.cache_utils import StaticCache

GREEDY = {"max_new_tokens": 2, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
NEW = 70  # more than a cache has room for


@pytest.fixture
def model():
    return tiny_model(num_hidden_layers=2, seed=2)  # each block takes a second to trace


@pytest.fixture
def mask(ids):
    made = torch.ones_like(ids)
    made[1, :9] = 0
    return made


def _decoded(model, forward, ids, mask, expected, *, new=NEW):
    """Logits (B, 1 + new, vocabulary): of the prompt's last token, then of the expected tokens one at a time."""
    out = forward(ids, attention_mask=mask, logits_to_keep=1, use_cache=True)
    held, found = out[CACHE_NAME], [out.logits[:, -1]]
    yield found[0]
    for at in range(new):
        one = expected[:, ids.shape[1] + at, None]
        seen = torch.cat([mask, torch.ones(len(ids), at + 1, dtype=torch.long)], 1)
        yield forward(one, attention_mask=seen, logits_to_keep=1, **{CACHE_NAME: held}).logits[:, -1]


@torch.no_grad()
@pytest.mark.parametrize(("family", "layers", "padded"), [
    ("llama", 2, False), ("llama", 4, True), ("mistral", 2, True),
])  # fmt: skip
def test_a_prompt_is_two_graphs_and_any_number_of_new_tokens_two(ids, mask, family, layers, padded):
    """One graph of all blocks and one of the head; new tokens outgrow the room of their caches on the way."""
    sizes: list[int] = []

    def counting(graph, _inputs):
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    windows = {"sliding_window": 16, "layer_types": None} if family == "mistral" else {}
    model = tiny_model(family, num_hidden_layers=layers, seed=2, **windows)
    mask = mask if padded else torch.ones_like(mask)
    options = {**GREEDY, "max_new_tokens": NEW, "min_new_tokens": NEW}
    with TokenPruner(model, FTPConfig(target_sparsity=0.4)):
        expected = model.generate(ids, attention_mask=mask, **options)
        compiled = _decoded(model, torch.compile(model, backend=counting), ids, mask, expected)
        plain = _decoded(model, model, ids, mask, expected)
        torch.testing.assert_close(next(compiled), next(plain), rtol=0, atol=2e-5)
        prompt = list(sizes)
        sizes.clear()
        for found, own in zip(compiled, plain, strict=True):
            torch.testing.assert_close(found, own, rtol=0, atol=2e-5)
    assert len(prompt) == len(sizes) == 2
    assert min(max(prompt), max(sizes)) > 20 * layers  # the blocks themselves are in them
    torch._dynamo.reset()


@torch.no_grad()
def test_a_second_turn_and_tokens_taken_back_are_the_same_compiled(model, ids):
    def turns(forward):
        mask, found = torch.ones_like(ids), []
        held = forward(ids, attention_mask=mask, logits_to_keep=1, use_cache=True)[CACHE_NAME]
        for turn in (ids[:, :1], ids[:, 1:2], ids[:, 2:9], ids[:, 9:10], ids[:, 10:12]):
            mask = torch.cat([mask, torch.ones_like(turn)], 1)
            found.append(forward(turn, attention_mask=mask, logits_to_keep=1, **{CACHE_NAME: held}).logits)
            if turn.shape[1] == 1:
                held.crop(-1)
                mask = mask[:, :-1]
        return torch.cat(found)

    torch._dynamo.reset()
    with TokenPruner(model, FTPConfig(target_sparsity=0.4)):
        torch.testing.assert_close(turns(torch.compile(model, backend="eager")), turns(model), rtol=0, atol=2e-5)
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
