"""The queries that score tokens: those of the question and of what follows it, wherever it stands."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Executor, FTPConfig, Layout, PrunedCache, TokenPruner, datasets, tiny_model
from tokenprune.routers._observation_router import Observation, ObservationRouter

SCHEDULE = (0.0, 0.5, 0.5, 0.7)
MARK = 9  # the token that the question shares with the fact


@pytest.fixture
def marked():
    """A model whose first block attends from a `MARK` to earlier ones, and to nothing else."""
    model = tiny_model(num_hidden_layers=4, seed=3)
    layout = Layout.of(model)
    attention, low = layout.blocks[0].self_attn, layout.head_dim // 2 - 1  # the slowest rotation
    with torch.no_grad():
        weight = layout.decoder.embed_tokens.weight
        weight[:, 0], weight[MARK] = 0.0, 0.0
        weight[MARK, 0] = 1.0
        for one in (attention.q_proj, attention.k_proj):
            one.weight.zero_()
            one.weight[low, 0] = 3.0
    return model


@torch.no_grad()
@pytest.mark.parametrize("target", [0.3, 0.6])
@pytest.mark.parametrize("tail", [10, 30, 50])
def test_a_question_with_a_tail_keeps_its_fact(marked, target, tail):
    """A fact at token 20 of 240, the question before so many tokens; the former windows lost it from 24 and 8 on."""
    ids = torch.randint(10, 200, (1, 240), generator=torch.Generator().manual_seed(tail))
    ids[0, 20] = ids[0, 240 - tail] = MARK
    former = 8 if target > 0.45 else 24
    for settings, found in ((Observation(), True), (Observation(window=former), tail <= former)):
        pruner = TokenPruner(marked, FTPConfig(target_sparsity=target, observation=settings))
        gates = pruner.report(ids).gates
        assert bool(gates[:, 20].all()) == found


@torch.no_grad()
def test_a_question_farther_back_is_found_where_it_is_given_and_only_there(marked):
    ids = torch.randint(10, 200, (1, 400), generator=torch.Generator().manual_seed(1))
    ids[0, 20] = ids[0, 300] = MARK
    pruner = TokenPruner(marked, FTPConfig(target_sparsity=0.5))
    assert not pruner.report(ids).gates[:, 20].all()
    assert pruner.report(ids, query=100).gates[:, 20].all()


def test_windows_are_bounded_and_one_that_is_set_stays():
    router = ObservationRouter(SCHEDULE)
    assert router.windows(2) == [64, 64]
    assert router.windows(4, [1, 8, 90, 500]) == [8, 8, 90, 128]
    assert ObservationRouter(SCHEDULE, Observation(window=5)).windows(2, [9, 90]) == [5, 5]


@torch.no_grad()
@pytest.mark.parametrize("heads", [(), ((2, 1), (3, 0))])
def test_a_row_with_a_question_of_its_own_keeps_in_a_batch_what_it_keeps_alone(model, heads):
    """Equal and unequal lengths; every row scored by as many queries as its question has."""
    schedule = (0.0, 0.6, 0.6, 0.6) if heads else SCHEDULE
    executor = Executor(Layout.of(model), ObservationRouter(schedule, Observation(heads=heads)))
    ids = torch.randint(1, 250, (3, 150), generator=torch.Generator().manual_seed(2))
    for first in ((0, 0, 0), (0, 40, 9)):
        mask = torch.stack([(torch.arange(150) >= one).long() for one in first])
        query = [9, 30, 120]
        together = executor.prefill(executor.start(ids, mask, query=query, record=True))
        other = executor.prefill(executor.start(ids, mask, record=True))
        assert any(not torch.equal(a, b) for a, b in zip(together.masks, other.masks, strict=True))
        for row, skipped in enumerate(first):
            own = ids[row : row + 1, skipped:]
            alone = executor.prefill(executor.start(own, query=query[row : row + 1], record=True))
            for one, another in zip(together.masks, alone.masks, strict=True):
                assert torch.equal(one[row : row + 1, : own.shape[1]], another)


@torch.no_grad()
@pytest.mark.parametrize("query", [None, [12, 12], [100, 20]])
@pytest.mark.parametrize("split", [40, 110, 143])
def test_a_prompt_read_in_parts_is_scored_by_the_queries_of_the_whole(model, query, split):
    executor = Executor(Layout.of(model), ObservationRouter(SCHEDULE))
    ids = torch.randint(1, 250, (2, 150), generator=torch.Generator().manual_seed(4))
    whole = executor.prefill(executor.start(ids, query=query, record=True))
    cache = PrunedCache(executor.blocks)
    executor.read(executor.start(ids[:, :split]), cache)
    executor.read_on(executor.layout.embed(ids[:, split:]), cache)
    parts = executor.choose(cache, query=query, record=True)
    assert executor.cost(parts).routing_flops <= executor.cost(whole).routing_flops
    for one, another in zip(whole.masks, parts.masks, strict=True):
        assert torch.equal(one, another)


@torch.no_grad()
def test_generate_follows_the_question_and_forgets_it(marked):
    ids = torch.randint(10, 200, (1, 400), generator=torch.Generator().manual_seed(1))
    ids[0, 20] = ids[0, 300] = MARK
    pruner = TokenPruner(marked, FTPConfig(target_sparsity=0.5))
    options = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 1, "pad_token_id": 0}
    with pruner:
        marked.generate(ids, **options)
        without = pruner.last
        with pruner.asking(100):
            marked.generate(ids, **options)
            assert pruner.last.query == [100]
        assert not torch.equal(pruner.last.table.nan_to_num(0), without.table.nan_to_num(0))
        marked.generate(ids, **options)
        assert pruner.last.query is None


@pytest.mark.parametrize(("query", "says"), [(0, "got 0"), ([3, -1], "got -1"), ([3, True], "got True"),
                                             ([3, 1.5], "got 1.5"), ([3], "got 1 numbers")])  # fmt: skip
def test_what_is_no_number_of_tokens_is_named(model, ids, query, says):
    with pytest.raises(InputError, match=f"query: {says}"):
        TokenPruner(model).report(ids[:2], query=query)


def test_scores_by_more_queries_are_counted():
    pruner = TokenPruner(tiny_model())
    short, usual, long = (pruner.cost([200], query=one) for one in (8, None, 128))
    assert usual.routing_flops - short.routing_flops == pytest.approx(
        (64 - 8) / 64 * (long.routing_flops - usual.routing_flops)
    )


@pytest.mark.parametrize("words", ["", " ", "nobody"])
def test_a_question_that_is_not_in_the_prompt_is_refused(words):
    ids = datasets.tokens("Who speaks? Answer.", None)
    assert datasets.query_tokens(ids, "Who speaks?", None) == len(ids)
    with pytest.raises(InputError, match="words that stand in the prompt"):
        datasets.query_tokens(ids, words, None)
