"""Settings that change while a pruner is attached, or later: they take effect, or are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Document, FTPConfig, TokenPruner, datasets, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.ftp import PublishedConfig, PublishedPruner
from tokenprune.routers._observation_router import Observation

GREEDY = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
MAKERS = {
    "observation": lambda model, s: TokenPruner(model, FTPConfig(target_sparsity=s)),
    "static": lambda model, s: TokenPruner(model, FTPConfig(target_sparsity=s, router="static")),
    "bounded cache": lambda model, s: TokenPruner(model, FTPConfig(target_sparsity=s, cache_tokens=30)),
    "own schedule": lambda model, s: TokenPruner(model, FTPConfig(target_sparsity=s), (0.0, s, s, 2 * s)),
    "published": lambda model, s: PublishedPruner(model, PublishedConfig(target_sparsity=s)),
}
CHANGES = {
    "set_sparsity": lambda pruner: pruner.set_sparsity(0.6),
    "set_budget": lambda pruner: pruner.set_budget(30, 100),
    "config": lambda pruner: setattr(pruner, "config", replace(pruner.config, target_sparsity=0.6)),
    "schedule": lambda pruner: setattr(pruner, "schedule", (0.0, 0.7, 0.8, 0.9)),
}


@pytest.fixture
def prompt():
    return torch.randint(1, 256, (1, 100), generator=torch.Generator().manual_seed(4))


def _kept(pruner):
    return [sum(counts) for counts in pruner.last.kept]


@torch.no_grad()
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", MAKERS)
def test_a_change_while_attached_is_the_change_before_attaching(model, prompt, kind, change):
    before, later = MAKERS[kind](model, 0.3), MAKERS[kind](model, 0.3)
    CHANGES[change](before)
    with before:
        expected = model.generate(prompt, attention_mask=torch.ones_like(prompt), **GREEDY)
    with later:
        model.generate(prompt, attention_mask=torch.ones_like(prompt), **GREEDY)
        first = _kept(later)
        CHANGES[change](later)
        found = model.generate(prompt, attention_mask=torch.ones_like(prompt), **GREEDY)
        assert _kept(later) == later.report(prompt).kept.sum(1).tolist()
    assert _kept(later) == _kept(before) != first
    assert torch.equal(found, expected)


@torch.no_grad()
def test_heads_and_protection_that_change_while_attached_take_effect(model, prompt):
    tasks = datasets.learning_tasks(None, datasets.tokens(datasets.embedded_text()[:20_000], None), count=1, length=200)
    pruner = TokenPruner(model, FTPConfig(target_sparsity=0.6))
    with pruner:
        model(prompt, logits_to_keep=1)
        plain = pruner.last.ahead
        pruner.learn(tasks)
        model(prompt, logits_to_keep=1)
        assert plain is None
        assert pruner.last.ahead is not None
        pruner.config = replace(pruner.config, protect=9)
        model(prompt, logits_to_keep=1)
        assert int(pruner.last.protected.sum()) == 10
        with pruner.protecting([[(3, 10)]]):
            model(prompt, logits_to_keep=1)
            assert bool(pruner.last.protected[0, 3:10].all())
        model(prompt, logits_to_keep=1)
        assert int(pruner.last.protected.sum()) == 10
    assert "forward" not in model.model.__dict__


@torch.no_grad()
def test_a_second_turn_under_other_settings_is_refused_and_the_old_settings_are_taken(model, prompt):
    pruner = TokenPruner(model, FTPConfig(target_sparsity=0.3))
    with pruner:
        held = model(prompt, logits_to_keep=1, use_cache=True)[CACHE_NAME]
        pruner.set_sparsity(0.6)
        with pytest.raises(InputError, match=r"cache: got .*other settings.*empty cache"):
            model(prompt[:, :5], logits_to_keep=1, **{CACHE_NAME: held})
        pruner.set_sparsity(0.3)
        again = model(prompt[:, :5], logits_to_keep=1, **{CACHE_NAME: held}).logits
        whole = model(torch.cat([prompt, prompt[:, :5]], 1), logits_to_keep=1).logits
    torch.testing.assert_close(again, whole, rtol=0, atol=2e-6)


@torch.no_grad()
def test_a_document_follows_its_pruner(model, prompt):
    pruner, question = TokenPruner(model, FTPConfig(target_sparsity=0.3)), torch.arange(5, 12)
    document = Document(pruner, prompt)
    document.ask(question, max_new_tokens=3)
    pruner.set_sparsity(0.6)
    found = document.ask(question, max_new_tokens=3)
    fresh = Document(pruner, prompt)
    assert torch.equal(found, fresh.ask(question, max_new_tokens=3))
    assert document.cost([7, 9]) == fresh.cost([7, 9])
    assert pruner.last.kept == TokenPruner(model, FTPConfig(target_sparsity=0.6)).report(
        torch.cat([prompt, question[None]], 1)).kept.tolist()  # fmt: skip


@pytest.mark.parametrize("wrong", [
    ("config", "half"), ("config", FTPConfig(observation=Observation(heads=((9, 0),)))),
    ("schedule", (0.1, 0.2)), ("schedule", (0.1, 0.2, 0.3, 1.0)),
])  # fmt: skip
def test_a_wrong_setting_is_refused_when_it_is_set(model, wrong):
    pruner = TokenPruner(model)
    before = pruner.schedule, pruner.config
    with pytest.raises(InputError):
        setattr(pruner, *wrong)
    assert (pruner.schedule, pruner.config) == before


@torch.no_grad()
@pytest.mark.parametrize("lookup", [True, False], ids=["prompt lookup", "assistant"])
@pytest.mark.parametrize("sparsity", [0.0, 0.5])
def test_assisted_output_equals_plain(model, sparsity, lookup):
    ids = torch.tensor([[5, 6, 7, 8, 9, 10] * 8])
    plain = {**GREEDY, "max_new_tokens": 24, "attention_mask": torch.ones_like(ids)}
    helped = {"prompt_lookup_num_tokens": 4} if lookup else {"assistant_model": tiny_model(seed=1)}
    with TokenPruner(model, FTPConfig(target_sparsity=sparsity)) as pruner:
        expected = model.generate(ids, **plain)
        kept = _kept(pruner)
        assert torch.equal(model.generate(ids, **plain, **helped), expected)
        assert _kept(pruner) == kept  # candidates are no part of the prompt
    other = model.generate(ids, **plain, assistant_model=tiny_model(seed=5))
    with TokenPruner(model, FTPConfig(target_sparsity=sparsity)):
        expected = model.generate(ids, **plain)
        assert torch.equal(model.generate(ids, **plain, assistant_model=tiny_model(seed=5)), expected)
    assert other.shape == expected.shape


@torch.no_grad()
@pytest.mark.parametrize("turn", [2, 6])
@pytest.mark.parametrize("taken", [0, 1, 5, 11])
def test_a_cache_from_which_tokens_were_taken_back_goes_on_as_one_that_never_had_them(model, prompt, taken, turn):
    new = torch.arange(20, 31)[None]
    with TokenPruner(model, FTPConfig(target_sparsity=0.5)):
        caches = [model(prompt, logits_to_keep=1, use_cache=True)[CACHE_NAME] for _ in range(2)]
        for cache, end in zip(caches, (11, 11 - taken), strict=True):
            for at in range(end):
                model(new[:, at : at + 1], logits_to_keep=1, **{CACHE_NAME: cache})
        caches[0].crop(-taken)
        found = [model(prompt[:, :turn], logits_to_keep=1, **{CACHE_NAME: cache}).logits for cache in caches]
        assert caches[0].get_seq_length() == caches[1].get_seq_length()
    torch.testing.assert_close(*found, rtol=0, atol=2e-6)


@torch.no_grad()
def test_tokens_of_the_prompt_cannot_be_taken_back(model, prompt):
    with TokenPruner(model, FTPConfig(target_sparsity=0.5)):
        cache = model(prompt, logits_to_keep=1, use_cache=True)[CACHE_NAME]
        model(prompt[:, :1], logits_to_keep=1, **{CACHE_NAME: cache})
        with pytest.raises(InputError, match=r"got 2 tokens.*at most 1"):
            cache.crop(-2)
        with pytest.raises(InputError, match="negative"):
            cache.crop(5)
