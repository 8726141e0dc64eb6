"""Every rival: the operations it claims, its own rule, and the model left as it was."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from tokenprune import Executor, Layout, Scored, StaticRouter, TrainConfig, Training, redundancy, tiny_model
from tokenprune.baselines import (
    BASELINES,
    BlockPruner,
    FastKV,
    GemFilter,
    HiddenState,
    LaCo,
    PyramidInfer,
    RandomKeep,
    ShortGPT,
    Streamline,
)


@pytest.fixture(scope="module")
def deep():
    """Ten blocks, so that shares of them can be left out."""
    return tiny_model(num_hidden_layers=10, seed=3)


def fitted(name, model, data, target=0.3):
    rival = BASELINES[name]()
    if isinstance(rival, HiddenState):
        rival.train = TrainConfig(steps=2)
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
    assert [(list(a), list(m)) for a, m in stream.kept] == [(list(a), list(m)) for a, m in rival.kept([33, 33])]
    cost = rival.cost([33, 33])
    dense = Executor(Layout.of(deep)).costs.dense([33, 33], logits=2)
    measured = executor.cost(stream, logits=2)
    assert cost.flops == pytest.approx(measured.flops - measured.routing_flops)
    looks = ("hidden-state", "d-llm", "skipgpt", "fastkv", "pyramidinfer")  # at states, or by many of 33 queries
    assert measured.routing_flops < 0.03 * dense.flops or name in looks
    linear = sum(n * executor.costs.attention[b] + m * executor.costs.mlp[b]
                 for b, (ns, ms) in enumerate(stream.kept) for n, m in zip(ns, ms, strict=True))  # fmt: skip
    full = sum(66 * (a + m) for a, m in zip(Executor(Layout.of(deep)).costs.attention,
                                            Executor(Layout.of(deep)).costs.mlp, strict=True))  # fmt: skip
    if isinstance(rival, GemFilter):
        linear += 66 * sum(executor.costs.attention[b] + executor.costs.mlp[b] for b in range(executor.first))
    assert linear / full == pytest.approx(0.7, abs=0.06)
    assert cost.kv_bytes == sum(sum(a) for a, _ in stream.kept) * 2 * 2 * 16 * 4


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


@torch.no_grad()
def test_blockpruner_takes_the_half_that_costs_least_first(deep, scored):
    """One half at a target that is worth one: found here by trying each with zeroed output weights."""
    layout = Layout.of(deep)
    losses = {}
    for block in range(10):
        for half in ("attention", "mlp"):
            other = tiny_model(num_hidden_layers=10, seed=3)
            module = other.model.layers[block]
            weight = module.self_attn.o_proj.weight if half == "attention" else module.mlp.down_proj.weight
            weight.zero_()
            ids = torch.stack(list(scored.sequences))
            logits = other(ids[:, :-1]).logits[:, -4:].flatten(0, 1)
            losses[half, block] = float(torch.nn.functional.cross_entropy(logits, ids[:, -4:].flatten()))
    rival = BlockPruner()
    rival.fit(layout, scored, 0.05)
    first = min((key for key in losses), key=lambda key: losses[key])
    gone = {("attention", b) for b in rival.router.attention} | {("mlp", b) for b in rival.router.mlp}
    assert first in gone


def test_random_keep_follows_its_seed_and_not_its_batch(deep, scored):
    one, other = RandomKeep(), RandomKeep()
    one.fit(Layout.of(deep), scored, 0.5, seed=1)
    other.fit(Layout.of(deep), scored, 0.5, seed=2)
    ids = torch.stack(list(scored.sequences))

    def masks(rival, rows):
        executor = rival.apply()
        return torch.stack(executor.prefill(executor.start(rows, record=True)).masks)

    with torch.no_grad():
        assert torch.equal(masks(one, ids)[:, :1], masks(one, ids[:1]))
        assert not torch.equal(masks(one, ids[:1]), masks(other, ids[:1]))


@torch.no_grad()
def test_slicegpt_in_full_width_is_the_dense_model(deep, scored, monkeypatch):
    """Rotations and folded norms alone change nothing: the width is held at d."""
    from tokenprune.baselines import _slice_gpt

    bases = _slice_gpt._bases
    monkeypatch.setattr(_slice_gpt, "_bases", lambda executor, data, narrow: bases(executor, data, 64))
    rival = fitted("slicegpt", deep, scored)
    ids = torch.stack(list(scored.sequences))[:2]
    torch.testing.assert_close(rival.apply().logits(ids)[0], deep(ids).logits[:, -1:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_slicegpt_keeps_the_directions_that_carry_most(deep, scored):
    from tokenprune.baselines._slice_gpt import _bases

    first = _bases(Executor(Layout.of(deep)), scored, 8)[0]
    x = deep.model.embed_tokens(torch.stack(list(scored.sequences))[:, :-1].flatten())
    x = x / x.pow(2).mean(-1, keepdim=True).sqrt()
    _, _, right = torch.linalg.svd(x, full_matrices=False)
    torch.testing.assert_close((first.T @ right[:8].T).abs().diag(), torch.ones(8), rtol=1e-2, atol=0)


@torch.no_grad()
def test_laco_folds_by_its_formula(deep, scored):
    from tokenprune.baselines._merged import _folded

    blocks = deep.model.layers
    folded = _folded(Layout.of(deep), 4, 2).blocks[4]
    for name, weight in folded.named_parameters():
        a, b, c = (dict(blocks[i].named_parameters())[name] for i in (4, 5, 6))
        torch.testing.assert_close(weight, a + (b - a) + (c - a))
    rival = fitted("laco", deep, scored)
    assert isinstance(rival, LaCo)
    assert len(rival.layout.blocks) == 7


def test_streamline_trains_its_block_nearer_to_those_it_replaces(deep, scored):
    untrained = Streamline()
    untrained.steps = 0
    rival = fitted("llm-streamline", deep, scored)
    untrained.fit(Layout.of(deep), scored, 0.3, seed=1)
    with torch.no_grad():
        final = scored.run(Executor(Layout.of(deep)))[1].x
        gaps = [float((scored.run(one.apply())[1].x - final).pow(2).mean()) for one in (rival, untrained)]
    assert gaps[0] < gaps[1]
    assert len(rival.layout.blocks) == 7


def test_gates_on_the_hidden_state_learn(deep, scored):
    from tokenprune.search._fitness import Fitness

    one = Scored(scored.sequences[:1], [4])
    judged = []
    for steps in (1, 40):
        rival = HiddenState(train=TrainConfig(steps=steps, lr=1e-2, jitter=0.0, guide=0.0, sparsity=0.0))
        rival.fit(Layout.of(deep), one, 0.5, seed=1)
        judge = Fitness(Layout.of(deep), one, lambda _, rival=rival: rival.router)
        judged += judge([rival.router.schedule])
    assert judged[1] < judged[0]


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


@torch.no_grad()
@pytest.mark.parametrize("name", ["hidden-state", "d-llm", "skipgpt"])
def test_a_learnt_rival_starts_as_the_static_rule(deep, scored, name, monkeypatch):
    monkeypatch.setattr(Training, "done", True)
    rival = fitted(name, deep, scored)
    ids = torch.stack(list(scored.sequences))[:2]
    static = Executor(rival.layout, StaticRouter(rival.router.schedule))
    masks = [one.prefill(one.start(ids, record=True)).masks for one in (rival.apply(), static)]
    assert all(torch.equal(one, other) for one, other in zip(*masks, strict=True))
