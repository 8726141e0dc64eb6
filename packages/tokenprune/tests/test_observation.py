"""The observation-window router: against dense formulas, its parts and its schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from tokenprune import Executor, Layout, TokenPruner, tiny_model
from tokenprune.executor._attention import Form, key_scores
from tokenprune.routers._observation_router import Observation, ObservationRouter, pooled
from tokenprune.routers._schedule import dense_first

SCHEDULE = (0.0, 0.25, 0.25, 0.6)


def attention_of(model, block, x, cos, sin):
    """(heads, L, L) causal attention weights of one block on states x (1, L, d), by plain formulas."""
    parts = model.model.layers[block]
    h, attention = parts.input_layernorm(x), parts.self_attn
    q, k = (layer(h).view(1, x.shape[1], -1, attention.head_dim).transpose(1, 2)
            for layer in (attention.q_proj, attention.k_proj))  # fmt: skip

    def turned(one):
        half = one.shape[-1] // 2
        return one * cos[:, None] + torch.cat([-one[..., half:], one[..., :half]], -1) * sin[:, None]

    q, k = turned(q), turned(k).repeat_interleave(q.shape[1] // k.shape[1], 1)
    logits = q @ k.mT / attention.head_dim**0.5
    later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    return logits.masked_fill(later, float("-inf")).softmax(-1)[0]


def chosen_by_hand(scores, alive, k, settings, length):
    """Kept places of one row: loops, sorts and sets."""
    recent, half = settings.recent, settings.neighbours // 2
    kept = {0, length - 1} | set(range(length - int(recent * k), length))
    value = {}
    for at in alive:
        beside = [scores[o] for o in range(at - half, at + half + 1) if o in alive]
        value[at] = max(beside) if settings.pooling == "max" else sum(beside) / len(beside)
    for at in sorted(alive - kept, key=lambda one: (value[one], one), reverse=True):
        if len(kept) < k:
            kept.add(at)
    return kept


def window_scores(model, block, x, places, window):
    """Place -> greatest attention of the last `window` of these places in one block on states x (L, d)."""
    cos, sin = model.model.rotary_emb(x[None], torch.tensor(places)[None])
    weights = attention_of(model, block, x[places][None], cos, sin)
    return dict(zip(places, weights[:, -window:].amax((0, 1)).tolist(), strict=True))


@torch.no_grad()
@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("pooling", ["max", "mean"])
@pytest.mark.parametrize(("neighbours", "recent"), [(5, 0.5), (1, 0.25), (3, 0.0)])
def test_kept_tokens_are_those_of_dense_formulas(model, ids, neighbours, recent, lasting, pooling):
    window, row = 6, ids[:1]
    settings = Observation(window=window, neighbours=neighbours, recent=recent, lasting=lasting, pooling=pooling)
    executor = Executor(Layout.of(model), ObservationRouter(SCHEDULE, settings))
    stream = executor.prefill(executor.start(row, record=True))
    twin, states = executor.start(row), []
    for block in range(3):
        states.append(twin.x)
        executor.step(twin, block)
    scores = window_scores(model, 0, states[0], list(range(24)), window)
    first = chosen_by_hand(scores, set(range(24)), 18, settings, 24)
    assert set(stream.masks[1][0].nonzero()[:, 0].tolist()) == first
    assert torch.equal(stream.masks[1], stream.masks[2])
    # block 3 chooses by what the kept tokens' last queries attend to in block 2, or all tokens' in the dense block 0
    late = window_scores(model, 2, states[2], sorted(first), window)
    best = {at: max(late[at], scores[at]) if lasting else late[at] for at in first}
    second = chosen_by_hand(best, first, 10, settings, 24)
    assert set(stream.masks[3][0].nonzero()[:, 0].tolist()) == second


@torch.no_grad()
def test_a_row_keeps_alone_what_it_keeps_in_a_padded_batch(model, ids):
    router = ObservationRouter(SCHEDULE, Observation(window=6))
    executor = Executor(Layout.of(model), router)
    mask = torch.ones_like(ids)
    mask[1, :9], mask[2, -5:] = 0, 0
    together = executor.prefill(executor.start(ids, mask, record=True))
    for row, part in ((0, ids[:1]), (1, ids[1:2, 9:]), (2, ids[2:, :-5])):
        alone = executor.prefill(executor.start(part, record=True))
        for one, other in zip(together.masks, alone.masks, strict=True):
            assert torch.equal(one[row, : part.shape[1]], other[0])


@torch.no_grad()
@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.8]), min_size=4, max_size=4), st.integers(3, 30), st.integers(0, 99))
def test_kept_sets_are_nested_and_budgets_exact_whatever_the_schedule(schedule, length, seed):
    model = tiny_model(seed=1)
    ids = torch.randint(1, 256, (1, length), generator=torch.Generator().manual_seed(seed))
    router = ObservationRouter(sorted(schedule), Observation(window=4))
    executor = Executor(Layout.of(model), router)
    stream = executor.prefill(executor.start(ids, record=True))
    for before, mask, kept, s in zip(
        stream.masks, stream.masks[1:], stream.kept[1:], router.schedule[1:], strict=False
    ):
        assert kept == [max(2, length - int(s * length + 1e-9))]
        if router.schedule[0] == 0:
            assert not bool((mask & ~before).any())


@torch.no_grad()
@pytest.mark.parametrize("lasting", [True, False])
def test_scores_where_none_are_needed_change_nothing(model, ids, lasting):
    masks, settings = [], Observation(window=6, lasting=lasting)
    for score_all in (False, True):
        executor = Executor(Layout.of(model), ObservationRouter(SCHEDULE, settings, score_all=score_all))
        masks.append(executor.prefill(executor.start(ids, record=True)).masks)
    assert all(torch.equal(one, other) for one, other in zip(*masks, strict=True))
    assert [executor.router.queries(block) for block in range(4)] == [6] * 4  # of every block, for a search
    for schedule, scored in (
        (SCHEDULE, [6, 0, 6, 0]),
        ((0.0, 0.0, 0.0, 0.6), [6 * lasting] * 2 + [6, 0]),
        ((0.0,) * 4, [0] * 4),
    ):
        router = ObservationRouter(schedule, settings)
        assert [router.queries(block) for block in range(4)] == scored


@pytest.mark.parametrize(
    ("pooling", "neighbours", "expected"),
    [("mean", 3, [0.5, 5 / 3, 11 / 3, 5.5, 0.0]), ("max", 3, [1.0, 4.0, 7.0, 7.0, 0.0]),
     ("max", 1, [1.0, 0.0, 4.0, 7.0, 0.0])],
)  # fmt: skip
def test_pooling_is_over_neighbours_that_are_there(pooling, neighbours, expected):
    scores = torch.tensor([[1.0, float("nan"), 4.0, 7.0, 100.0]])
    there = torch.tensor([[True, True, True, True, False]])
    found = pooled(scores, there, Observation(neighbours=neighbours, pooling=pooling))
    assert torch.allclose(found, torch.tensor([expected]))


def test_a_maximum_over_heads_and_queries_finds_what_one_query_of_one_head_sees():
    query, key = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 8, 4)
    key[0, 1, 2, 0], query[0, 1, 1, 0] = 1.0, 40.0
    found = key_scores(query, key, Form(1.0), reduction="max")[0]
    assert found.argmax() == 2
    assert found[2] == pytest.approx(1, abs=1e-6)
    assert key_scores(query, key, Form(1.0))[0, 2] < 0.3


@pytest.mark.parametrize("reduction", ["mean", "max", "weighted"])
def test_reductions_are_plain_sums_and_maxima_over_the_queries_that_count(reduction):
    draw = torch.Generator().manual_seed(1)
    query, key = (torch.randn(2, heads, n, 4, generator=draw) for heads, n in ((4, 3), (2, 7)))
    seen = torch.ones(2, 1, 3, 7, dtype=torch.bool).tril(4)
    seen[1, :, 0] = False  # a row with two queries
    found = key_scores(query, key, Form(0.5), seen, reduction)
    for row, first in ((0, 0), (1, 1)):
        logits = query[row, :, first:] @ key[row].repeat_interleave(2, 0).mT * 0.5
        logits = logits.masked_fill(~seen[row, 0, first:], float("-inf"))
        weights = logits.softmax(-1)
        share = torch.arange(first + 1.0, 4) if reduction == "weighted" else torch.ones(3 - first)
        expected = (weights.mean(0) * (share / share.sum())[:, None]).sum(0)
        expected = weights.amax((0, 1)) if reduction == "max" else expected
        torch.testing.assert_close(found[row], expected)


@pytest.mark.parametrize("target", [0.0, 0.1, 0.233, 0.3, 0.4, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("blocks", [1, 2, 4, 6, 30, 32])
def test_dense_first_meets_its_target_and_never_falls(target, blocks):
    found = dense_first(target, blocks)
    assert len(found) == blocks
    assert sum(found) / blocks == pytest.approx(target, abs=1e-9)
    assert list(found) == sorted(found)
    assert min(found) >= 0
    assert max(found) <= 0.95 + 1e-9


def test_dense_first_of_smollm2_is_the_measured_one():
    found = dense_first(0.3, 30)
    assert found[:8] == (0.0,) * 8
    assert found[25:] == pytest.approx([0.7] * 5)
    assert found[8:25] == pytest.approx([5.5 / 17] * 17)
    assert dense_first(0.75, 30) == (0.0,) * 3 + (22.5 / 27,) * 27


def test_an_untrained_pruner_observes(model, ids):
    pruner = TokenPruner(model)
    assert pruner.config.router == "observation"
    assert pruner.schedule == dense_first(0.3, 4)
    pruner.set_sparsity(0.5)
    assert pruner.schedule == dense_first(0.5, 4)
    assert pruner.report(ids).cost.flops == pytest.approx(pruner.cost([24] * 3).flops - 2 * 3 * 256 * 64)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"window": 0}, "window"), ({"reduction": "sum"}, "max, mean"), ({"neighbours": 4}, "odd"),
        ({"pooling": "sum"}, "max or mean"),
        ({"recent": 1.5}, "share of kept"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_named(settings, says):
    with pytest.raises(InputError, match=says):
        Observation(**settings)


def test_span_and_recent_share_follow_how_much_is_skipped_and_stay_what_they_are_set_to():
    def of(target, **settings):
        found = ObservationRouter(dense_first(target, 30), Observation(**settings)).settings
        return found.neighbours, found.recent

    less, more = (9, 0.5), (13, 0.25)
    assert [of(target) for target in (0.3, 0.45, 0.6, 0.75)] == [less, less, more, more]
    assert of(0.6, neighbours=3, recent=0.0) == (3, 0.0)
    assert of(0.3, recent=1) == (9, 1)
