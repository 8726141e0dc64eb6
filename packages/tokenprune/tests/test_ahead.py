"""Heads of later blocks that look ahead: what they see, what they choose, and how they are learnt."""

from __future__ import annotations

import json

import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from tokenprune import Executor, FTPConfig, Layout, TokenPruner, datasets, tiny_model
from tokenprune.executor._attention import Attention
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.executor._router import Everything
from tokenprune.models._families import FAMILIES
from tokenprune.pruner._learn import place_of
from tokenprune.routers._observation_router import Observation
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

SPARSE = (0.0, 0.6, 0.6, 0.8)


def sees(*heads, **more):
    return FTPConfig(target_sparsity=0.5, observation=Observation(heads=heads, **more))


@pytest.fixture
def mask(ids):
    made = torch.ones_like(ids)
    made[1, :9] = 0
    return made


@pytest.fixture(scope="module")
def tasks():
    filler = datasets.tokens(datasets.embedded_text()[:20_000], None)
    return [task for kind in ("needle", "name", "few-shot")
            for task in datasets.long_tasks(kind, "training", None, filler=filler, count=2, length=400)]  # fmt: skip


@torch.no_grad()
def test_what_a_head_sees_is_its_formula_on_the_states_as_they_are(model, ids):
    layout = Layout.of(model)
    executor = Executor(layout)
    stream = executor.start(ids[:1])
    executor.step(stream, 0)
    found = executor.look_ahead(stream, {2: (1, 3), 3: (0,)}, 5)
    cos, sin = layout.angles(stream.x, torch.arange(24))
    expected = []
    for block, head in ((2, 1), (2, 3), (3, 0)):
        module = layout.blocks[block]
        x = module.input_layernorm(stream.x[None])
        query, key = (made(x).view(1, 24, -1, layout.head_dim).transpose(1, 2)
                      for made in (module.self_attn.q_proj, module.self_attn.k_proj))  # fmt: skip
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        logits = query[0, head] @ key[0, head // (layout.heads // layout.kv_heads)].T * layout.head_dim**-0.5
        weights = logits.masked_fill(torch.ones(24, 24, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
        expected.append(weights[-5:].amax(0))
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("family", list(FAMILIES))
def test_looking_gives_what_the_block_itself_scores_and_leaves_it_unrun(family, ids, mask):
    """Every family, its windows, sinks and soft caps; rows of two lengths."""
    model = tiny_model(family, seed=2)
    layout = Layout.of(model)
    executor, ran = Executor(layout), []
    stream = executor.start(ids, mask)
    executor.step(stream, 0)
    norm = [one for name, one in layout.blocks[1].named_modules() if name.endswith(("mlp", "moe"))]
    hooks = [one.register_forward_hook(lambda *_: ran.append(1)) for one in norm]
    found = executor.look_ahead(stream, {1: tuple(range(layout.heads))}, 4)
    for hook in hooks:
        hook.remove()
    watched = Everything()
    watched.window, watched.reduction = 4, "max"
    itself = Executor(layout, watched)
    before = stream.snapshot()
    before.table = torch.full_like(before.table, float("nan"))
    itself.step(before, 1)
    torch.testing.assert_close(found.amax(0), before.flat(before.table), rtol=0, atol=1e-6)
    parallel = family in ("cohere", "cohere2")
    assert not ran or parallel


@torch.no_grad()
def test_of_both_scores_the_one_that_ranks_a_token_higher_counts_and_budgets_stay_exact(model, ids, mask):
    """By a loop over rows: the last quarter, then by the better place in either order."""
    pruner = TokenPruner(model, sees((2, 1), (3, 0), window=8, recent=0.25, neighbours=1), SPARSE)
    plain = TokenPruner(model, sees(window=8, recent=0.25, neighbours=1), SPARSE)
    stream, without = (one.executor().prefill(one.executor().start(ids, mask, record=True)) for one in (pruner, plain))
    assert stream.kept == without.kept
    assert any(not torch.equal(a, b) for a, b in zip(stream.masks, without.masks, strict=True))
    executor = pruner.executor()
    before = executor.start(ids, mask)
    executor.step(before, 0)
    for row, length in enumerate(stream.lengths):
        kept = stream.kept[1][row]
        places = [sorted(range(length), key=lambda at: float(scores[row, at]))
                  for scores in (before.table, stream.ahead)]  # fmt: skip
        best = [max(place.index(at) for place in places) for at in range(length)]
        count = int(0.25 * kept + 1e-9)
        order = sorted(range(1, length - count), key=lambda at: best[at], reverse=True)
        sure = {at for at in order if best[at] > best[order[kept - count - 1]]}
        chosen = set(stream.masks[1][row].nonzero()[:, 0].tolist())
        assert {0, *range(length - count, length)} <= chosen
        assert sure <= chosen


@torch.no_grad()
def test_rows_choose_ahead_as_each_does_alone(model, ids, mask):
    executor = TokenPruner(model, sees((2, 1), (3, 0)), SPARSE).executor()
    together, _ = executor.logits(ids, mask)
    alone, _ = executor.logits(ids[1:2, 9:])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=2e-6)


@torch.no_grad()
def test_where_less_is_skipped_nothing_looks_ahead(model, ids):
    """And then a prompt of any length has the schedule that it has without heads."""
    one, other = (TokenPruner(model, FTPConfig(target_sparsity=0.3, observation=Observation(heads=heads)))
                  for heads in (((2, 1),), ()))  # fmt: skip
    assert torch.equal(one.executor().logits(ids)[0], other.executor().logits(ids)[0])
    assert one.cost([24]) == other.cost([24])
    assert TokenPruner(model, sees((2, 1))).router().longer is None


@torch.no_grad()
def test_what_looking_costs_is_counted(model, ids):
    pruner, plain = TokenPruner(model, sees((2, 1), (2, 3), (3, 0), window=5), SPARSE), TokenPruner(
        model, sees(window=5), SPARSE)  # fmt: skip
    layout = pruner.layout
    made = 2 * layout.config.hidden_size * (layout.heads + 2 * layout.kv_heads) * layout.head_dim
    more = 24 * (2 * made + 3 * 2 * 5 * layout.head_dim)
    assert pruner.cost([24]).flops - plain.cost([24]).flops == more
    report = pruner.report(ids[:1])
    assert report.cost.flops - plain.report(ids[:1]).cost.flops == more


@torch.no_grad()
def test_a_model_with_heads_generates_compiled_as_it_does_otherwise(ids, monkeypatch):
    options = {"max_new_tokens": 2, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    model = tiny_model(num_hidden_layers=3, seed=1)  # each block takes a second to trace
    pruner = TokenPruner(model, sees((1, 1), (2, 0)), (0.0, 0.6, 0.8))
    with pruner:
        expected = model.generate(ids, **options)
        monkeypatch.setattr(model, "forward", torch.compile(model.forward, backend="eager"))
        assert torch.equal(model.generate(ids, **options), expected)


def test_the_place_of_an_answer_is_where_it_stands(tasks):
    needle, few = tasks[0], tasks[-1]
    near = place_of(needle).nonzero()[:, 0]
    words = datasets.words(needle.ids[near], None)
    assert datasets.words(needle.ids[-needle.answer :], None).strip() in words
    assert len(near) <= 12 + needle.answer + 2
    assert few.kind == "few-shot"


@torch.no_grad()
def test_learning_ranks_heads_by_their_attention_on_the_answers_place(model, tasks):
    pruner = TokenPruner(model, FTPConfig(target_sparsity=0.6))
    needles = [task for task in tasks if task.kind == "needle"]
    found = pruner.learn(needles)
    executor = TokenPruner(model, FTPConfig(target_sparsity=0.6)).executor()
    first, total = executor.router.whole_blocks(4), 0.0
    for task in needles:
        stream = executor.start(task.ids[None, : -task.answer])
        for block in range(first):
            executor.step(stream, block)
        seen = executor.look_ahead(stream, {3: (2,)}, 64)[0]
        near = place_of(task)
        total += float(seen[near].max() / seen[1:-8].max())
    assert found[3, 2] == pytest.approx(total / len(needles))
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert pruner.config.observation.heads == tuple(sorted(list(found)[:3]))
    assert len(found) == (4 - first) * 4


def test_learnt_heads_come_back_from_a_folder(model, ids, tmp_path):
    pruner = TokenPruner(model, sees((2, 1), (3, 0)), SPARSE)
    pruner.save_pretrained(tmp_path / "pruned")
    again = TokenPruner.from_pretrained(tmp_path / "pruned", model)
    assert again.config == pruner.config
    with torch.no_grad():
        assert torch.equal(again.executor().logits(ids)[0], pruner.executor().logits(ids)[0])


@pytest.mark.parametrize("heads", [[(4, 0)], [(0, 4)]])
def test_heads_that_the_model_has_not_are_named(model, heads):
    with pytest.raises(InputError, match="observation heads: got block"):
        TokenPruner(model, sees(*heads))


@pytest.mark.parametrize("heads", [3, [1], [(1, 2, 3)], [(1, -1)], [(1, True)], ["12"]])
def test_what_is_no_pair_is_refused(heads):
    with pytest.raises(InputError, match="observation heads"):
        Observation(heads=heads)


def test_a_folder_whose_heads_the_model_has_not_is_refused(model, tmp_path):
    """With a manifest that is right."""
    from tokenprune.pruner import _files

    pruner = TokenPruner(model, sees((2, 1)), SPARSE)
    pruner.save_pretrained(tmp_path / "pruned")
    about, net, history, metrics = _files.read(tmp_path / "pruned")
    about = json.loads(json.dumps(about))
    about["config"]["observation"]["heads"] = [[900, 0]]
    _files.write(tmp_path / "other", about, net, history, metrics, force=False)
    with pytest.raises(ArtifactError, match="block 900"):
        TokenPruner.from_pretrained(tmp_path / "other", model)


def test_tasks_without_a_place_teach_nothing(model, tasks):
    few = [datasets.LongTask("few-shot", torch.arange(30), 2, float("nan"))]
    with pytest.raises(InputError, match="no answer that stands in its prompt"):
        TokenPruner(model).learn(few)
    with pytest.raises(InputError, match="router: got 'static'"):
        TokenPruner(model, FTPConfig(router="static")).learn(tasks)


@torch.no_grad()
def test_attention_that_only_looks_leaves_no_cache(model, ids):
    executor = Executor(Layout.of(model))
    stream = executor.start(ids)
    before = stream.x.clone()
    executor.look_ahead(stream, {3: (0,)}, 4)
    assert torch.equal(stream.x, before)
    assert stream.kept == []
    assert Attention(counts=[1]).heads == ()
    assert CACHE_NAME in model(ids, use_cache=True)
