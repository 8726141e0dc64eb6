"""Each family from its config: equal to the model itself where nothing is skipped, and running where much is."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Executor, FTPConfig, Layout, PrunedCache, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.models._families import FAMILIES

GREEDY = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
WINDOWED = ["mistral", "gemma2", "gemma3", "gpt_oss", "olmo3", "cohere2"]


@pytest.fixture
def mask(ids):
    made = torch.ones_like(ids)
    made[1, :9] = 0
    return made


@torch.no_grad()
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_family_gives_its_own_logits_at_no_sparsity_and_runs_at_two_fifths(family, ids, mask):
    model = tiny_model(family, seed=2)
    own, said = model(ids, attention_mask=mask).logits, model.generate(ids, attention_mask=mask, **GREEDY)
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)) as pruner:
        found = model(ids, attention_mask=mask).logits
        assert torch.equal(model.generate(ids, attention_mask=mask, **GREEDY), said)
    torch.testing.assert_close(found[mask.bool()], own[mask.bool()], rtol=0, atol=1e-6)
    pruner = TokenPruner(model, FTPConfig(target_sparsity=0.4))
    with pruner:
        together = model.generate(ids, attention_mask=mask, **GREEDY)
        alone = model.generate(ids[1:2, 9:], **GREEDY)
    assert torch.equal(together[1, 24:], alone[0, 15:])
    assert pruner.report(ids, mask).sparsity == pytest.approx(0.4, abs=0.05)


@torch.no_grad()
@pytest.mark.parametrize("family", WINDOWED)
def test_a_sliding_window_is_one_of_original_positions(family, ids, mask):
    """Prompts of three times the window, its decoding, its chunks, its second turns."""
    model = tiny_model(family, seed=2, sliding_window=8)
    own, said = model(ids, attention_mask=mask).logits, model.generate(ids, attention_mask=mask, **GREEDY)
    wide = tiny_model(family, seed=2, sliding_window=64)(ids, attention_mask=mask).logits
    assert not torch.allclose(own[0], wide[0], atol=1e-4)
    first, again = (model(ids[:, :18], attention_mask=mask[:, :18], use_cache=True)[CACHE_NAME] for _ in range(2))
    after = model.generate(ids, attention_mask=mask, **{CACHE_NAME: first}, **GREEDY)
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)):
        found = model(ids, attention_mask=mask).logits
        assert torch.equal(model.generate(ids, attention_mask=mask, **GREEDY), said)
        assert torch.equal(model.generate(ids, attention_mask=mask, prefill_chunk_size=13, **GREEDY), said)
        assert torch.equal(model.generate(ids, attention_mask=mask, **{CACHE_NAME: again}, **GREEDY), after)
    torch.testing.assert_close(found[mask.bool()], own[mask.bool()], rtol=0, atol=1e-6)
    pruner = TokenPruner(model, FTPConfig(), (0.0, 0.4, 0.4, 0.6))
    layout, executor = Layout.of(model), pruner.executor()
    whole, _ = executor.logits(ids, mask)
    executor.read(executor.start(ids[:, :17], mask[:, :17]), cache := PrunedCache(4))
    executor.read_on(layout.embed(ids[:, 17:]), cache)
    torch.testing.assert_close(layout.logits(executor.tail(executor.choose(cache), 1)), whole, rtol=0, atol=2e-6)


@torch.no_grad()
def test_kept_tokens_see_the_window_that_their_positions_say(ids):
    """By plain formulas: a block on its kept tokens, under the mask of their original positions."""
    model = tiny_model("mistral", seed=2, sliding_window=8)
    pruner = TokenPruner(model, FTPConfig(router="static"), (0.0, 0.5, 0.5, 0.5))
    executor = pruner.executor()
    keep = torch.zeros(1, 24, dtype=torch.bool)
    keep[0, [0, 3, 5, 9, 14, 20, 23]] = True
    executor.router = type("Some", (Executor(Layout.of(model)).router.__class__,), {
        "keep": lambda _self, block, _stream: keep if block == 1 else True})()  # fmt: skip
    stream = executor.start(ids[:1])
    executor.step(stream, 0)
    before = stream.x.clone()
    executor.step(stream, 1)
    places = keep[0].nonzero()[:, 0]
    seen = (places[:, None] >= places) & (places > places[:, None] - 8)
    shut = torch.zeros(7, 7).masked_fill(~seen, float("-inf"))[None, None]
    angles = model.model.rotary_emb(before[None], places[None])
    out = model.model.layers[1](before[None, places], attention_mask=shut, position_embeddings=angles)
    out = out[0] if isinstance(out, tuple) else out
    torch.testing.assert_close(stream.x[places], out.view(7, -1), rtol=0, atol=2e-6)


def test_a_family_that_is_not_known_is_named_and_one_without_softmax_attention_refused():
    import transformers

    with pytest.raises(InputError, match=r"family: got 'mamba', expected one of llama"):
        tiny_model("mamba")
    config = transformers.MiniMaxConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
    )
    with pytest.raises(InputError, match="no softmax attention"):
        TokenPruner(transformers.MiniMaxForCausalLM(config).eval())


def test_qwen3_next_is_refused_for_its_recurrent_blocks():
    import transformers

    config = transformers.Qwen3NextConfig(
        vocab_size=256, hidden_size=64, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
        linear_key_head_dim=16, linear_value_head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"Qwen3NextForCausalLM: block 0 has `linear_attn`"):
        TokenPruner(transformers.Qwen3NextForCausalLM(config))


def test_llama4_ends_where_it_cuts_attention_and_weighs_queries_by_their_place(ids):
    assert Layout.of(tiny_model("llama4", max_position_embeddings=20_000)).limit == 8191
    assert Layout.of(tiny_model("llama4", attn_temperature_tuning=False, max_position_embeddings=20_000)).limit == 8192
    model = tiny_model("llama4", attention_chunk_size=16)
    with TokenPruner(model), pytest.raises(InputError, match="at most 16 positions"):
        model(ids)


def test_experts_that_are_not_chosen_cost_nothing():
    model = tiny_model("qwen3_moe")
    costs = Executor(Layout.of(model)).costs
    expert, router = 3 * 64 * 32, 4 * 64
    attention = (4 + 2 + 2) * 16 * 64 + 4 * 16 * 64
    assert costs.weights[0] == attention + 2 * expert + router
