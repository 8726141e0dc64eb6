"""Arms of a comparison: the same start, the same batches, another estimator; with tables and pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.files import atomic_file, write_text
from ninefold.report import Table, figure, save_figure
from torch import nn

from bnn_fsg.baselines import gradient_of
from bnn_fsg.datasets import Images
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.layers._nets import Recipe
from bnn_fsg.training._scores import accuracy
from bnn_fsg.training._teacher import Teacher
from bnn_fsg.training._trainer import BinaryTrainer, History, Schedule

GRID = (1e-3, 1e-2, 1e-1, 1.0)  # decades in which the lr of the tuned straight-through control is sought

CURVES = {
    "loss": "mean training loss",
    "flips": "share of signs that changed",
    "error": "estimator error, RMS of sign minus stand-in",
    "spread": "spread of the sizes of the last update",
}


@dataclass(frozen=True)
class Arm:
    """An estimator with its optimiser.

    Attributes:
        gradient: name of the estimator, or its class.
        optimizer: sgd, momentum (0.9, weight decay 5e-4) or adam.
        lr: learning rate.
        weight_decay: of the optimiser, if not its own.
        options: of the estimator.
        title: what tables call it; made of the rest if empty.
    """

    gradient: str | type[Gradient]
    optimizer: str = "sgd"
    lr: float = 1e-3
    options: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    weight_decay: float | None = None

    def __post_init__(self) -> None:  # here, since an arm may come to run long after the first
        gradient_of(self.gradient)
        if self.optimizer not in ("sgd", "momentum", "adam"):
            raise InputError("optimizer", got=repr(self.optimizer), expected="sgd, momentum or adam")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise InputError("weight decay", got=self.weight_decay, expected="0 or a number above it")

    @property
    def label(self) -> str:
        """Name for tables."""
        decay = "" if self.weight_decay is None else f", decay {self.weight_decay:g}"
        return self.title or f"{self.gradient}, {self.optimizer} {self.lr:g}{decay}"


@dataclass
class Result:
    """One arm with one seed."""

    arm: Arm
    seed: int
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
    out: Path | None = None,
    config: dict[str, Any] | None = None,
    teacher: Teacher | None = None,
    threads: int | None = None,
    compile: bool = False,  # noqa: A002
    on_step: Callable[[], object] = lambda: None,
) -> tuple[nn.Module, History]:
    """Binarise a copy of `start`, on the CPU, and train it on `device`; a seed gives every arm the same batches.

    threads, compile: as of `BinaryTrainer`.
    """
    model = recipe.binarize(start).to(device)
    torch.manual_seed(seed)
    kind = gradient_of(arm.gradient)
    gradient = kind(model, _optimizer(arm, model), **arm.options)
    trainer = BinaryTrainer(
        model, gradient, schedule,
        seed=seed, out=out, config=config, teacher=teacher, threads=threads, compile=compile,
    )  # fmt: skip
    return model, trainer.fit(train, validation, on_step=on_step)


def compare(
    recipe: Recipe,
    start: nn.Module,
    arms: Sequence[Arm],
    schedule: Schedule,
    splits: dict[str, Images],
    seeds: Iterable[int],
    *,
    device: str = "cpu",
    out: Path | None = None,
    on_arm: Callable[[], object] = lambda: None,
) -> list[Result]:
    """Every arm with every seed, scored on the test split; with `out` one that was killed goes on by arm.

    Torch has one thread, so that no verdict depends on their number."""
    found = []
    for seed in seeds:
        for arm in arms:
            how = {"seed": seed, "device": device, "threads": 1, **_kept(out, arm, seed)}
            model, history = train_arm(recipe, start, arm, schedule, splits["train"], **how)
            found.append(Result(arm, seed, model, history, accuracy(model, splits["test"], threads=1)))
            on_arm()
    return found


def tuned_ste(
    recipe: Recipe,
    start: nn.Module,
    schedule: Schedule,
    splits: dict[str, Images],
    seed: int,
    *,
    device: str = "cpu",
    out: Path | None = None,
    on_arm: Callable[[], object] = lambda: None,
) -> Arm:
    """Straight-through under SGD with the lr of a decade grid that is best on the validation split."""
    scores = {}
    for lr in GRID:
        arm = Arm("ste", "sgd", lr)
        kept = _kept(out, arm, seed)
        model, _ = train_arm(recipe, start, arm, schedule, splits["train"], seed=seed, device=device, threads=1, **kept)
        scores[lr] = accuracy(model, splits["validation"], threads=1)
        on_arm()
    best = max(scores, key=lambda lr: scores[lr])
    return Arm("ste", "sgd", best, title=f"ste, tuned: sgd {best:g}")


def _kept(out: Path | None, arm: Arm, seed: int) -> dict[str, Any]:
    """The run folder below `out` of an arm and seed; an arm that only has another title is the same."""
    if out is None:
        return {}
    decay = "" if arm.weight_decay is None else f"-decay-{arm.weight_decay:g}"
    name = f"{arm.gradient}-{arm.optimizer}-{arm.lr:g}{decay}-seed-{seed}"
    return {"out": out / "arms" / name, "config": {"options": arm.options}}


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
    made.notes.append("flips: share of signs that the last epoch changed; the tuned lr was chosen on validation data")
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


def write(found: Sequence[Result], shown: Table, folder: Path) -> None:
    """comparison.md and comparison.csv, and a picture for each of `CURVES` in figures/."""
    write_text(folder / "comparison.md", shown.to_markdown() + "\n")
    with atomic_file(folder / "comparison.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([shown.columns, *shown.rows])
    for key, (_, one) in zip(CURVES, pictures(found), strict=True):
        save_figure(one, folder / "figures" / f"{key}.png")


def _optimizer(arm: Arm, model: nn.Module) -> torch.optim.Optimizer:
    parameters = model.parameters()
    decay = arm.weight_decay if arm.weight_decay is not None else 5e-4 if arm.optimizer == "momentum" else 0.0
    if arm.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=arm.lr, weight_decay=decay)
    momentum = 0.9 if arm.optimizer == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=arm.lr, momentum=momentum, weight_decay=decay)
