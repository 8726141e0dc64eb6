"""Questions: the context that choices share runs once where it may, and gives what each choice by itself gives."""

from __future__ import annotations

import pytest
import torch
from tokenprune import Executor, Layout, Scored, StaticRouter
from tokenprune.baselines import ShortGPT
from tokenprune.baselines._short_gpt import Removed
from tokenprune.evaluation import _evaluate
from tokenprune.evaluation._evaluate import answer


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


@pytest.mark.parametrize("kind", ["dense", "shortgpt"])
def test_a_shared_context_runs_once_and_changes_nothing(model, asked, scored, kind, monkeypatch):
    layout, rival = Layout.of(model), ShortGPT()
    rival.fit(layout, scored, 0.5)
    executor = Executor(layout) if kind == "dense" else rival.apply()
    started, start = [], executor.start
    monkeypatch.setattr(
        executor, "start", lambda ids, *args, **more: started.append(ids.shape) or start(ids, *args, **more)
    )
    shared = answer(executor, asked, [1, 0])
    assert started == [(1, 20), (1, 20)]
    monkeypatch.setattr(executor.router, "causal", False)
    alone = answer(executor, asked, [1, 0])
    assert started[2:] == [(3, 24), (2, 20)]
    assert shared.nll == pytest.approx(alone.nll, abs=1e-4)
    assert (shared.right == alone.right).all()
    assert (shared.flops, shared.kv_bytes) == pytest.approx((alone.flops, alone.kv_bytes))


def test_arms_that_look_at_what_follows_judge_each_choice_by_itself(model, asked, monkeypatch):
    monkeypatch.setattr(_evaluate, "_after_one_context", None)
    answer(Executor(Layout.of(model), StaticRouter([0.5] * 4)), asked, [0, 0])
    answer(Executor(Layout.of(model), Removed({1}, set())), asked, [0, 0])
