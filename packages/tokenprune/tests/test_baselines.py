"""Every rival: the operations it claims, its own rule, and the model left as it was."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tokenprune import Executor, Layout, redundancy, tiny_model
from tokenprune.baselines import (
    BASELINES,
    FastKV,
    ShortGPT,
)


@pytest.fixture(scope="module")
def deep():
    """Ten blocks, so that shares of them can be left out."""
    return tiny_model(num_hidden_layers=10, seed=3)


def fitted(name, model, data, target=0.3):
    rival = BASELINES[name]()
    rival.fit(Layout.of(model), data, target, seed=1)
    return rival


@pytest.mark.parametrize("name", BASELINES)
def test_rival_takes_the_operations_it_claims_and_leaves_the_model_alone(name, deep, scored):
    before = {key: value.clone() for key, value in deep.state_dict().items()}
    rival = fitted(name, deep, scored)
    assert all(torch.equal(before[key], value) for key, value in deep.state_dict().items())
    ids = torch.stack(list(scored.sequences))[:2]
    executor = rival.apply()
    logits, stream = executor.logits(ids)
    assert bool(torch.isfinite(logits).all())
    assert stream.kept == rival.kept([33, 33])
    cost = rival.cost([33, 33])
    dense = Executor(Layout.of(deep)).costs.dense([33, 33], logits=2)
    measured = executor.cost(stream, logits=2)
    assert cost.flops == pytest.approx(measured.flops - measured.routing_flops)
    looks = ("fastkv",)  # by many of 33 queries
    assert measured.routing_flops < 0.03 * dense.flops or name in looks
    weights = executor.costs.weights
    linear = sum(sum(counts) * weights[b] for b, counts in enumerate(stream.kept))
    full = 66 * sum(weights)
    assert linear / full == pytest.approx(0.7, abs=0.06)
    assert cost.kv_bytes == sum(map(sum, stream.kept)) * 2 * 2 * 16 * 4


@pytest.mark.parametrize("name", BASELINES)
@torch.no_grad()
def test_rival_that_leaves_nothing_out_is_the_dense_model(name, deep, scored):
    rival = fitted(name, deep, scored, target=0.0)
    ids = torch.stack(list(scored.sequences))[:2]
    torch.testing.assert_close(rival.apply().logits(ids)[0], deep(ids).logits[:, -1:], rtol=0, atol=1e-5)


@torch.no_grad()
def test_shortgpt_equals_a_model_without_the_blocks_of_least_influence(deep, scored):
    rival = fitted("shortgpt", deep, scored)
    assert isinstance(rival, ShortGPT)
    lowest = set(redundancy(Layout.of(deep), scored).influence.argsort()[:3].tolist())
    cut = tiny_model(num_hidden_layers=10, seed=3)
    cut.model.layers = torch.nn.ModuleList([b for i, b in enumerate(cut.model.layers) if i not in lowest])
    cut.config.num_hidden_layers = 7
    ids = torch.stack(list(scored.sequences))[:2]
    torch.testing.assert_close(
        rival.apply().logits(ids)[0], cut(ids, use_cache=False).logits[:, -1:], rtol=0, atol=1e-5
    )


def test_rivals_are_named_and_sourced():
    for name, rival in BASELINES.items():
        assert rival.name == name
        assert rival.source
        assert dataclasses.is_dataclass(rival) or rival.__doc__


@torch.no_grad()
def test_fastkv_chooses_once_and_keeps_the_window(deep, scored):
    executor = fitted("fastkv", deep, scored).apply()
    ids = torch.stack(list(scored.sequences))[:2]
    stream = executor.prefill(executor.start(ids, record=True))
    choices = {tuple(mask.flatten().tolist()) for mask in stream.masks}
    assert len(choices) == 2  # all, then one choice
    assert bool(stream.masks[-1][:, -8:].all())


def test_fastkv_does_not_look_beyond_its_budget(deep, scored):
    rival = fitted("fastkv", deep, scored, target=0.6)
    assert isinstance(rival, FastKV)
    assert sum(rival.apply().router.schedule) / 10 == pytest.approx(0.6, abs=1e-6)
