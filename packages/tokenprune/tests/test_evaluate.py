"""Scores as `generate` would meet the tokens: prompts alone are read, answers are decoded over the cache."""

from __future__ import annotations

import pytest
import torch
from tokenprune import Executor, FTPConfig, Layout, Scored, StaticRouter, TokenPruner
from tokenprune.baselines import ShortGPT
from tokenprune.evaluation._evaluate import answer
from tokenprune.executor._cache_name import CACHE_NAME


@pytest.fixture
def asked():
    """Two questions: choices of 3, 1 and 5 tokens, and two choices of one token."""
    draw = torch.randint(1, 256, (60,), generator=torch.Generator().manual_seed(2))
    made, at = [], 40
    for context, counts in ((draw[:20], (3, 1, 5)), (draw[20:40], (1, 1))):
        sequences = []
        for count in counts:
            sequences.append(torch.cat([context, draw[at : at + count]]))
            at += count
        made.append(Scored(sequences, counts))
    return made


@pytest.fixture
def of_many_lengths():
    draw = torch.randint(1, 256, (4, 60), generator=torch.Generator().manual_seed(7))
    lengths, counts = (60, 41, 52, 30), (4, 1, 6, 2)
    return Scored([row[:length] for row, length in zip(draw, lengths, strict=True)], counts)


@torch.no_grad()
@pytest.mark.parametrize("sparsity", [0.0, 0.4, 0.7])
def test_scored_tokens_are_met_as_in_generate(model, of_many_lengths, sparsity):
    """Loop by hand through the model's own forward: the prompt with a cache, then one token after another."""
    pruner = TokenPruner(model, FTPConfig(target_sparsity=sparsity))
    found, _ = of_many_lengths.decoded(pruner.executor())
    expected = []
    with pruner:
        for sequence, count in zip(of_many_lengths.sequences, of_many_lengths.counts, strict=True):
            out = model(sequence[None, :-count], use_cache=True, logits_to_keep=1)
            expected.append(out.logits[0])
            for token in sequence[-count:-1]:
                out = model(token[None, None], use_cache=True, **{CACHE_NAME: out[CACHE_NAME]})
                expected.append(out.logits[0])
    torch.testing.assert_close(found, torch.cat(expected), rtol=0, atol=2e-6)


@torch.no_grad()
def test_an_answer_does_not_change_what_is_kept_of_its_prompt(model, of_many_lengths):
    executor = TokenPruner(model, FTPConfig(target_sparsity=0.6)).executor()
    first = torch.tensor(of_many_lengths.counts).cumsum(0) - torch.tensor(of_many_lengths.counts)
    others = [torch.cat([one[:-count], one[-count:].flip(0)])
              for one, count in zip(of_many_lengths.sequences, of_many_lengths.counts, strict=True)]  # fmt: skip
    one, other = (
        data.decoded(executor)[0][first] for data in (of_many_lengths, Scored(others, of_many_lengths.counts))
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_the_cost_of_the_dense_model_is_that_of_one_pass(model, of_many_lengths):
    executor = Executor(Layout.of(model))
    _, cost = of_many_lengths.decoded(executor)
    whole = executor.costs.dense([59, 40, 51, 29], logits=13)
    assert (cost.flops, cost.kv_bytes) == pytest.approx((whole.flops, whole.kv_bytes))


@pytest.mark.parametrize("kind", ["dense", "shortgpt", "static"])
def test_a_shared_context_runs_once_and_changes_nothing(model, asked, scored, kind, monkeypatch):
    layout, rival = Layout.of(model), ShortGPT()
    rival.fit(layout, scored, 0.5)
    router = StaticRouter([0.0, 0.5, 0.5, 0.5]) if kind == "static" else None
    executor = rival.apply() if kind == "shortgpt" else Executor(layout, router)
    started, start = [], executor.start
    monkeypatch.setattr(
        executor, "start", lambda ids, *args, **more: started.append(ids.shape) or start(ids, *args, **more)
    )
    shared = answer(executor, asked, [1, 0])
    assert started == [(1, 20), (1, 20)]
    alone = [answer(executor, [Scored([sequence], [count])], [0]) for question in asked
             for sequence, count in zip(question.sequences, question.counts, strict=True)]  # fmt: skip
    assert shared.nll == pytest.approx([float(alone[1].nll[0]), float(alone[3].nll[0])], abs=1e-5)
    assert shared.flops == pytest.approx(sum(one.flops for one in alone))
    assert shared.kv_bytes == sum(one.kv_bytes for one in alone)
