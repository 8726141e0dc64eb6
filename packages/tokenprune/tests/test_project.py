"""Skipped tokens that still give keys and values, against a masked reference written here."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import (
    DynamicRouter,
    Executor,
    FTPConfig,
    Layout,
    PrunedCache,
    RouterNet,
    Scored,
    StaticRouter,
    TokenPruner,
    TrainConfig,
    tiny_model,
)
from tokenprune.training._gated import gated_step

from .conftest import FAMILIES
from .test_executor import Fixed

SCHEDULE = (0.0, 0.25, 0.5, 0.4)


def dense_where_kept(model, ids, masks):
    """Each block of the model, whole, on every token; those that skip it are put back as they were."""
    inner = model.model
    x, length = inner.embed_tokens(ids), ids.shape[1]
    angles = inner.rotary_emb(x, torch.arange(length)[None])
    causal = torch.full((length, length), float("-inf")).triu(1)[None, None]
    for block, mask in zip(inner.layers, masks, strict=True):
        out = block(x, attention_mask=causal, position_embeddings=angles)
        x = torch.where(mask[..., None], out[0] if isinstance(out, tuple) else out, x)
    return model.lm_head(inner.norm(x))


def drawn(ids):
    masks = [torch.rand(ids.shape, generator=torch.Generator().manual_seed(i)) < 0.6 for i in range(4)]
    for mask in masks:
        mask[:, [0, -1]] = True
    return masks


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_kept_tokens_attend_to_skipped_ones_as_in_a_masked_reference(family, ids):
    model, masks = tiny_model(family, seed=2), drawn(ids)
    router = Fixed(masks)
    router.project = True
    executor = Executor(Layout.of(model), router)
    stream = executor.prefill(executor.start(ids))
    ours = executor.layout.logits(stream.padded(stream.x))
    torch.testing.assert_close(ours, dense_where_kept(model, ids, masks), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_new_tokens_attend_to_all_of_the_prompt_and_the_cache_holds_it(model, ids):
    executor = Executor(Layout.of(model), StaticRouter(SCHEDULE, project=True))
    cache = PrunedCache(4)
    stream = executor.prefill(executor.start(ids[:, :20], record=True), cache)
    new = executor.layout.logits(executor.decode(executor.layout.embed(ids[:, 20:22]), cache))
    masks = [torch.cat([mask, torch.ones(3, 2, dtype=torch.bool)], 1) for mask in stream.masks]
    torch.testing.assert_close(new, dense_where_kept(model, ids[:, :22], masks)[:, 20:], rtol=1e-4, atol=1e-5)
    assert [cache.lengths(block) for block in range(4)] == [[22] * 3] * 4
    assert executor.cost(stream).kv_bytes == 4 * 3 * 20 * 2 * 2 * 16 * 4


@torch.no_grad()
def test_operations_are_counted_for_every_key_and_value(model, ids):
    pruner = TokenPruner(model, FTPConfig(router="static", skipped_kv="project"), SCHEDULE)
    executor = pruner.executor()
    stream = executor.prefill(executor.start(ids[:1]))
    whole, projected = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128), 2 * 64 * 32 * 2
    flops = sum(kept * whole + (24 - kept) * projected + 2 * kept * 24 * 64 for kept in (24, 18, 12, 15))
    assert executor.cost(stream).flops == pytest.approx(flops)
    assert pruner.cost([24]).flops == pytest.approx(flops + 2 * 64 * 256)


@pytest.mark.parametrize("window", [1, 3])
@torch.no_grad()
def test_a_row_does_not_feel_its_batch_and_every_key_is_scored(model, ids, window):
    net = RouterNet(generator=torch.Generator().manual_seed(5))
    executor = Executor(Layout.of(model), DynamicRouter(SCHEDULE, net, window=window, project=True))
    mask = torch.ones_like(ids)
    mask[1, :9], mask[2, :22] = 0, 0
    together, stream = executor.logits(ids, mask)
    for row, start in enumerate((0, 9, 22)):
        alone, single = executor.logits(ids[row : row + 1, start:])
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=2e-5)
        table = stream.table[row, : 24 - start]
        torch.testing.assert_close(table, single.table[0], rtol=1e-4, atol=1e-6)
        assert float(table.sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("window", [1, 3])
def test_gated_forward_equals_the_gathered_one_and_trains(model, ids, window):
    router = DynamicRouter(SCHEDULE, RouterNet(generator=torch.Generator().manual_seed(7)), window=window, project=True)
    executor = Executor(Layout.of(model), router)
    gathered, gated = executor.prefill(executor.start(ids)), executor.start(ids)
    for block in range(4):
        gated_step(executor, gated, block)
    torch.testing.assert_close(gated.x, gathered.x, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gated.table, gathered.table, rtol=1e-4, atol=1e-6)


def test_pruner_with_projection_trains_generates_and_comes_back(model, ids, tmp_path):
    pruner = TokenPruner(model, FTPConfig(skipped_kv="project"), SCHEDULE)
    pruner.fit_router(Scored(list(ids), [4] * 3), TrainConfig(steps=2))
    pruner.save_pretrained(tmp_path / "p")
    again = TokenPruner.from_pretrained(tmp_path / "p", model)
    greedy = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    with pruner:
        out = model.generate(ids, **greedy)
    with again:
        assert torch.equal(model.generate(ids, **greedy), out)


def test_blocks_whose_keys_cannot_be_had_without_queries_are_refused():
    """Here a key depends on what the query's projection was last given."""
    odd = tiny_model(seed=4)
    attention = odd.model.layers[2].self_attn
    query, key, last = attention.q_proj.forward, attention.k_proj.forward, []
    attention.q_proj.forward = lambda x: last.append(x) or query(x)
    attention.k_proj.forward = lambda x: key(x) * (2 if last and last[-1] is x else 1)
    TokenPruner(odd)
    with pytest.raises(InputError, match=r"skipped_kv: got project for LlamaForCausalLM.*block 2"):
        TokenPruner(odd, FTPConfig(skipped_kv="project"))
    with pytest.raises(InputError, match="skipped_kv: got 'keep'"):
        FTPConfig(skipped_kv="keep")
