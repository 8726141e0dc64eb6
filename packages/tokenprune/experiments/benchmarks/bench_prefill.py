"""Prefill of SmolLM2 with last-position logits, beside the same model dense: one JSON line for each arm.

    python packages/tokenprune/experiments/benchmarks/bench_prefill.py [LENGTH ...]       # 512 2048 if none is given

`ratio` is how many times as fast as dense, with its 95 % interval; `bound` is what the saved operations allow, and
`share` how much of that was had. At each length: the routers at S = 0.30 and 0.60 (routing included), the executor that
skips nothing, and peak memory. At 512 also a padded batch of 4.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import torch
from ninefold.measure import emit, peak_rss_anon
from tokenprune import FTPConfig, TokenPruner, load
from tokenprune.evaluation._speed import prefill

SPARSITIES, SHORT = (0.3, 0.6), 512


def show(lines: list[dict[str, Any]], benchmark: str) -> None:
    for line in lines:
        emit(benchmark=benchmark, **line, share=line["ratio"] / line["bound"])


def memory(length: int) -> None:
    """Of the first prefill in a process of its own: one that has run before has the memory already."""
    above = {}
    for sparsity in ("dense", *map(str, SPARSITIES)):
        words = [sys.executable, __file__, "--memory", sparsity, str(length)]
        above[sparsity] = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])
        emit(benchmark="peak memory of prefill with its cache", tokens=length, sparsity=sparsity,
             bytes_above_model=above[sparsity], ratio=above[sparsity] / above["dense"])  # fmt: skip


def peak_of(sparsity: str, length: int) -> int:
    model, _ = load("smollm2")
    ids = torch.randint(1, 1000, (1, length), generator=torch.Generator().manual_seed(0))
    pruner = None if sparsity == "dense" else TokenPruner(model, FTPConfig(target_sparsity=float(sparsity))).attach()
    with torch.no_grad(), peak_rss_anon() as peak:
        out = model(ids, logits_to_keep=1, use_cache=True)
    assert out is not None
    if pruner is not None:
        pruner.detach()
    return peak.above


def main() -> None:
    if sys.argv[1:2] == ["--memory"]:
        print(peak_of(sys.argv[2], int(sys.argv[3])))
        return
    model, _ = load("smollm2")
    for length in [int(word) for word in sys.argv[1:]] or [512, 2048]:
        show(prefill(model, length, SPARSITIES, repeats=7 if length <= SHORT else 3), "prefill")
        memory(length)
        if length == SHORT:
            show(prefill(model, length, SPARSITIES, rows=4, padding=0.5, repeats=3), "padded batch of 4")


if __name__ == "__main__":
    main()
