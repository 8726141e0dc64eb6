"""Prompts of more than so many tokens have a schedule of their own, where much is skipped."""

from __future__ import annotations

import pytest
import torch
from tokenprune import Document, FTPConfig, TokenPruner, tiny_model
from tokenprune.routers import _observation_router as rooms
from tokenprune.routers._schedule import dense_first

LENGTHS = (80, 120)  # with the bound at 100 between them


@pytest.fixture
def pruner(monkeypatch):
    monkeypatch.setattr(rooms, "LONG", 100)
    return TokenPruner(tiny_model(seed=1, num_hidden_layers=8), FTPConfig(target_sparsity=0.6))


@pytest.fixture
def ids():
    return torch.randint(1, 256, (2, 140), generator=torch.Generator().manual_seed(0))


def test_a_quarter_of_the_blocks_reads_all_of_a_long_prompt():
    assert dense_first(0.6, 30, long=True) == pytest.approx((0.0,) * 8 + (18 / 22,) * 22)
    assert dense_first(0.6, 30) == pytest.approx((0.0,) * 3 + (18 / 27,) * 27)
    for target in (0.0, 0.3, 0.45, 0.75, 0.95):
        assert dense_first(target, 30, long=True) == dense_first(target, 30)


def test_the_schedule_follows_the_longest_row(pruner, ids):
    kept = {length: pruner.report(ids[:1, :length]).kept[:, 0].tolist() for length in LENGTHS}
    assert kept[80] == [80, *[26] * 7]
    assert kept[120] == [120, 120, *[24] * 6]
    mask = torch.ones(2, 120, dtype=torch.long)
    mask[1, :60] = 0
    both = pruner.report(ids[:, :120], mask)
    assert both.kept.tolist() == [[120, 60]] * 2 + [[24, 12]] * 6
    assert both.asked == dense_first(0.6, 8, long=True)


def test_a_schedule_of_ones_own_is_that_of_all_lengths(pruner, ids):
    own = TokenPruner(pruner.layout.model, FTPConfig(target_sparsity=0.6), [0.0, *[0.65] * 6, 0.9])
    for length in LENGTHS:
        assert own.report(ids[:1, :length]).asked == own.schedule


def test_what_is_planned_is_what_a_prompt_takes(pruner, ids):
    head = 2 * pruner.executor().costs.head
    for length in LENGTHS:
        assert pruner.cost([length]).flops == pytest.approx(pruner.report(ids[:1, :length]).cost.flops + head)
    assert pruner.cost([]).flops == 0


@torch.no_grad()
@pytest.mark.parametrize("read", [70, 95, 110])  # and 30 more: below the bound with them, beyond it, beyond it before
def test_a_question_that_makes_a_document_long_gives_what_one_prompt_gives(pruner, ids, read):
    document = Document(pruner, ids[0, :read])
    for size in (10, 29):
        found = document.ask(ids[1, :size], max_new_tokens=3, eos_token_id=None)
        both = torch.cat([ids[:1, :read], ids[1:, :size]], 1)
        with pruner.asking(size):
            whole = pruner.layout.model.generate(both, do_sample=False, pad_token_id=0, max_new_tokens=3,
                                                 eos_token_id=None)  # fmt: skip
        assert torch.equal(found, whole[0, both.shape[1] :])
    assert document.cost([10]).flops == pytest.approx(pruner.cost([read + 10], query=10).flops)


@torch.no_grad()
def test_a_prompt_in_chunks_and_a_second_turn_have_the_schedule_of_the_whole(pruner, ids):
    options = {"do_sample": False, "pad_token_id": 0, "max_new_tokens": 3, "eos_token_id": None}
    model, mask = pruner.layout.model, torch.ones(1, 120, dtype=torch.long)
    with pruner:
        whole = model.generate(ids[:1, :120], attention_mask=mask, **options)
        chunks = model.generate(ids[:1, :120], attention_mask=mask, prefill_chunk_size=50, **options)
        first = model.generate(ids[:1, :80], attention_mask=mask[:, :80], return_dict_in_generate=True,
                               **{**options, "max_new_tokens": 1})  # fmt: skip
        second = model.generate(ids[:1, :120], attention_mask=mask, past_key_values=first.past_key_values, **options)
    assert torch.equal(whole, chunks)
    assert torch.equal(whole, second)
