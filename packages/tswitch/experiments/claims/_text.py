"""Experiments on MiniLM fine-tuned here on real tasks: pulse activation, ternary switches, rivals.

Scores are per cent right, by task and row. Rivals run in the same experiment on the same models and rows; their
settings are chosen on validation rows of the first seed. Quick forms use the embedded slices, four tasks, 60 steps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from ninefold_lab import Budget, Scores
from tswitch.bank._bank import SwitchBank
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import Bench
from tswitch.models._models import base_folder
from tswitch.switch._compress import compress
from tswitch.switch._pulse import Discard, discard
from tswitch.switch._switch import Switch
from tswitch_experiments.baselines._tuned import PER_TASK, STATIC, scored
from tswitch_experiments.models._suite import bench

Experiment = Callable[[Budget, int], Scores]
BASE = "minilm"
_QUICK4 = ("banking77", "snips", "clinc150/banking", "clinc150/travel")


def _is_full(budget: Budget) -> bool:
    return budget.form == "full"


def _models(budget: Budget, seed: int, names: Sequence[str] = OPEN12) -> Bench:
    """The fine-tuned models of an experiment: `names` in full, four embedded tasks of 60 steps for a look."""
    if _is_full(budget):
        return bench(names, seed)
    return bench(_QUICK4, seed, source="embedded", steps=60)


def _rows(budget: Budget, full: int = 200) -> int:
    """Test rows of a task."""
    return full if _is_full(budget) else 60


def _switches(models: Bench, alpha: float, folder: Path) -> dict[str, Switch]:
    """All models compressed to disk and opened from there."""
    base = base_folder(BASE)
    return {
        task: compress(base, models.folders[task], folder / f"{index}-{alpha}", alpha)
        for index, task in enumerate(models.names)
    }


def _switched(models: Bench, switches: dict[str, Switch], rows: int, *, shift: int = 0) -> dict[str, np.ndarray]:
    """Scores through a live bank; `shift` gives each task the switch of another one, with its own head."""
    models.load(models.base)
    bank = SwitchBank(models.encoder)
    for task, switch in switches.items():
        bank.add(task, switch)
    scores = {}
    for index, task in enumerate(bank.tasks):
        with bank.use(bank.tasks[(index + shift) % len(bank.tasks)]):
            scores[task] = models.score(task, "test", rows)
    return scores


def _individual(models: Bench, rows: int) -> dict[str, np.ndarray]:
    return models.score_each(models.encoders.__getitem__, "test", rows)


def pulse(budget: Budget, seed: int) -> Scores:
    """Half of the changes dropped by each rule, values kept, one task at a time."""
    models, rows = _models(budget, seed), _rows(budget)
    generator = torch.Generator().manual_seed(seed)

    def kept(which: Discard) -> dict[str, np.ndarray]:
        def weights(task: str) -> dict[str, torch.Tensor]:
            tuned = models.encoders[task]
            return {
                name: value + discard(tuned[name] - value, 0.5, which, generator=generator)
                if value.is_floating_point()
                else value
                for name, value in models.base.items()
            }

        return models.score_each(weights, "test", rows)

    return {
        "individual": _individual(models, rows),
        "base": models.score_one(models.base, "test", rows),
        "discard low": kept("low"),
        "discard random": kept("random"),
        "discard high": kept("high"),
    }


def binary(budget: Budget, seed: int) -> Scores:
    """T-Switch from disk at two drop ratios, with its size as the file system gives it, and wrong switches."""
    models, rows = _models(budget, seed), _rows(budget)
    arms: dict[str, dict[str, np.ndarray] | float] = {"individual": _individual(models, rows)}
    with tempfile.TemporaryDirectory() as folder:
        for alpha in (0.6, 0.9):
            switches = _switches(models, alpha, Path(folder))
            arms[f"T-Switch {alpha}"] = _switched(models, switches, rows)
            whole = sum(4 * switch.parameters for switch in switches.values())
            arms[f"T-Switch {alpha}: % of float32"] = 100 * sum(s.nbytes for s in switches.values()) / whole
            arms[f"T-Switch {alpha}: density %"] = 100 * float(np.mean([s.density for s in switches.values()]))
            if alpha == 0.6:
                arms["wrong switch"] = _switched(models, switches, rows, shift=1)
    return arms


def table(names: Sequence[str]) -> Experiment:
    def run(budget: Budget, seed: int) -> Scores:
        models, rows = _models(budget, seed, names), _rows(budget, 120)
        tuner = models if seed == 0 else _models(budget, 0, names)
        validation = 40 if _is_full(budget) else 20
        scores, sizes = scored(models, tuner, (*STATIC, *PER_TASK), validation=validation, test=rows, seed=seed)
        arms: dict[str, dict[str, np.ndarray] | float] = {**scores}
        arms["individual"] = _individual(models, rows)
        arms["base"] = models.score_one(models.base, "test", rows)
        with tempfile.TemporaryDirectory() as folder:
            for alpha in (0.6, 0.9):
                switches = _switches(models, alpha, Path(folder))
                arms[f"T-Switch {alpha}"] = _switched(models, switches, rows)
                arms[f"T-Switch {alpha}: MB"] = sum(s.nbytes for s in switches.values()) / 1e6
                if alpha == 0.6:
                    arms["wrong switch"] = _switched(models, switches, rows, shift=1)
        arms |= {f"{name}: MB": sizes[name] / 1e6 for name in PER_TASK}
        arms["EMR: half the MB"] = sizes["EMR"] / 2e6
        return arms

    return run
