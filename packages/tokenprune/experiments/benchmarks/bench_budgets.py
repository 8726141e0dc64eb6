"""What the stages and routing may take on SmolLM2: one JSON line each, with its bound.

    python packages/tokenprune/experiments/benchmarks/bench_budgets.py [--evaluations 200] [--steps 400] [--length 512]
        [--threads 1] [--small]

A search of 200 evaluations of 1,500 tokens is to take ten minutes at most, 400 training steps of 128 tokens eight, and
routing (scores of the keys, the router, and its choice) less than 3 % of a prefill of 512 tokens: the median, where
`low` and `high` hold nine of ten runs. With fewer evaluations or steps the line says how many were timed, and `seconds`
is what all would take. `--small`: on a random model, for a look.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from typing import Any
from unittest import mock

import numpy as np
import torch
from ninefold.measure import emit
from tokenprune import Executor, Layout, datasets, load, tiny_model, windows
from tokenprune.executor import _attention
from tokenprune.ftp import DynamicRouter, PublishedConfig, PublishedPruner, RouterNet, SearchConfig, TrainConfig

SPARSITY = 0.3


def search(model: Any, ids: torch.Tensor, wanted: int) -> None:
    """A search as `PublishedPruner.search` runs it, until so many schedules were judged."""
    data = windows(ids, length=126, scored=24, count=12)  # 1,500 tokens go in
    pruner = PublishedPruner(model, PublishedConfig(target_sparsity=SPARSITY))
    found, judge = pruner.searching(data, SearchConfig(generations=200))
    start = time.perf_counter()
    while judge.evaluations < wanted:
        found.advance(judge)
    seconds = time.perf_counter() - start
    emit(benchmark="200 evaluations of a search", threads=torch.get_num_threads(),
         tokens=sum(len(one) - 1 for one in data.sequences), timed=judge.evaluations,
         seconds=seconds * 200 / judge.evaluations, bound_seconds=600,
         share_of_blocks=judge.blocks_run / (judge.evaluations * len(pruner.layout.blocks)))  # fmt: skip


def training(model: Any, ids: torch.Tensor, steps: int) -> None:
    """Training as `PublishedPruner.fit_router` runs it, the dense model's answers included."""
    data = windows(ids, length=129, scored=24, count=32)
    pruner = PublishedPruner(model, PublishedConfig(target_sparsity=SPARSITY))
    work = pruner.training(data, TrainConfig(steps=steps))
    start = time.perf_counter()
    while not work.done:
        work.step()
    seconds = time.perf_counter() - start
    frozen = all(one.grad is None and one.requires_grad for one in model.parameters())  # as they were given
    emit(benchmark="400 training steps", tokens=128, threads=torch.get_num_threads(), timed=steps,
         seconds=seconds * 400 / steps, bound_seconds=480, no_gradient_for_the_model=frozen)  # fmt: skip


def routing(model: Any, length: int, repeats: int = 45) -> None:
    """Timed inside the prefill: against one that is told what to keep, 3 % are lost in the difference of two noises."""
    layout = Layout.of(model)
    ids = torch.randint(1, 256, (1, length), generator=torch.Generator().manual_seed(0))
    router = DynamicRouter((SPARSITY,) * len(layout.blocks), RouterNet(generator=torch.Generator().manual_seed(0)))
    executor, spent = Executor(layout, router), 0.0

    def timed(inner: Any) -> Any:
        def outer(*args: Any) -> Any:
            nonlocal spent
            start = time.perf_counter()
            made = inner(*args)
            spent += time.perf_counter() - start
            return made

        return outer

    shares, seconds = [], []
    parts = [(router, "keep"), (_attention, "key_scores"), (executor, "_note_scores")]
    with contextlib.ExitStack() as stack:
        for owner, name in parts:
            stack.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name))))
        for repeat in range(repeats + 1):  # the first is warmer for those after it
            spent, start = 0.0, time.perf_counter()
            _, stream = executor.logits(ids)
            if repeat:
                seconds.append(time.perf_counter() - start)
                shares.append(spent / seconds[-1])
    cost = executor.cost(stream, logits=1)
    low, high = np.quantile(shares, [0.05, 0.95])
    emit(benchmark="routing, share of a prefill", tokens=length, threads=torch.get_num_threads(),
         share=statistics.median(shares), low=float(low), high=float(high), bound=0.03,
         share_of_operations=cost.routing_flops / cost.flops, seconds=statistics.median(seconds))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model, tokenizer = (tiny_model(), None) if asked.small else load("smollm2")
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    routing(model, asked.length)
    search(model, ids, asked.evaluations)
    training(model, ids, asked.steps)


if __name__ == "__main__":
    main()
