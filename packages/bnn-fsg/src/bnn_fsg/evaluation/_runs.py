"""Arms of a comparison: the same start, the same batches, another estimator; with tables and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.report import Table, figure
from torch import nn

from bnn_fsg.baselines import gradient_of
from bnn_fsg.datasets import Images
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.layers._nets import Recipe
from bnn_fsg.training._scores import accuracy
from bnn_fsg.training._trainer import BinaryTrainer, History, Schedule

CURVES = {"loss": "mean training loss", "flips": "share of signs that changed"}


@dataclass(frozen=True)
class Arm:
    """An estimator with its optimiser.

    Attributes:
        gradient: name of the estimator, or its class.
        optimizer: sgd, momentum (0.9, weight decay 5e-4) or adam.
        lr: learning rate.
        options: of the estimator.
        title: what tables call it; made of the rest if empty.
    """

    gradient: str | type[Gradient]
    optimizer: str = "sgd"
    lr: float = 1e-3
    options: dict[str, Any] = field(default_factory=dict)
    title: str = ""

    def __post_init__(self) -> None:  # here, since an arm may come to run long after the first
        gradient_of(self.gradient)
        if self.optimizer not in ("sgd", "momentum", "adam"):
            raise InputError("optimizer", got=repr(self.optimizer), expected="sgd, momentum or adam")

    @property
    def label(self) -> str:
        """Name for tables."""
        return self.title or f"{self.gradient}, {self.optimizer} {self.lr:g}"


@dataclass
class Result:
    """One arm with one seed."""

    arm: Arm
    model: nn.Module
    history: History
    test: float


def train_arm(
    recipe: Recipe,
    start: nn.Module,
    arm: Arm,
    schedule: Schedule,
    train: Images,
    validation: Images | None = None,
    *,
    seed: int,
    device: str = "cpu",
    on_step: Callable[[], object] = lambda: None,
    **how: Any,
) -> tuple[nn.Module, History]:
    """Binarise a copy of `start`, on the CPU, and train it on `device`; a seed gives every arm the same batches.

    how: out, config, teacher, threads and compile, as of `BinaryTrainer`.
    """
    model = recipe.binarize(start).to(device)
    torch.manual_seed(seed)
    kind = gradient_of(arm.gradient)
    gradient = kind(model, _optimizer(arm, model), **arm.options)
    trainer = BinaryTrainer(model, gradient, schedule, seed=seed, **how)
    return model, trainer.fit(train, validation, on_step=on_step)


def compare(
    recipe: Recipe,
    start: nn.Module,
    arms: Sequence[Arm],
    schedule: Schedule,
    splits: dict[str, Images],
    seeds: Iterable[int],
) -> list[Result]:
    """Every arm with every seed, scored on the test split; torch has one thread, so that no verdict depends on it."""
    found = []
    for seed in seeds:
        for arm in arms:
            model, history = train_arm(recipe, start, arm, schedule, splits["train"], seed=seed, threads=1)
            found.append(Result(arm, model, history, accuracy(model, splits["test"], threads=1)))
    return found


def table(found: Sequence[Result]) -> Table:
    """One row an arm, means over seeds."""
    made = Table(["arm", "mean training loss", "last epoch's loss", "test accuracy, %", "sd", "flips, %", "seeds"])
    for arm in dict.fromkeys(one.arm.label for one in found):
        mine = [one for one in found if one.arm.label == arm]
        tests, last = [100 * one.test for one in mine], [one.history.epochs[-1] for one in mine]
        spread = float(np.std(tests, ddof=1)) if len(tests) > 1 else 0.0
        losses = [[one.history.mean_loss for one in mine], [one["loss"] for one in last], tests]
        flips = 100 * float(np.mean([one["flips"] for one in last]))
        made.rows.append([arm, *(float(np.mean(one)) for one in losses), spread, flips, len(mine)])
    made.notes.append("flips: share of signs that the last epoch changed")
    return made


def pictures(found: Sequence[Result]) -> list[tuple[str, Any]]:
    """(caption, figure) of each of `CURVES` over epochs, means over seeds."""
    made = []
    for key, words in CURVES.items():
        one, axes = figure()
        for arm in dict.fromkeys(result.arm.label for result in found):
            histories = [result.history.epochs for result in found if result.arm.label == arm]
            lines = np.array([[entry[key] for entry in epochs] for epochs in histories], float)  # None: not a number
            axes.plot(range(1, len(lines[0]) + 1), np.mean(lines, axis=0), marker="o", markersize=3, label=arm)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel(words)
        axes.legend(fontsize=8)
        made.append((f"{words.capitalize()} by epoch", one))
    return made


def _optimizer(arm: Arm, model: nn.Module) -> torch.optim.Optimizer:
    parameters = model.parameters()
    if arm.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=arm.lr)
    momentum, decay = (0.9, 5e-4) if arm.optimizer == "momentum" else (0.0, 0.0)
    return torch.optim.SGD(parameters, lr=arm.lr, momentum=momentum, weight_decay=decay)
