"""Processes of torchrun: threads stand in for them here, and what they gather meets at a barrier."""

from __future__ import annotations

import concurrent.futures
import copy
import threading

import pytest
import torch
from ninefold.distributed import joined
from ninefold.run import Run
from tokenprune import FTPConfig, Scored, SearchConfig, TokenPruner, TrainConfig
from tokenprune.pruner._pipeline import Pipeline
from tokenprune.search import _processes

SEARCH = SearchConfig(population=9, generations=2)


@pytest.fixture
def data():
    draw = torch.randint(1, 256, (4, 17), generator=torch.Generator().manual_seed(3))
    return Scored(list(draw), [2] * 4)


@pytest.fixture
def two(monkeypatch):
    """Runs a function of the rank in two threads at once, each as one process of two; returns both answers."""
    here, barrier, table = threading.local(), threading.Barrier(2, timeout=60), [None, None]

    def gathered(own):
        if not hasattr(here, "rank"):
            return [own]
        table[here.rank] = own
        barrier.wait()
        found = list(table)
        barrier.wait()
        return found

    monkeypatch.setattr(_processes, "place", lambda: (here.rank, 2) if hasattr(here, "rank") else (0, 1))
    monkeypatch.setattr(_processes, "gathered", gathered)

    def both(work):
        def at(rank):
            here.rank = rank
            try:
                return work(rank)
            except BaseException:
                barrier.abort()  # or the other waits for it
                raise

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(at, (0, 1)))

    return both


def test_search_is_shared_out_and_all_agree(model, data, two):
    def work(_):
        pruner = TokenPruner(copy.deepcopy(model), FTPConfig(router="static", target_sparsity=0.4))
        found, judge = pruner.searching(data, SEARCH)
        while not found.done:
            found.advance(judge)
        return found.history, judge

    (first, judge), (second, other) = two(work)
    alone, single = work(None)
    assert first == second == alone
    assert judge.memo == other.memo == single.memo
    assert judge.evaluations + other.evaluations == single.evaluations  # each was judged once
    assert min(judge.evaluations, other.evaluations) > 0.3 * single.evaluations


def test_sequences_of_a_training_step_are_shared_out_and_give_what_one_process_gives(model, data, two):
    def work(_):
        pruner = TokenPruner(copy.deepcopy(model), FTPConfig(target_sparsity=0.4, router="dynamic", seed=1))
        training = pruner.training(data, TrainConfig(steps=4, lr=0.1, batch=3, check=2), validation=data)
        losses = [[training.step() for _ in range(4)], training.verdicts]
        return losses, pruner.net.state_dict(), training.teacher.memo

    one, other = two(work)
    alone = work(None)
    assert one[0] == other[0] == alone[0]
    for name, value in alone[1].items():
        assert torch.equal(value, one[1][name])
        assert torch.equal(value, other[1][name])
    assert min(len(one[2]), len(other[2])) < len(alone[2])


def test_a_step_of_several_sequences_takes_their_mean(model, data):
    """The first step, from the same router: gradients of each sequence by itself."""
    batch = TokenPruner(model, FTPConfig(target_sparsity=0.4, router="dynamic")).training(
        data, TrainConfig(steps=1, batch=2)
    )
    seen = []
    batch._one = lambda item, shift, one=batch._one: seen.append((item, shift)) or one(item, shift)
    batch.optimizer.step = lambda: seen.append([one.grad.clone() for one in batch.parameters])
    batch.step()
    first, second, mean = seen
    batch.step_number = 0
    parts = [batch._one(*one)[1] for one in (first, second)]
    norm = torch.cat([(a + b).flatten() / 2 for a, b in zip(*parts, strict=True)]).norm()
    for a, b, taken in zip(*parts, mean, strict=True):
        torch.testing.assert_close((a + b) / 2 / max(1, float(norm)), taken, rtol=1e-4, atol=1e-7)


def test_all_stages_end_alike_and_the_first_process_alone_has_the_folder(model, data, two, tmp_path, monkeypatch):
    monkeypatch.setattr(Pipeline, "_picture", lambda self: None)

    def stages(folder, own):
        pruner = TokenPruner(own, FTPConfig(target_sparsity=0.4, router="dynamic", seed=2))
        run = None if folder is None else Run(folder, {})
        try:
            return Pipeline(run, pruner, data, data, search=SearchConfig(population=5, generations=1),
                            train=TrainConfig(steps=3, batch=2)).stages(["search", "train", "refine"])  # fmt: skip
        finally:
            if run is not None:
                run.close()

    def work(rank):
        return stages(None if rank else tmp_path / "two", copy.deepcopy(model))

    alone = stages(tmp_path / "one", model)
    for again in (False, True):  # the second time all stages are found done
        for pruner in two(work):
            assert (pruner.schedule, pruner.metrics, pruner.history) == (alone.schedule, alone.metrics, alone.history)
            for name, value in alone.net.state_dict().items():
                assert torch.equal(value, pruner.net.state_dict()[name]), (again, name)


def test_a_process_by_itself_joins_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as (rank, size):
        assert (rank, size) == (0, 1)
    assert _processes.place() == (0, 1)
    assert _processes.shared(lambda: 3) == 3
