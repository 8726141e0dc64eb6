"""A second turn over a cache that was routed when only the first turn was known."""

from __future__ import annotations

import pytest
import torch
from tokenprune import FTPConfig, TokenPruner
from tokenprune.executor._cache_name import CACHE_NAME

SCHEDULE = (0.0, 0.25, 0.5, 0.4)
FIRST = 18
GREEDY = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


@pytest.fixture(params=["observation", "static"])
def pruner(request, model):
    return TokenPruner(model, FTPConfig(router=request.param), SCHEDULE)


def reference(model, ids, masks):
    """Each block on every token, kept keys alone attended to; tokens that skip a block are put back as they were."""
    inner = model.model
    x, length = inner.embed_tokens(ids), ids.shape[1]
    angles = inner.rotary_emb(x, torch.arange(length)[None])
    earlier, own = torch.ones(length, length, dtype=torch.bool).tril(), torch.eye(length, dtype=torch.bool)
    for block, mask in zip(inner.layers, masks, strict=True):
        seen = (earlier & mask[:, None, :]) | own
        shut = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))[:, None]
        out = block(x, attention_mask=shut, position_embeddings=angles)
        x = torch.where(mask[..., None], out[0] if isinstance(out, tuple) else out, x)
    return model.lm_head(inner.norm(x))


@torch.no_grad()
def test_a_second_turn_reuses_what_the_first_kept_and_runs_its_own_tokens_in_every_block(pruner, model, ids):
    executor, ran = pruner.executor(), []
    masks = executor.prefill(executor.start(ids[:, :FIRST], record=True)).masks
    with pruner:
        cache = model(ids[:, :FIRST], use_cache=True, logits_to_keep=1)[CACHE_NAME]
        kept = [held.keys.clone() for held in cache.held]
        hooks = [block.register_forward_pre_hook(lambda _module, args: ran.append(args[0].shape[1]))
                 for block in model.model.layers]  # fmt: skip
        logits = model(ids[:, FIRST:], use_cache=True, **{CACHE_NAME: cache}).logits
        for hook in hooks:
            hook.remove()
    new = ids.shape[1] - FIRST
    assert ran == [new] * 4  # no token of the first turn is computed again, in no block
    for mask, before, held in zip(masks, kept, cache.held, strict=True):
        count = int(mask[0].sum())
        assert before.shape[2] == count
        assert torch.equal(held.keys[:, :, :count], before)
        assert held.lengths == [count + new] * 3
    assert min(int(mask[0].sum()) for mask in masks) < FIRST  # some of the first turn was lost to some block
    longer = [torch.cat([mask, torch.ones(3, new, dtype=torch.bool)], 1) for mask in masks]
    torch.testing.assert_close(logits, reference(model, ids, longer)[:, FIRST:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_second_turn_differs_from_one_prompt_of_both_turns(pruner, model, ids):
    """Routed at once, the second turn decides what is kept of the first; the cache was routed without it."""
    with pruner:
        at_once = model(ids, logits_to_keep=1).logits
        cache = model(ids[:, :FIRST], use_cache=True, logits_to_keep=1)[CACHE_NAME]
        in_turn = model(ids[:, FIRST:], logits_to_keep=1, **{CACHE_NAME: cache}).logits
    assert not torch.allclose(at_once, in_turn, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_generate_goes_on_from_the_cache_of_the_turn_before(pruner, model, ids):
    row = ids[:1]
    with pruner:
        first = model.generate(row[:, :FIRST], return_dict_in_generate=True, **GREEDY)
        both = torch.cat([first.sequences, row[:, FIRST:]], 1)
        said = model.generate(both, **{CACHE_NAME: first[CACHE_NAME]}, **GREEDY)[0, both.shape[1] :]
        cache = model(row[:, :FIRST], use_cache=True, logits_to_keep=1)[CACHE_NAME]
        logits = model(both[:, FIRST:], use_cache=True, **{CACHE_NAME: cache}).logits
        by_hand = []
        for _ in range(4):
            by_hand.append(int(logits[0, -1].argmax()))
            logits = model(torch.tensor([[by_hand[-1]]]), use_cache=True, **{CACHE_NAME: cache}).logits
    assert said.tolist() == by_hand


@torch.no_grad()
def test_rows_padded_on_the_left_go_on_from_the_turn_before_as_each_does_alone(pruner, model, ids):
    def second_turn(first_ids, mask):
        first = model.generate(first_ids, attention_mask=mask, return_dict_in_generate=True, **GREEDY)
        both = torch.cat([first.sequences, second[: len(first_ids)]], 1)
        longer = torch.cat([mask, mask.new_ones(len(mask), both.shape[1] - mask.shape[1])], 1)
        return model.generate(both, attention_mask=longer, **{CACHE_NAME: first[CACHE_NAME]}, **GREEDY)[:, -4:]

    mask, second = torch.ones_like(ids[:, :FIRST]), ids[:, FIRST:]
    mask[1, :7] = 0
    with pruner:
        together = second_turn(ids[:, :FIRST], mask)
        for row, start in ((0, 0), (1, 7)):
            second = ids[row : row + 1, FIRST:]
            alone = second_turn(ids[row : row + 1, start:FIRST], mask[row : row + 1, start:])
            assert torch.equal(together[row], alone[0])
