"""Decoding of a padded batch beside the dense model: one JSON line for each arm.

    python packages/tokenprune/experiments/benchmarks/bench_decode.py [--model eight|smollm2] [--tokens 2048] [--steps 32]

Four prompts, the shortest half as long as the longest, padded on the left; then greedy steps through the model's own
forward. Only the steps are timed, in the processor's time of one thread, all arms in turn in each round: `ratio` is the
median over rounds of dense seconds by an arm's. `eight` is a LLaMA of eight blocks and random weights.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from ninefold.measure import emit
from tokenprune import FTPConfig, TokenPruner, load, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME

EIGHT: dict[str, Any] = {
    "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 9,
    "num_key_value_heads": 3, "vocab_size": 8192, "max_position_embeddings": 16_384,
}  # fmt: skip


def steps_of(model: Any, ids: torch.Tensor, mask: torch.Tensor, steps: int) -> float:
    """Processor seconds of so many steps after a prompt, on one thread."""
    out = model(ids, attention_mask=mask, logits_to_keep=1, use_cache=True)
    cache, now = out[CACHE_NAME], out.logits[:, -1:].argmax(-1)
    start = time.thread_time()
    for _ in range(steps):
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        out = model(now, attention_mask=mask, use_cache=True, **{CACHE_NAME: cache})
        cache, now = out[CACHE_NAME], out.logits[:, -1:].argmax(-1)
    return time.thread_time() - start


@torch.no_grad()
def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--model", choices=["eight", "smollm2"], default="eight")
    words.add_argument("--tokens", type=int, default=2048)
    words.add_argument("--steps", type=int, default=32)
    words.add_argument("--repeats", type=int, default=7)
    asked = words.parse_args()
    torch.set_num_threads(1)
    model = tiny_model(**EIGHT) if asked.model == "eight" else load("smollm2")[0]
    ids = torch.randint(1, 8000, (4, asked.tokens), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    for row in range(4):
        mask[row, : row * asked.tokens // 6] = 0
    pruners = {f"tokenprune {s:g}": TokenPruner(model, FTPConfig(target_sparsity=s)) for s in (0.0, 0.3, 0.6)}
    seconds: dict[str, list[float]] = {name: [] for name in ("dense", *pruners)}
    for repeat in range(asked.repeats + 1):
        for name, found in seconds.items():
            with pruners.get(name, nullcontext()):  # type: ignore[attr-defined]
                spent = steps_of(model, ids, mask, asked.steps)
            if repeat:  # the first round warms the others up
                found.append(spent)
    dense = np.array(seconds["dense"])
    for name, found in seconds.items():
        ratios = dense / np.array(found)
        emit(benchmark="padded decoding", model=asked.model, tokens=asked.tokens, rows=4, steps=asked.steps, arm=name,
             seconds_a_step=float(np.median(found)) / asked.steps, ratio=float(np.median(ratios)),
             lowest=float(ratios.min()), highest=float(ratios.max()), threads=1)  # fmt: skip


if __name__ == "__main__":
    main()
