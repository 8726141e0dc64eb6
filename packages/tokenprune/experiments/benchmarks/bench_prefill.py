"""Prefill with last-position logits beside the same model dense, in turn: SmolLM2, or 8 random blocks of its geometry.

    python packages/tokenprune/experiments/benchmarks/bench_prefill.py [--model smollm2|eight] [--length 2048]
        [--dtype float32|bfloat16] [--repeats 5] [--only time|memory] [--rows 1]

`ratio` is how many times as fast as dense, with its 95 % interval, routing included; `bound` is what the saved
operations allow, and `share` how much of that was had; at sparsities of .3 and .6, with heads that look ahead too. Memory is what one prefill with its
cache takes above the weights at its peak, each in a process of its own: one that has run before has the memory already.
With `--rows 4` the rows of the batch are padded, the shortest to half. One length a call, so that each stays short.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

import torch
from bench_geometry import random_model
from ninefold.measure import compare, emit
from ninefold_testing import peak_rss_anon
from tokenprune import FTPConfig, TokenPruner, load
from tokenprune.routers._observation_router import Observation

SPARSITIES = (0.3, 0.6)
AHEAD = {"smollm2": ((7, 7), (8, 0), (15, 6)), "eight": ((2, 0), (3, 4), (5, 8))}  # heads, learnt or any


def model_of(name: str, dtype: str) -> Any:
    """SmolLM2, or random weights."""
    return load("smollm2", dtype=dtype)[0] if name == "smollm2" else random_model(name, "cpu").to(getattr(torch, dtype))


def prompt(length: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, length) ids and mask, the last row padded on the left to half."""
    ids = torch.randint(1, 1000, (rows, length), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        mask[row, : length // 2 * row // (rows - 1)] = 0
    return ids, mask


@torch.no_grad()
def times(model: Any, about: dict[str, Any], repeats: int) -> None:
    """Time the dense model and the pruner at each sparsity, in turn."""
    ids, mask = prompt(about["tokens"], about["rows"])
    pruners = {f"{s:g}": TokenPruner(model, FTPConfig(target_sparsity=s)) for s in SPARSITIES}
    sees = Observation(heads=AHEAD[about["model"]])
    pruners["0.6, learnt"] = TokenPruner(model, FTPConfig(target_sparsity=0.6, observation=sees))
    padded, lengths = None if about["rows"] == 1 else mask, mask.sum(1).tolist()
    calls = {"dense": lambda: model(ids, attention_mask=padded, logits_to_keep=1, use_cache=False)}
    calls |= {s: lambda one=one.executor(): one.logits(ids, padded) for s, one in pruners.items()}
    whole = pruners["0.3"].executor().costs.dense([about["tokens"]] * about["rows"], logits=about["rows"]).flops
    bounds = {s: whole / one.cost(lengths).flops for s, one in pruners.items()}
    for name, timing in compare(calls, repeats=repeats).items():
        bound = bounds.get(name, 1.0)
        emit(benchmark="prefill", **about, sparsity=name, seconds=timing.seconds, ratio=timing.ratio, low=timing.low,
             high=timing.high, bound=bound, share=timing.ratio / bound)  # fmt: skip


def memory(about: dict[str, Any]) -> None:
    """Peak above the weights of each arm."""
    above = {}
    for sparsity in ("dense", *map(str, SPARSITIES)):
        words = [sys.executable, __file__, "--peak", sparsity, "--model", about["model"], "--dtype", about["dtype"],
                 "--length", str(about["tokens"])]  # fmt: skip
        above[sparsity] = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])
        emit(benchmark="peak memory of prefill with its cache", **about, sparsity=sparsity,
             bytes_above_model=above[sparsity], ratio=above[sparsity] / above["dense"])  # fmt: skip


@torch.no_grad()
def peak_of(model: Any, sparsity: str, length: int) -> int:
    """Bytes above the weights that the first prefill takes at its peak."""
    ids, _ = prompt(length, 1)
    pruner = None if sparsity == "dense" else TokenPruner(model, FTPConfig(target_sparsity=float(sparsity))).attach()
    with peak_rss_anon() as peak:
        out = model(ids, logits_to_keep=1, use_cache=True)
    assert out is not None
    if pruner is not None:
        pruner.detach()
    return peak.above


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--model", choices=("smollm2", "eight"), default="smollm2")
    words.add_argument("--length", type=int, default=2048)
    words.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    words.add_argument("--repeats", type=int, default=5)
    words.add_argument("--rows", type=int, default=1)
    words.add_argument("--only", choices=("time", "memory"))
    words.add_argument("--peak")
    asked = words.parse_args()
    if asked.peak:
        print(peak_of(model_of(asked.model, asked.dtype), asked.peak, asked.length))
        return
    about = {"model": asked.model, "dtype": asked.dtype, "tokens": asked.length, "rows": asked.rows,
             "threads": torch.get_num_threads()}  # fmt: skip
    if asked.only != "memory":
        times(model_of(asked.model, asked.dtype), about, asked.repeats)
    if asked.only != "time" and asked.rows == 1:
        memory(about)


if __name__ == "__main__":
    main()
