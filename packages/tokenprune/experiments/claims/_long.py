"""Facts that stand early: needles and names on templates that no choice was made on, beside text and questions.

Arms: the dense model; the training-free pruner with its default settings; truncation, the control. Nothing is chosen
here. Each seed draws its own tasks, windows and questions from the test sets. Rivals, and longer prompts:
`experiments/benchmarks/bench_long.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from tokenprune import datasets
from tokenprune.evaluation._recall import as_scored
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, divergence, nll, windows
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.routers._schedule import uniform
from tokenprune.routers._static_router import StaticRouter
from tokenprune_experiments.models._arms import LENGTH, TAIL, Arms, right_answers, smollm2, test_ids

ARMS = ("dense", "observation", "truncation")
ROWS = 8


def test_sets(arms: Arms) -> dict[str, Scored]:
    """Needles, names, windows of text and 2-shot questions of one seed, by name."""
    sizes, seed = arms.sizes, arms.seed
    filler, tokenizer = test_ids(), smollm2()[1]
    draw: dict[str, Any] = {"filler": filler, "count": sizes.tasks, "length": sizes.task_length, "seed": seed}
    made = {kind: as_scored(datasets.long_tasks(kind, "test", tokenizer, **draw)) for kind in ("needle", "name")}
    made["text"] = windows(filler, length=LENGTH, scored=TAIL, count=sizes.test, seed=seed)
    made["questions"] = right_answers(seed, sizes.questions // 2)
    return made


def early_facts(arms: Arms, target: float) -> dict[str, Any]:
    """By arm NLL of needles and names, KL of text and questions, each by sequence; and the share of operations."""
    found = arms.scores("early-facts", partial(_scored, arms, target))
    scores: dict[str, Any] = {key: values for key, values in found.items() if not key.startswith("operations")}
    whole = float(found["operations of dense"][0])
    return scores | {f"operations of {name}": float(found[f"operations of {name}"][0]) / whole for name in ARMS}


@torch.no_grad()
def _scored(arms: Arms, target: float) -> dict[str, np.ndarray]:
    """All arms on the same few sequences in turn, so that what the dense model says of them is had once."""
    layout = arms.layout
    executors = {
        "dense": arms.dense,
        "observation": TokenPruner(layout.model, FTPConfig(target_sparsity=target)).executor(),
        "truncation": Executor(layout, StaticRouter(uniform(target, len(layout.blocks)))),
    }
    found: dict[str, list[np.ndarray]] = {}
    flops = dict.fromkeys(ARMS, 0.0)
    for kind, data in test_sets(arms).items():
        for start in range(0, len(data), ROWS):
            part = data.part(start, start + ROWS)
            counts = torch.tensor(part.counts)
            said = {name: part.decoded(one) for name, one in executors.items()}
            reference = said["dense"][0].log_softmax(-1)
            for name, (logits, cost) in said.items():
                flops[name] += cost.flops
                far = kind in ("text", "questions")
                lost = divergence(reference, logits) if far else nll(logits, part.targets)
                by_sequence = (part.by_sequence(lost.cpu()) / counts).numpy().astype(float)
                found.setdefault(f"{kind} KL, {name}" if far else f"{kind}, {name}", []).append(by_sequence)
    scores = {key: np.concatenate(parts) for key, parts in found.items() if not key.endswith("KL, dense")}
    return scores | {f"operations of {name}": np.array([spent]) for name, spent in flops.items()}
