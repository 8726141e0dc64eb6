"""Rows that keep different numbers of tokens: one call of attention a block, and each row as if it were alone."""

from __future__ import annotations

import itertools
import sys
import types

import pytest
import torch
from tokenprune import Executor, FTPConfig, Layout, PrunedCache, StaticRouter, TokenPruner
from tokenprune.executor import _attention as attention
from tokenprune.executor._held import Held
from tokenprune.executor._ragged import Ragged, packed
from tokenprune.ftp import DynamicRouter, RouterNet

SCHEDULE = (0.0, 0.25, 0.5, 0.4)
GREEDY = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


@pytest.fixture
def mask(ids):
    """Rows of 24, 15 and 9 tokens, padded on the left."""
    made = torch.ones_like(ids)
    made[1, :9], made[2, :15] = 0, 0
    return made


@pytest.fixture
def calls(monkeypatch):
    """How many rows each call of attention has."""
    seen, own = [], attention.F.scaled_dot_product_attention

    def count(query, *args, **more):
        seen.append(query.shape[0])
        return own(query, *args, **more)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", count)
    return seen


@pytest.mark.parametrize("kind", ["static", "dynamic"])
@torch.no_grad()
def test_ragged_rows_take_one_call_of_attention_a_block_also_when_tokens_follow(model, ids, mask, calls, kind):
    net = RouterNet(generator=torch.Generator().manual_seed(5))
    router = StaticRouter(SCHEDULE) if kind == "static" else DynamicRouter(SCHEDULE, net, window=3)
    executor, cache = Executor(Layout.of(model), router), PrunedCache(4)
    stream = executor.prefill(executor.start(ids, mask), cache)
    assert any(len(set(kept)) > 1 for kept in stream.kept)
    assert calls == [3] * 4
    out = executor.decode(executor.layout.embed(ids[:, :2]), cache)
    assert calls == [3] * 8
    for row, start in enumerate((0, 9, 15)):
        alone = PrunedCache(4)
        single = executor.prefill(executor.start(ids[row : row + 1, start:]), alone)
        torch.testing.assert_close(stream.x[_part(stream, row)], single.x, rtol=0, atol=2e-5)
        new = executor.decode(executor.layout.embed(ids[row : row + 1, :2]), alone)
        torch.testing.assert_close(out[row], new[0], rtol=0, atol=2e-5)
        assert [cache.lengths(block)[row] for block in range(4)] == [alone.lengths(block)[0] for block in range(4)]


def _part(stream, row):
    return slice(sum(stream.lengths[:row]), sum(stream.lengths[: row + 1]))


@torch.no_grad()
def test_beams_of_a_ragged_batch_are_those_of_each_row_alone(model, ids, mask):
    pruner = TokenPruner(model, FTPConfig(router="static"), SCHEDULE)
    with pruner:
        together = model.generate(ids, attention_mask=mask, num_beams=3, **GREEDY)
        for row, start in enumerate((0, 9, 15)):
            alone = model.generate(ids[row : row + 1, start:], num_beams=3, **GREEDY)
            assert torch.equal(together[row, 24:], alone[0, 24 - start :])


def test_selected_rows_hold_what_they_held():
    counts = [3, 1, 2]
    flat = torch.arange(6.0).view(1, 1, 6, 1).expand(1, 2, 6, 4)
    held = Held(flat, flat + 10, Ragged(counts, flat.device))
    held = held.extended(torch.full((3, 2, 1, 4), 7.0), torch.full((3, 2, 1, 4), 8.0))
    assert held.lengths == [4, 2, 3]
    chosen = held.select(torch.tensor([2, 2, 0]))
    assert chosen.lengths == [3, 3, 4]
    keys, values = chosen.keys, chosen.values
    rows = [keys[row, 0, chosen.there[row], 0].tolist() for row in range(3)]
    assert rows == [[4, 5, 7], [4, 5, 7], [0, 1, 2, 7]]
    assert values[0, 0, chosen.there[0], 0].tolist() == [14, 15, 8]


