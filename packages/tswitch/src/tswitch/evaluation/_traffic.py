"""Switches on one live encoder: each task with its own switch or another's, and mixed traffic that is routed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tswitch.bank._bank import SwitchBank
from tswitch.evaluation._evaluate import Bench
from tswitch.routing._router import AutoSwitch
from tswitch.switch._compress import compress


def bank_of(models: Bench, base: Path, folder: Path, alpha: float | None = None) -> tuple[SwitchBank, int]:
    """A bank with the switches of all tasks, and their bytes on disk; the encoder is the base again.

    Args:
        models: fine-tuned models of one base. base: its folder. folder: where switches are written.
        alpha: share of the changes that the ternary code drops; None is the default code.
    """
    models.load(models.base)
    bank, size = SwitchBank(models.model), 0
    for index, (name, tuned) in enumerate(models.folders.items()):
        switch = compress(base, tuned, folder / f"{index}", alpha)
        size += switch.nbytes
        bank.add(name, switch)
    return bank, size


def score_switched(models: Bench, bank: SwitchBank, rows: int, shift: int = 0) -> dict[str, np.ndarray]:
    """Scores of test rows of each task with its own switch on, or that of the task `shift` further on."""
    scores = {}
    for index, name in enumerate(bank.tasks):
        with bank.use(bank.tasks[(index + shift) % len(bank.tasks)]):
            scores[name] = models.score(name, "test", rows)
    return scores


@dataclass(frozen=True)
class Routed:
    """Mixed traffic: percent of right answers, and of inputs at their task; bytes of query sets; cost of a batch."""

    right: float
    found: float
    nbytes: int
    cost: str


def route_traffic(models: Bench, bank: SwitchBank, rows: int, seed: int = 0, *, batch: int = 64) -> Routed:
    """Route test rows of all tasks, mixed, in batches; the cost is that of the first batch."""
    router = AutoSwitch(
        bank, preprocess=lambda texts: models.model.pad(models.model.encode(texts)), n_queries=100, seed=seed
    )
    router.fit({name: list(models.tasks[name].train.texts) for name in bank.tasks})
    inputs: Mapping[str, Any] = {name: models.tasks[name].limited(test=rows).test for name in bank.tasks}
    traffic = [(index, row) for index, name in enumerate(bank.tasks) for row in range(len(inputs[name]))]
    right, found, cost = 0, 0, ""
    order = np.random.default_rng(seed).permutation(len(traffic))
    for start in range(0, len(order), batch):
        some = [traffic[place] for place in order[start : start + batch]]
        result = router([inputs[bank.tasks[task]].texts[row] for task, row in some])
        cost = cost or result.cost
        for (task, row), output, head in zip(some, result.outputs, result.heads, strict=True):
            found += head == bank.tasks[task]
            right += head == bank.tasks[task] and int(output.argmax()) == inputs[head].labels[row]
    return Routed(100 * right / len(traffic), 100 * found / len(traffic), router.nbytes, cost)
