"""What a prompt's activations take: the feed-forward in parts, and last queries without those before them."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from tokenprune import Everything, Executor, Layout, PrunedCache, TokenPruner, tiny_model

from .conftest import FAMILIES


@pytest.fixture
def long():
    return torch.randint(1, 256, (2, 300), generator=torch.Generator().manual_seed(0))


def watched(model):
    """How many tokens each call of a feed-forward's last projection has."""
    seen: list[int] = []
    for block in model.model.layers:
        block.mlp.down_proj.register_forward_pre_hook(lambda _module, given: seen.append(given[0].shape[:-1].numel()))
    return seen


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_feed_forward_in_parts_is_the_models_own(family, long):
    model = tiny_model(family, seed=1)
    dense = model(long, use_cache=False).logits[:, -3:]
    seen = watched(model)
    found, _ = Executor(Layout.of(model), Everything()).logits(long, protect=3)
    torch.testing.assert_close(found, dense, rtol=1e-5, atol=1e-5)
    assert max(seen) <= 256
    assert sum(seen) == len(model.model.layers) * long.numel()


def test_where_gradients_are_asked_for_it_is_whole(long):
    model = tiny_model(seed=1)
    seen = watched(model)
    executor = Executor(Layout.of(model), Everything())
    executor.prefill(executor.start(long))
    assert set(seen) == {600}


@torch.no_grad()
def test_a_feed_forward_has_its_own_forward_back(long):
    model = tiny_model(seed=1)
    theirs = model.model.layers[0].mlp.forward
    model.model.layers[0].mlp.forward = theirs  # as accelerate has one of its own there
    Executor(Layout.of(model)).logits(long)
    assert model.model.layers[0].mlp.__dict__["forward"] is theirs
    assert "forward" not in model.model.layers[1].mlp.__dict__


@torch.no_grad()
def test_threads_that_read_long_prompts_leave_the_model_whole(long):
    model = tiny_model(seed=1)
    whole = copy.deepcopy(model)
    dense, found = whole(long, use_cache=False).logits[:, -1:], []
    barrier = threading.Barrier(3)

    def work():
        barrier.wait()
        with torch.no_grad():
            found.extend(Executor(Layout.of(model)).logits(long)[0] for _ in range(8))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 24
    for one in found:
        torch.testing.assert_close(one, dense, rtol=1e-5, atol=1e-5)
    assert not any("forward" in block.mlp.__dict__ for block in model.model.layers)


@torch.no_grad()
def test_last_queries_hold_no_others(long):
    executor = TokenPruner(tiny_model(seed=1)).executor()
    cache = PrunedCache(executor.blocks)
    executor.prefill(executor.start(long[:1]), cache)
    assert cache.read is not None
    kept = [one for one in cache.read.queries if one is not None]
    assert kept
    for one in kept:
        assert one.untyped_storage().nbytes() == one.numel() * one.element_size()
