"""Prompts that grow: chunks, second turns, further questions give what the whole prompt at once gives."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, Layout, PrunedCache, TokenPruner
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.routers._observation_router import Observation

FIRST = 18
GREEDY = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
SCORES = {**GREEDY, "output_scores": True, "return_dict_in_generate": True}
KINDS = {
    "observation": (FTPConfig(), (0.0, 0.25, 0.5, 0.4)),
    "two dense blocks": (FTPConfig(), (0.0, 0.0, 0.5, 0.6)),
    "nothing skipped": (FTPConfig(target_sparsity=0.0), None),
    "static": (FTPConfig(router="static"), (0.25, 0.25, 0.5, 0.4)),
    "heads ahead": (FTPConfig(observation=Observation(heads=((1, 0), (2, 3)))), (0.0, 0.7, 0.5, 0.7)),
    "one score": (FTPConfig(observation=Observation(lasting=False)), (0.0, 0.3, 0.3, 0.6)),
}


@pytest.fixture(params=list(KINDS))
def pruner(request, model):
    config, schedule = KINDS[request.param]
    return TokenPruner(model, config, schedule)


@pytest.fixture
def mask(ids):
    made = torch.ones_like(ids)
    made[1, :9] = 0
    made[2, :15] = 0
    return made


@torch.no_grad()
@pytest.mark.parametrize("cuts", [(18,), (23,), (17, 20), (16, 19, 23)])
@pytest.mark.parametrize("padded", [False, True])
def test_a_prompt_in_pieces_is_the_prompt_at_once(pruner, model, ids, mask, cuts, padded):
    layout, executor = Layout.of(model), pruner.executor()
    real = mask if padded else torch.ones_like(mask)
    whole = executor.prefill(executor.start(ids, real, record=True), at_once := PrunedCache(4))
    executor.read(executor.start(ids[:, : cuts[0]], real[:, : cuts[0]]), cache := PrunedCache(4))
    for start, stop in zip(cuts, (*cuts[1:], 24), strict=True):
        executor.read_on(layout.embed(ids[:, start:stop]), cache)
    found = executor.choose(cache, record=True)
    for one, other in zip(found.masks, whole.masks, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(executor.tail(found, 1), executor.tail(whole, 1), rtol=0, atol=2e-6)
    assert executor.cost(found).kv_bytes == executor.cost(whole).kv_bytes
    more = layout.embed(ids[:, :3])
    torch.testing.assert_close(executor.decode(more, cache), executor.decode(more, at_once), rtol=0, atol=2e-6)


def assert_same_scores(one, other):
    assert torch.equal(one.sequences, other.sequences)
    for a, b in zip(one.scores, other.scores, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


@torch.no_grad()
@pytest.mark.parametrize("size", [16, 23, 5])
def test_chunks_of_a_prompt_are_routed_as_the_whole(pruner, model, ids, size):
    """The last chunk may be one token; a chunk alone had been thinned by its own last tokens."""
    with pruner:
        assert_same_scores(model.generate(ids, prefill_chunk_size=size, **SCORES), model.generate(ids, **SCORES))


@torch.no_grad()
def test_later_blocks_run_once_however_many_chunks_there_are(model, ids):
    pruner, ran = TokenPruner(model, FTPConfig(), (0.0, 0.25, 0.5, 0.4)), []
    hooks = [block.register_forward_pre_hook(lambda _module, args, at=at: ran.append((at, args[0].shape[1])))
             for at, block in enumerate(model.model.layers)]  # fmt: skip
    with pruner:
        model.generate(ids, prefill_chunk_size=10, **{**GREEDY, "max_new_tokens": 1})
    for hook in hooks:
        hook.remove()
    assert ran == [(0, 10), (0, 10), (0, 4), (1, 18), (2, 12), (3, 15)]


@torch.no_grad()
def test_a_second_turn_is_one_prompt_of_both(pruner, model, ids):
    with pruner:
        first = model.generate(ids[:, :FIRST], return_dict_in_generate=True, **GREEDY)
        both = torch.cat([first.sequences, ids[:, FIRST:]], 1)
        assert_same_scores(
            model.generate(both, **{CACHE_NAME: first[CACHE_NAME]}, **SCORES), model.generate(both, **SCORES)
        )


@torch.no_grad()
def test_second_turns_of_beams_and_of_one_token(pruner, model, ids):
    row = ids[:1]
    with pruner:
        first = model.generate(row[:, :FIRST], return_dict_in_generate=True, **GREEDY)[CACHE_NAME]
        seen = first.get_seq_length()
        longer = torch.cat([row[:, :FIRST], row[:, :4]], 1)[:, : seen + 1]
        third = model.generate(longer[:, :FIRST], num_beams=3, return_dict_in_generate=True, **GREEDY)
        assert third.sequences.shape == (1, FIRST + 4)
        cache = model(row[:, :FIRST], use_cache=True, logits_to_keep=1)[CACHE_NAME]
        by_one = model.generate(row[:, : FIRST + 1], **{CACHE_NAME: cache}, **SCORES)
        assert_same_scores(by_one, model.generate(row[:, : FIRST + 1], **SCORES))


@torch.no_grad()
def test_new_tokens_whose_logits_are_read_are_kept_by_every_block(model, ids):
    pruner = TokenPruner(model, FTPConfig(), (0.0, 0.25, 0.5, 0.4))
    with pruner:
        cache = model(ids[:, :FIRST], use_cache=True, logits_to_keep=1)[CACHE_NAME]
        own = cache.fork()
        logits = model(ids[:, FIRST:], **{CACHE_NAME: cache}).logits
        assert pruner.last.protected.sum(1).tolist() == [7] * 3
        at_once = model(ids, logits_to_keep=6).logits
        model(ids[:, FIRST:], **{CACHE_NAME: own}, logits_to_keep=torch.tensor([1, 4]))
        assert pruner.last.protected[0].nonzero()[:, 0].tolist() == [0, 19, 22, 23]
    torch.testing.assert_close(logits, at_once, rtol=0, atol=2e-6)


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


@torch.no_grad()
def test_a_cache_that_is_bounded_by_tokens_goes_on_with_what_it_has(model, ids):
    """Its first blocks do not hold the whole prompt: new tokens run in each block over what is there."""
    pruner = TokenPruner(model, FTPConfig(cache_tokens=8), (0.0, 0.25, 0.5, 0.4))
    with pruner:
        cache = model(ids[:, :FIRST], use_cache=True, logits_to_keep=1)[CACHE_NAME]
        before = cache.lengths(0)
        model(ids[:, FIRST:], **{CACHE_NAME: cache})
    assert cache.read is None
    assert cache.lengths(0) == [length + 6 for length in before]


@torch.no_grad()
@pytest.mark.parametrize("padded", [False, True])
def test_a_cache_that_the_dense_model_filled_is_taken(model, ids, mask, padded):
    """New tokens see all of the prefix in each block: the dense model's own logits."""
    real = mask if padded else torch.ones_like(mask)
    prefix = {"attention_mask": real[:, :FIRST], "use_cache": True}
    first, again = (model(ids[:, :FIRST], **prefix)[CACHE_NAME] for _ in range(2))
    own = model.generate(ids, attention_mask=real, **{CACHE_NAME: first}, **SCORES)
    with TokenPruner(model, FTPConfig(target_sparsity=0.6)):
        assert_same_scores(model.generate(ids, attention_mask=real, **{CACHE_NAME: again}, **SCORES), own)


