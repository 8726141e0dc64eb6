"""Judging the schedules of a real search, with and without what `Fitness` reuses: one JSON line.

    python packages/tokenprune/experiments/benchmarks/bench_search.py [--small]

Naive: each schedule from block 0, each sequence by itself, no memory. Both judge the same generations of a search of
the default size on SmolLM2, half an hour (`--small`: on a random model of 12 blocks, for a look), and must agree.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from ninefold.measure import emit
from tokenprune import Layout, StaticRouter, datasets, load, redundancy, tiny_model, windows
from tokenprune.ftp import Fitness, Search, SearchConfig


def main() -> None:
    small = "--small" in sys.argv
    model, tokenizer = (tiny_model(num_hidden_layers=12), None) if small else load("smollm2")
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    data = windows(ids, length=64, scored=16, count=4) if small else windows(ids, length=128, scored=24, count=4)
    layout = Layout.of(model)
    reusing = Fitness(layout, data, StaticRouter)
    naive = [Fitness(layout, data.part(i, i + 1), StaticRouter, reuse=False) for i in range(len(data))]
    seconds = {"reusing": 0.0, "naive": 0.0}

    def judge(schedules: Sequence[tuple[float, ...]]) -> list[float]:
        start = time.perf_counter()
        ours = reusing(schedules)
        middle = time.perf_counter()
        theirs = np.mean([one(schedules) for one in naive], axis=0)
        seconds["reusing"] += middle - start
        seconds["naive"] += time.perf_counter() - middle
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)
        return ours

    search = Search(0.3, redundancy(layout, data).influence.numpy(), highest=data.highest,
                    config=SearchConfig(population=12, generations=8) if small else SearchConfig())  # fmt: skip
    while not search.done:
        search.advance(judge)
    faster = seconds["naive"] / seconds["reusing"]
    emit(benchmark="search, reusing over naive", ratio=faster, seconds=seconds,
         evaluations=reusing.evaluations, share_of_blocks=reusing.blocks_run / naive[0].blocks_run)  # fmt: skip


if __name__ == "__main__":
    main()
