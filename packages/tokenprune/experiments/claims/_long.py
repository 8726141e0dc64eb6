"""Facts that stand early: needles and names on templates that no choice was made on, beside text and questions.

Arms: the dense model; the training-free pruner with its default settings, and without its memory for scores of earlier
blocks; truncation, the control; FastKV, GemFilter and PyramidInfer, which choose tokens by attention, too; ShortGPT.
Rivals choose their settings on mixed validation sequences, alike for all seeds; of ours nothing is chosen here. Each
seed draws its own tasks, windows and questions from the test sets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from tokenprune import datasets
from tokenprune.baselines import BASELINES
from tokenprune.evaluation._evaluate import questions_as_scored
from tokenprune.evaluation._recall import as_scored
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, divergence, nll, windows
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.routers._observation_router import Observation

from ._arms import LENGTH, TAIL, Arms, calibration_windows, smollm2, solved_questions, test_ids

RIVALS = ("truncation", "fastkv", "gemfilter", "pyramidinfer", "shortgpt")
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


def right_answers(seed: int, count: int) -> Scored:
    """Right answers to ARC-easy test questions, each after two solved ones of its own.

    How far all arms are off depends on the solved ones more than on the question.
    """
    every = datasets.questions("arc_easy")
    order = np.random.default_rng(seed + 4000).permutation(len(every))[: 3 * count]
    sequences, counts = [], []
    for item, *shots in order.reshape(-1, 3):
        asked = every[item]
        (choices,) = questions_as_scored([asked], [every[at] for at in shots], smollm2()[1])
        sequences.append(choices.sequences[asked.label])
        counts.append(choices.counts[asked.label])
    return Scored(sequences, counts)


def rivals_chosen_on(arms: Arms) -> Scored:
    """A few needles, names, windows and questions of the validation sets, the same for all seeds."""
    text, tokenizer = calibration_windows(5000, max(2, arms.sizes.windows // 5)), smollm2()[1]
    more = solved_questions(5000, max(1, arms.sizes.items // 4))
    filler = torch.cat(list(calibration_windows(6000, 12).sequences))
    tasks = [task for kind in ("needle", "name") for task in datasets.long_tasks(
        kind, "validation", tokenizer, filler=filler, count=max(1, arms.sizes.tasks // 16),
        length=arms.sizes.task_length)]  # fmt: skip
    parts = [text, more, as_scored(tasks)]
    return Scored([one for part in parts for one in part.sequences], [one for part in parts for one in part.counts])


def makers(arms: Arms, target: float) -> dict[str, Callable[[], Executor]]:
    """The arms by name, each made when it is asked for."""

    def rival(name: str) -> Executor:
        made = BASELINES[name]()
        made.fit(arms.layout, rivals_chosen_on(arms), target)
        return made.apply()

    def ours(*, lasting: bool) -> Executor:
        config = FTPConfig(target_sparsity=target, observation=Observation(lasting=lasting))
        return TokenPruner(arms.layout.model, config).executor()

    return {"dense": lambda: arms.dense, "observation": partial(ours, lasting=True),
            "scores of one block": partial(ours, lasting=False),
            **{name: partial(rival, name) for name in RIVALS}}  # fmt: skip


def early_facts(arms: Arms, target: float) -> dict[str, Any]:
    """By arm NLL of needles and names, KL of text and questions, each by sequence; and the share of operations."""
    scores: dict[str, Any] = {}
    sets = test_sets(arms)
    total = 0.0
    for name, make in makers(arms, target).items():
        found = arms.scores(f"long-{name}", partial(_scored, make, arms.dense, sets))
        flops = float(found["flops"][0])
        total = flops if name == "dense" else total
        for kind in ("needle", "name"):
            scores[f"{kind}, {name}"] = found[f"{kind} nll"]
        if name != "dense":
            for kind in ("text", "questions"):
                scores[f"{kind} KL, {name}"] = found[f"{kind} kl"]
        scores[f"operations of {name}"] = flops / total
    return scores


@torch.no_grad()
def _scored(make: Callable[[], Executor], dense: Executor, sets: dict[str, Scored]) -> dict[str, np.ndarray]:
    executor, found, flops = make(), {}, 0.0
    for kind, data in sets.items():
        nats, apart = [], []
        for start in range(0, len(data), ROWS):
            part = data.part(start, start + ROWS)
            logits, cost = part.decoded(executor)
            nats.append(part.by_sequence(nll(logits, part.targets).cpu()))
            if kind in ("text", "questions"):
                reference = part.decoded(dense)[0].log_softmax(-1)
                apart.append(part.by_sequence(divergence(reference, logits).cpu()))
            flops += cost.flops
        counts = torch.tensor(data.counts)
        found[f"{kind} nll"] = (torch.cat(nats) / counts).numpy().astype(float)
        if apart:
            found[f"{kind} kl"] = (torch.cat(apart) / counts).numpy().astype(float)
    return found | {"flops": np.array([flops])}
