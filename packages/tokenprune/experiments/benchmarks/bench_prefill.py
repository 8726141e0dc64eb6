"""Prefill of SmolLM2 with last-position logits, beside the same model dense: one JSON line for each arm.

    python packages/tokenprune/experiments/benchmarks/bench_prefill.py [LENGTH ...]       # 512 2048 if none is given

`ratio` is how many times as fast as dense, with its 95 % interval; `bound` is what the saved operations allow, and
`share` how much of that was had. At each length: both routers at S = 0.30 and 0.40 (routing included), and the executor
that skips nothing. At 512 also a padded batch of 4, and each layer-pruned rival at S = 0.30 beside FTP with a schedule
of the same operations ("equal operations": `flops_apart` says how far apart they are).
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import torch
from ninefold.measure import emit, peak_rss_anon
from tokenprune import DynamicRouter, Executor, Layout, RouterNet, Scored, datasets, load, windows
from tokenprune.baselines import LaCo, ShortGPT, SliceGPT, Streamline
from tokenprune.baselines._block_pruner import BlockPruner
from tokenprune.evaluation._speed import prefill, schedule_of_equal_cost

SPARSITY, BETWEEN = 0.3, 512


def show(lines: list[dict[str, Any]], benchmark: str) -> None:
    for line in lines:
        emit(benchmark=benchmark, **line, share=line["ratio"] / line["bound"])


def rivals(model: Any, tokenizer: Any) -> dict[str, Executor]:
    """Fitted on next to nothing: which blocks they choose does not change their speed."""
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    data: Scored = windows(ids, length=24, scored=8, count=1)
    streamline = Streamline()
    streamline.steps = 1
    arms = {}
    for rival in (ShortGPT(), BlockPruner(candidates=30), streamline, LaCo(), SliceGPT()):
        rival.fit(Layout.of(model), data, SPARSITY)
        arms[rival.name] = rival.apply()
    return arms


def equal_operations(model: Any, tokenizer: Any) -> None:
    layout, arms = Layout.of(model), rivals(model, tokenizer)
    ids = torch.randint(1, 1000, (1, BETWEEN), generator=torch.Generator().manual_seed(0))
    net, ours = RouterNet(generator=torch.Generator().manual_seed(0)), {}
    for name, rival in arms.items():
        flops = rival.cost(rival.logits(ids)[1], logits=1).flops
        schedule = schedule_of_equal_cost(layout, BETWEEN, flops)
        ours[f"ftp as {name}"] = Executor(layout, DynamicRouter(schedule, net))
    lines = {one["arm"]: one for one in prefill(model, BETWEEN, [], repeats=5, more={**arms, **ours})}
    for name in arms:
        rival, ftp = lines[name], lines[f"ftp as {name}"]
        emit(benchmark="equal operations", rival=name, tokens=BETWEEN, rival_ratio=rival["ratio"],
             ftp_ratio=ftp["ratio"], ftp_low=ftp["low"], ftp_high=ftp["high"], bound=ftp["bound"],
             flops_apart=ftp["flops"] / rival["flops"] - 1, share=ftp["ratio"] / ftp["bound"])  # fmt: skip


def memory(length: int) -> None:
    """Of the first prefill in a process of its own: one that has run before has the memory already."""
    above = {}
    for arm in ("dense", "ftp"):
        words = [sys.executable, __file__, "--memory", arm, str(length)]
        above[arm] = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])
    emit(
        benchmark="peak memory of prefill", tokens=length, bytes_above_model=above, ratio=above["ftp"] / above["dense"]
    )


def peak_of(arm: str, length: int) -> int:
    model, _ = load("smollm2")
    layout = Layout.of(model)
    ids = torch.randint(1, 1000, (1, length), generator=torch.Generator().manual_seed(0))
    pruned = Executor(layout, DynamicRouter((SPARSITY,) * len(layout.blocks), RouterNet()))
    with torch.no_grad(), peak_rss_anon() as peak:
        if arm == "ftp":
            pruned.logits(ids)
        else:
            model(ids, logits_to_keep=1, use_cache=False)
    return peak.above


def main() -> None:
    if sys.argv[1:2] == ["--memory"]:
        print(peak_of(sys.argv[2], int(sys.argv[3])))
        return
    model, tokenizer = load("smollm2")
    for length in [int(word) for word in sys.argv[1:]] or [512, 2048]:
        show(prefill(model, length, [0.3, 0.4], repeats=7 if length <= BETWEEN else 3), "prefill")
        memory(length)
        if length == BETWEEN:
            show(prefill(model, length, [0.3], rows=4, padding=0.5, repeats=3), "padded batch of 4")
            equal_operations(model, tokenizer)


if __name__ == "__main__":
    main()
