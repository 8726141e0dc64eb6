"""Every rival: the operations it claims, its own rule, and the model left as it was."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from tokenprune import Executor, Layout, redundancy, tiny_model
from tokenprune.baselines import (
    BASELINES,
    FastKV,
    GemFilter,
    PyramidInfer,
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
    looks = ("fastkv", "pyramidinfer")  # by many of 33 queries
    assert measured.routing_flops < 0.03 * dense.flops or name in looks
    weights = executor.costs.weights
    linear = sum(sum(counts) * weights[b] for b, counts in enumerate(stream.kept))
    full = 66 * sum(weights)
    if isinstance(rival, GemFilter):
        linear += 66 * sum(weights[: executor.first])
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


@torch.no_grad()
def test_pyramidinfer_keeps_less_in_each_block_of_what_the_one_before_kept(deep, scored):
    rival = fitted("pyramidinfer", deep, scored)
    assert isinstance(rival, PyramidInfer)
    executor = rival.apply()
    ids = torch.stack(list(scored.sequences))[:2]
    stream = executor.prefill(executor.start(ids, record=True))
    for before, after in zip(stream.masks, stream.masks[1:], strict=False):
        assert not bool((after & ~before).any())
    shares = [1 - s for s in executor.router.schedule if s > 0]
    factors = [b / a for a, b in itertools.pairwise(shares)]
    assert factors == pytest.approx([shares[0]] * len(factors), abs=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2])
def test_gemfilter_is_the_model_on_the_chosen_tokens_alone(deep, scored, count):
    """Chosen here from the model's own attention of the last query; then its plain forward on these ids."""
    executor = fitted("gemfilter", deep, scored).apply()
    ids = torch.stack(list(scored.sequences))[:count]
    found = executor.logits(ids)[0]
    with_weights = tiny_model(num_hidden_layers=10, seed=3, attn_implementation="eager")
    weights = with_weights(ids, output_attentions=True).attentions[executor.first - 1][:, :, -1].mean(1)
    kept = round(executor.share * 33)
    for row in range(count):
        mean = [float(weights[row, max(0, at - 2) : at + 3].mean()) for at in range(33)]
        rest = sorted(range(1, 32), key=lambda at: (mean[at], at), reverse=True)[: kept - 2]
        chosen = sorted([0, 32, *rest])
        expected = deep(ids[row : row + 1, chosen]).logits[:, -1]
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-5)


def test_no_rival_of_the_window_looks_beyond_its_budget(deep, scored):
    for name in ("fastkv", "pyramidinfer"):
        rival = fitted(name, deep, scored, target=0.6)
        assert isinstance(rival, FastKV | PyramidInfer)
        assert sum(rival.apply().router.schedule) / 10 == pytest.approx(0.6, abs=1e-6)
