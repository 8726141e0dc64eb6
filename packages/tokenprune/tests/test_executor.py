"""The executor against the dense model, a masked reference written here, truncation, and its own batches."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Everything, Executor, Layout, PrunedCache, StaticRouter, tiny_model
from tokenprune.executor._router import Router
from tokenprune.ftp import DynamicRouter, RouterNet

from .conftest import FAMILIES

RAGGED = (0.0, 0.25, 0.5, 0.4)


class Fixed(Router):
    """Keeps what a table says."""

    def __init__(self, masks):
        self.masks = masks

    def keep(self, block, stream):
        return self.masks[block]


def masked_reference(model, ids, masks):
    """Every token computed, by plain formulas; skipped ones hidden as keys and put back as they were."""
    inner = model.model
    x = inner.embed_tokens(ids)
    length = ids.shape[1]
    cos, sin = inner.rotary_emb(x, torch.arange(length)[None])
    for block, mask in zip(inner.layers, masks, strict=True):
        h, attention = block.input_layernorm(x), block.self_attn
        q, k, v = (
            layer(h).view(*h.shape[:2], -1, attention.head_dim).transpose(1, 2)
            for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k = (one * cos[:, None] + _half_turn(one) * sin[:, None] for one in (q, k))
        repeat = q.shape[1] // k.shape[1]
        logits = q @ k.repeat_interleave(repeat, 1).mT / attention.head_dim**0.5
        allowed = torch.ones(length, length, dtype=torch.bool).tril()[None, None] & mask[:, None, None]
        weights = logits.masked_fill(~allowed, -1e30).softmax(-1)
        out = (weights @ v.repeat_interleave(repeat, 1)).transpose(1, 2).flatten(2)
        y = x + attention.o_proj(out)
        y = y + block.mlp(block.post_attention_layernorm(y))
        x = torch.where(mask[..., None], y, x)
    return model.lm_head(inner.norm(x))


def _half_turn(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


@torch.no_grad()
def test_gathered_forward_equals_a_masked_reference(model, ids):
    masks = [torch.rand(ids.shape, generator=torch.Generator().manual_seed(i)) < 0.6 for i in range(4)]
    for mask in masks:
        mask[:, [0, -1]] = True
    executor = Executor(Layout.of(model), Fixed(masks))
    stream = executor.prefill(executor.start(ids))
    ours = model.lm_head(model.model.norm(stream.padded(stream.x)))
    torch.testing.assert_close(ours, masked_reference(model, ids, masks), rtol=1e-4, atol=1e-5)
    assert stream.kept == [mask.sum(1).tolist() for mask in masks]


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_nothing_skipped_is_the_dense_model(family, ids):
    dense = tiny_model(family, seed=2)
    ours, _ = Executor(Layout.of(dense)).logits(ids, protect=24)
    torch.testing.assert_close(ours, dense(ids).logits, rtol=0, atol=1e-5)


@torch.no_grad()
def test_uniform_static_schedule_is_prompt_truncation_bit_for_bit(model, ids):
    executor = Executor(Layout.of(model), StaticRouter([0.5] * 4))
    ours, _ = executor.logits(ids)
    kept = torch.cat([torch.tensor([0]), torch.arange(24 - 11, 24)])
    dense = Executor(Layout.of(model), Everything())
    cut = dense.prefill(dense.start(ids[:, kept], position_ids=kept[None]))
    assert torch.equal(ours, dense.layout.logits(dense.tail(cut, 1)))
    allowed = torch.ones(12, 12, dtype=torch.bool).tril()[None, None]
    own = model(ids[:, kept], position_ids=kept.expand(3, -1), attention_mask=allowed.expand(3, 1, 12, 12))
    torch.testing.assert_close(ours[:, 0], own.logits[:, -1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["static", "dynamic"])
@torch.no_grad()
def test_a_row_does_not_feel_its_batch(model, ids, side, kind):
    net = RouterNet(generator=torch.Generator().manual_seed(5))
    router = StaticRouter(RAGGED) if kind == "static" else DynamicRouter(
        RAGGED, net, window=3  # more than the shortest row has
    )  # fmt: skip
    executor = Executor(Layout.of(model), router)
    lengths, mask, padded = [24, 15, 2], torch.zeros(3, 24, dtype=torch.long), torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        where = slice(24 - length, 24) if side == "left" else slice(0, length)
        mask[row, where], padded[row, where] = 1, ids[row, :length]
    together, stream = executor.logits(padded, mask)
    for row, length in enumerate(lengths):
        alone, single = executor.logits(ids[row : row + 1, :length])
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=2e-5)
        assert [kept[row] for kept in stream.kept] == [kept[0] for kept in single.kept]


@torch.no_grad()
def test_cache_holds_the_kept_tokens_and_the_formula_gives_its_bytes(model, ids):
    executor = Executor(Layout.of(model), StaticRouter(RAGGED))
    cache = PrunedCache(4)
    mask = torch.ones_like(ids)
    mask[1, :9] = 0
    stream = executor.prefill(executor.start(ids, mask), cache)
    for block in range(4):
        assert cache.lengths(block) == stream.kept[block]
    kept = sum(map(sum, stream.kept))
    assert cache.nbytes == kept * 2 * 2 * 16 * 4 == executor.cost(stream).kv_bytes
    assert cache.get_seq_length() == 24
    assert cache.next_position.tolist() == [24, 15, 24]


@torch.no_grad()
def test_new_token_over_a_pruned_cache_equals_a_masked_reference(model, ids):
    """The new token is computed in all blocks and sees what each of them kept of the prompt."""
    executor = Executor(Layout.of(model), StaticRouter(RAGGED))
    cache = PrunedCache(4)
    stream = executor.prefill(executor.start(ids[:, :20], record=True), cache)
    new = executor.layout.logits(executor.decode(executor.layout.embed(ids[:, 20:22]), cache))
    masks = [torch.cat([mask, torch.ones(3, 2, dtype=torch.bool)], 1) for mask in stream.masks]
    reference = masked_reference(model, ids[:, :22], masks)[:, 20:]
    torch.testing.assert_close(new, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2])
@torch.no_grad()
def test_prompts_of_one_or_two_tokens_run_dense(model, ids, length):
    ours, stream = Executor(Layout.of(model), StaticRouter([0.9] * 4)).logits(ids[:, :length])
    torch.testing.assert_close(ours, model(ids[:, :length]).logits[:, -1:], rtol=0, atol=1e-5)
    assert all(kept == [length] * 3 for kept in stream.kept)


@torch.no_grad()
def test_protected_positions_are_kept_by_every_block(model, ids):
    named = torch.zeros_like(ids, dtype=torch.bool)
    named[0, 5], named[1, [3, 7]] = True, True
    executor = Executor(Layout.of(model), StaticRouter([0.5] * 4))
    stream = executor.prefill(executor.start(ids, protect=named, record=True))
    for mask in stream.masks:
        assert bool((mask | ~named).all())
        assert bool(mask[:, [0, -1]].all())
        assert mask.sum(1).tolist() == [12] * 3


@torch.no_grad()
def test_scores_are_the_last_queries_attention(model, ids):
    eager = tiny_model(seed=1)
    eager.set_attn_implementation("eager")
    weights = eager(ids, output_attentions=True).attentions[0]
    for window in (1, 3):
        router = DynamicRouter([0.0] * 4, RouterNet(), window=window)
        executor = Executor(Layout.of(model), router)
        stream = executor.start(ids)
        executor.step(stream, 0)
        expected = weights[:, :, -window:].mean((1, 2))
        torch.testing.assert_close(stream.table, expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_a_skipped_token_keeps_its_score(model, ids):
    masks = [torch.ones(3, 24, dtype=torch.bool), torch.ones(3, 24, dtype=torch.bool)]
    masks[1][:, 4:10] = False
    router = Fixed(masks)
    router.window = 1
    executor = Executor(Layout.of(model), router)
    stream = executor.start(ids)
    executor.step(stream, 0)
    before = stream.table
    executor.step(stream, 1)
    assert torch.equal(stream.table[:, 4:10], before[:, 4:10])
    assert not torch.equal(stream.table[:, 10:], before[:, 10:])


def test_bad_rows_are_named(model, ids):
    executor = Executor(Layout.of(model))
    mask = torch.ones_like(ids)
    mask[1] = 0
    with pytest.raises(InputError, match="row 1: got padding alone"):
        executor.start(ids, mask)
    mask[1], mask[2, 3:5] = 1, 0
    with pytest.raises(InputError, match="row 2: got padding between"):
        executor.start(ids, mask)
    with pytest.raises(InputError, match="attention_mask: got shape"):
        executor.start(ids, mask[:, :5])
    with pytest.raises(InputError, match="at least one row"):
        executor.start(ids[:, :0])
    with pytest.raises(InputError, match="protect: got 0"):
        executor.start(ids, protect=0)


def test_too_long_a_sequence_is_refused():
    short = tiny_model(max_position_embeddings=16)
    with pytest.raises(InputError, match="24 tokens, expected at most 16 positions"):
        Executor(Layout.of(short)).start(torch.ones(1, 24, dtype=torch.long))


@pytest.mark.parametrize(("kind", "ragged"), [("static", True), ("dynamic", True), ("dynamic", False)])
@torch.no_grad()
def test_no_block_waits_for_the_device(model, ids, kind, ragged):
    """With fake tensors, which have shapes and no values: what needs a value fails, as a device would be waited for."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

    router = StaticRouter(RAGGED) if kind == "static" else DynamicRouter(RAGGED, RouterNet())
    mask = torch.ones_like(ids)
    mask[1, : 9 * ragged] = 0
    executor = Executor(Layout.of(model), router)
    real, stream = (executor.start(ids, mask) for _ in range(2))
    executor.prefill(real)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for name, value in vars(stream).items():
            setattr(stream, name, mode.from_tensor(value) if isinstance(value, torch.Tensor) else value)
        for block in range(4):
            executor.step(stream, block)
        with pytest.raises(DataDependentOutputException):
            bool(stream.table[0, 0] > 0)
    assert stream.kept == real.kept