@torch.no_grad()
@pytest.mark.parametrize("sparsity", [0.0, 0.5])
def test_packed_rows_are_refused(model, ids, sparsity):
    """Two texts in a row: the model masks them apart, the executor did not (.59 in the logits, and no word of it)."""
    packed = torch.cat([torch.arange(10), torch.arange(14)])[None].expand(3, -1)
    with TokenPruner(model, FTPConfig(target_sparsity=sparsity)):
        with pytest.raises(InputError, match=r"row 0, token 10.*a row for each"):
            model(ids, position_ids=packed)
        model(ids, position_ids=torch.arange(5, 29)[None], logits_to_keep=1)


def test_a_fork_goes_on_by_itself(model, ids):
    pruner = TokenPruner(model, FTPConfig(), (0.0, 0.25, 0.5, 0.4))
    layout, executor = Layout.of(model), pruner.executor()
    with torch.no_grad():
        executor.prefill(executor.start(ids[:, :FIRST]), cache := PrunedCache(4))
        twin = cache.fork()
        before = [held.keys.clone() for held in cache.held]
        executor.read_on(layout.embed(ids[:, FIRST:]), twin)
        executor.choose(twin)
    assert [cache.seen, twin.seen] == [FIRST, 24]
    assert cache.read.tokens()[2] == [FIRST] * 3
    assert all(torch.equal(a, held.keys) for a, held in zip(before, cache.held, strict=True))
