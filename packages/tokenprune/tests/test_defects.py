"""Defects that were found in use, one test each."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.ftp import PublishedPruner, RouterNet

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


@torch.no_grad()
@pytest.mark.parametrize("family", ["mistral", "gemma3", "llama4"])
def test_a_static_cache_is_refused_with_its_cause_where_a_block_sees_a_window_or_chunk(family, ids):
    model = tiny_model(family)
    with TokenPruner(model), pytest.raises(InputError, match=r"(?s)StaticCache.*cache_implementation.*all tokens"):
        model.generate(ids, cache_implementation="static", **GREEDY)


def test_a_position_beyond_the_models_is_named(model, ids):
    with TokenPruner(model), pytest.raises(InputError, match=r"position_ids: got 600, expected at most 512"):
        model(ids, position_ids=torch.arange(577, 601)[None])


@torch.no_grad()
@pytest.mark.parametrize("where", ["prompt", "row of a batch", "attached", "second turn"])
@pytest.mark.parametrize("wrong", [256, 300, 10**6, -1])
def test_an_id_that_the_embedding_has_not_is_one_line(model, ids, wrong, where):
    """A tokenizer larger than the embedding gives such ids."""
    pruner, broken = TokenPruner(model), ids.clone()
    broken[2 if where == "row of a batch" else 0, 4] = wrong
    with pytest.raises(InputError, match=rf"input_ids in row \d, token \d: got id {wrong}.*256 entries") as raised:
        if where in ("prompt", "row of a batch"):
            pruner.report(broken)
        elif where == "attached":
            with pruner:
                model.generate(broken, attention_mask=torch.ones_like(ids), **GREEDY)
        else:
            with pruner:
                held = model(ids, logits_to_keep=1, use_cache=True)[CACHE_NAME]
                model(broken[:, 2:6], logits_to_keep=1, **{CACHE_NAME: held})
    assert "\n" not in str(raised.value)


def _gemma4(**more):
    import transformers

    sizes = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "head_dim": 16,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
             "vocab_size_per_layer_input": 256, "hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0,
             "global_head_dim": 16, "layer_types": ["sliding_attention", "full_attention"] * 2}  # fmt: skip
    torch.manual_seed(0)
    return transformers.Gemma4ForCausalLM(transformers.Gemma4TextConfig(**{**sizes, **more})).eval()


@pytest.mark.parametrize("more", [
    {}, {"hidden_size_per_layer_input": 16}, {"num_kv_shared_layers": 2}, {"global_head_dim": 32},
    {"attention_k_eq_v": True, "num_global_key_value_heads": 1},
])  # fmt: skip
def test_a_gemma_4_is_refused_in_one_line(more):
    with pytest.raises(InputError, match="Gemma4ForCausalLM: its blocks differ") as raised:
        TokenPruner(_gemma4(**more))
    assert "\n" not in str(raised.value)
