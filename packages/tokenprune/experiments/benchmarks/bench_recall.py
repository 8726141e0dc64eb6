"""Recall of SmolLM2 by depth at S = 0.30: a JSON line for each arm, and the README's first picture.

    python packages/tokenprune/experiments/benchmarks/bench_recall.py [NEEDLES A DEPTH [PICTURE]]     # 10 if none is given

Needles of the test templates among WikiText-2 test text, 256 tokens each. FastKV and ShortGPT are fitted on validation
text and validation templates; the training-free form is asked as it comes. `nll` is the loss of the right answer in
nats a token at each depth, `low` and `high` its 95 % interval over needles; `operations` is the share of dense.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ninefold.measure import emit
from ninefold.report import save_figure
from tokenprune import Executor, FTPConfig, Layout, TokenPruner, datasets, load
from tokenprune.baselines import BASELINES
from tokenprune.evaluation._recall import by_depth, depth_means, recall
from tokenprune.evaluation._roles import for_fitting, tokens_for, with_tasks

SPARSITY, TOKENS, RIVALS = 0.3, 256, ("truncation", "shortgpt", "fastkv")


def main() -> None:
    needles = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    model, tokenizer = load("smollm2")
    layout = Layout.of(model)
    (fitted_on,) = for_fitting("wikitext2_valid", tokenizer, roles=1, count=8, length=128, scored=24, seed=0)
    fitted_on = with_tasks(fitted_on, "validation", tokenizer, each=1, length=TOKENS, seed=0)
    arms = {"dense": Executor(layout), "tokenprune": TokenPruner(model, FTPConfig(target_sparsity=SPARSITY)).executor()}
    for name in RIVALS:
        rival = BASELINES[name]()
        rival.fit(layout, fitted_on, SPARSITY)
        arms[name] = rival.apply()
    filler = tokens_for(50 * TOKENS, datasets.text("wikitext2_test"), tokenizer)
    count = needles * len(datasets.DEPTHS)
    tasks = datasets.long_tasks("needle", "test", tokenizer, filler=filler, count=count, length=TOKENS)
    found = recall(arms, tasks)
    for name in arms:
        levels, (mean, low, high) = depth_means([found], name)
        emit(benchmark="recall by depth", tokens=TOKENS, sparsity=SPARSITY, needles_a_depth=needles, arm=name,
             operations=found.flops[name] / found.flops["dense"], depths=levels, nll=np.round(mean, 4).tolist(),
             low=np.round(low, 4).tolist(), high=np.round(high, 4).tolist())  # fmt: skip
    if len(sys.argv) > 2:
        save_figure(by_depth([found]), Path(sys.argv[2]), "tokenprune")


if __name__ == "__main__":
    main()
