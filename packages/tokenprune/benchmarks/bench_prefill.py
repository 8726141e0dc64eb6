"""Prefill of SmolLM2 with last-position logits, beside the same model dense: one JSON line for each arm.

    python packages/tokenprune/benchmarks/bench_prefill.py [LENGTH ...]       # 512 2048 if none is given

`ratio` is how many times as fast as dense, with its 95 % interval; `bound` is what the saved operations allow, and
`share` how much of that was had. At each length: both routers at S = 0.30 and 0.40 (routing included), the executor
that skips nothing, and, at 512, layer-pruned rivals within one per cent of the same operations and a padded batch of 4.
"""

from __future__ import annotations

import sys
from typing import Any

from ninefold.bench import emit
from tokenprune import Layout, Scored, datasets, load, windows
from tokenprune._speed import prefill
from tokenprune.baselines import BASELINES

RIVALS = ("truncation", "shortgpt", "blockpruner", "slicegpt")
SPARSITY = 0.3


def show(lines: list[dict[str, Any]], benchmark: str) -> None:
    for line in lines:
        emit(benchmark=benchmark, **line, share=line["ratio"] / line["bound"])


def rivals(model: Any, tokenizer: Any) -> dict[str, Any]:
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    data: Scored = windows(ids, length=64, scored=16, count=2)  # which blocks they choose does not change their speed
    arms = {}
    for name in RIVALS:
        rival = BASELINES[name]()
        rival.fit(Layout.of(model), data, SPARSITY)
        arms[name] = rival.apply()
    return arms


def main() -> None:
    model, tokenizer = load("smollm2")
    for length in [int(word) for word in sys.argv[1:]] or [512, 2048]:
        more = rivals(model, tokenizer) if length == 512 else {}
        show(prefill(model, length, [0.3, 0.4], repeats=5, more=more), "prefill")
        if length == 512:
            show(prefill(model, length, [0.3], rows=4, padding=0.5, repeats=3), "padded batch of 4")


if __name__ == "__main__":
    main()