@torch.no_grad()
def test_flash_attention_is_given_the_rows_one_after_another(model, ids, mask, monkeypatch):
    """A stand-in for the kernel, which needs a GPU: the same rows, by the lengths that it is told."""
    assert not packed(torch.zeros(1, 4, 5, 16, dtype=torch.bfloat16))  # no GPU here
    given = []

    def kernel(q, k, v, *, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, softmax_scale, causal):
        assert cu_seqlens_q.dtype == torch.int32
        assert torch.equal(cu_seqlens_q, cu_seqlens_k)
        assert causal
        ends = cu_seqlens_q.tolist()
        assert max_seqlen_q == max_seqlen_k == max(b - a for a, b in itertools.pairwise(ends))
        given.append(len(ends) - 1)
        parts = [[one[None, a:b].transpose(1, 2) for one in (q, k, v)] for a, b in itertools.pairwise(ends)]
        return torch.cat([attention._causal(*part, attention.Form(softmax_scale)).transpose(1, 2)[0] for part in parts])

    module = types.ModuleType("flash_attn")
    module.flash_attn_varlen_func = kernel
    executor = Executor(Layout.of(model), StaticRouter(SCHEDULE))
    padded, _ = executor.logits(ids, mask)
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    monkeypatch.setattr(attention, "packed", lambda query: True)
    ours, _ = executor.logits(ids, mask)
    assert given == [3] * 4
    torch.testing.assert_close(ours, padded, rtol=0, atol=1e-5)


@torch.no_grad()
def test_forks_of_a_cache_that_has_room_do_not_write_into_each_other(model, ids, mask):
    """Tokens grow into room beyond those before them; a fork that comes second makes room of its own."""
    executor, cache = Executor(Layout.of(model), StaticRouter(SCHEDULE)), PrunedCache(4)
    executor.prefill(executor.start(ids, mask), cache)
    executor.decode(executor.layout.embed(ids[:, :1]), cache)  # from here on there is room
    room = cache.held[0].keys.data_ptr()
    forks = [cache.fork() for _ in range(2)]
    said = [ids[:, 2:6], ids[:, 9:13]]
    found: list[list[torch.Tensor]] = [[], []]
    for step in range(4):
        for fork, tokens, out in zip(forks, said, found, strict=True):
            out.append(executor.decode(executor.layout.embed(tokens[:, step : step + 1]), fork))
    assert forks[0].held[0].keys.data_ptr() == room != forks[1].held[0].keys.data_ptr()
    for tokens, out in zip(said, found, strict=True):
        alone = PrunedCache(4)
        executor.prefill(executor.start(ids, mask), alone)
        executor.decode(executor.layout.embed(ids[:, :1]), alone)
        expected = [executor.decode(executor.layout.embed(tokens[:, at : at + 1]), alone) for at in range(4)]
        assert torch.equal(torch.cat(out, 1), torch.cat(expected, 1))


@torch.no_grad()
def test_a_cache_grows_beyond_its_room(model, ids):
    executor, cache = Executor(Layout.of(model), StaticRouter(SCHEDULE)), PrunedCache(4)
    executor.prefill(executor.start(ids), cache)
    said = torch.randint(1, 256, (3, 150), generator=torch.Generator().manual_seed(4))
    steps = [executor.decode(executor.layout.embed(said[:, at : at + 1]), cache) for at in range(150)]
    at_once = PrunedCache(4)
    executor.prefill(executor.start(ids), at_once)
    whole = executor.decode(executor.layout.embed(said), at_once)
    torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=0, atol=2e-5)
    assert cache.lengths(0) == [174] * 3
    assert cache.nbytes == at_once.nbytes == 4 * 2 * 2 * 16 * sum(sum(cache.lengths(block)) for block in range(4))
