"""The table of estimators, forwards and optimisers: rates chosen by successive halving, cell by cell.

A cell is one training: an estimator, a forward of the weights, an optimiser with its schedule, a rate, a budget and a
seed. What came of it is a small JSON file; a run that was killed goes on at the first cell whose file is not there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bnn_fsg.datasets import Images
from bnn_fsg.estimators._gradient import DivergedError
from bnn_fsg.evaluation._runs import Arm, train_arm
from bnn_fsg.layers._nets import Recipe
from bnn_fsg.training._scores import accuracy
from bnn_fsg.training._trainer import Schedule
from ninefold.errors import ArtifactError
from ninefold.files import write_text
from ninefold.interval import t_quantile
from ninefold.report import Table
from torch import nn

GRADIENTS = ("ste", "fsg", "multifc", "reste", "irnet")
FORWARDS = ("dorefa", "bwn-f", "xnor")
OPTIMIZERS = {  # name: (optimiser, decay of its lr, exponents of ten of its first rates)
    "sgd": ("sgd", "step", (-3.0, -2.0, -1.0, 0.0)),
    "adam": ("adam", "step", (-4.0, -3.0, -2.0, -1.0)),
    "cosine": ("momentum", "cosine", (-3.0, -2.0, -1.0, 0.0)),
}
FARTHEST = 3  # rates that are added beyond a grid's edge


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        gradient, forward, optimizer: names, see `GRADIENTS`, `FORWARDS`, `OPTIMIZERS`.
        exponent: of the rate, to the base ten.
        images, epochs: its budget; the first so many training images.
        seed: of batches and hypernets.
    """

    gradient: str
    forward: str
    optimizer: str
    exponent: float
    images: int
    epochs: int
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        budget = f"{self.images}x{self.epochs}-seed-{self.seed}"
        return f"{self.gradient}-{self.forward}-{self.optimizer}-{self.exponent:g}-{budget}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the rates are chosen.

    Attributes:
        rounds: (images, epochs, how many cells of each estimator and forward go on) of each round.
        final: epochs of the last trainings, on all images.
        seeds: of the last trainings; rates are chosen with the first.
        batch: images a step.
        augment: see `Schedule`.
    """

    rounds: Sequence[tuple[int, int, int]] = ((3000, 1, 4), (9000, 1, 2), (9000, 2, 1))
    final: int = 4
    seeds: Sequence[int] = (0, 1, 2)
    batch: int = 128
    augment: bool = True


class Halving:
    """Runs a plan into a folder.

    Args:
        start: the trained full-precision network.
        recipe: of it.
        splits: train, validation (choices) and test (the last trainings alone).
        folder: of the cells' files.
        plan: see `Plan`.
        gradients, forwards: names to compare.
        on_cell: called with each cell's name when it is done.
    """

    def __init__(
        self,
        start: nn.Module,
        recipe: Recipe,
        splits: dict[str, Images],
        folder: Path,
        plan: Plan,
        *,
        gradients: Sequence[str] = GRADIENTS,
        forwards: Sequence[str] = FORWARDS,
        on_cell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.start, self.recipe, self.splits, self.folder, self.plan = start, recipe, splits, Path(folder), plan
        self.gradients, self.forwards, self.on_cell = gradients, forwards, on_cell

    def run(self) -> Table:
        """All cells that are not there yet, and the table."""
        chosen = [self._choose(gradient, forward) for gradient, forward in self._pairs()]
        size = len(self.splits["train"])
        found = []
        for one in chosen:
            last = [replace(one, images=size, epochs=self.plan.final, seed=seed) for seed in self.plan.seeds]
            found.append((one, [self.result(cell, test=True) for cell in last]))
        return self._table(found)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        return ((gradient, forward) for forward in self.forwards for gradient in self.gradients)

    def _choose(self, gradient: str, forward: str) -> Cell:
        """The optimiser and rate that are best on validation images, never at the edge of the rates that were tried."""
        cells = [
            Cell(gradient, forward, name, exponent, *self.plan.rounds[0][:2], self.plan.seeds[0])
            for name, (_, _, exponents) in OPTIMIZERS.items()
            for exponent in exponents
        ]
        tried = {name: {*exponents} for name, (_, _, exponents) in OPTIMIZERS.items()}
        for images, epochs, kept in self.plan.rounds:
            cells = [replace(cell, images=images, epochs=epochs) for cell in cells]
            cells = self._beyond(cells, tried)
            cells = sorted(cells, key=lambda cell: -self._score(cell))[:kept]
        return cells[0]

    def _beyond(self, cells: list[Cell], tried: dict[str, set[float]]) -> list[Cell]:
        """With a further rate, as long as the best cell's is the least or the largest of its optimiser's."""
        cells = list(cells)
        for _ in range(FARTHEST):
            best = max(cells, key=self._score)
            known = tried[best.optimizer]
            step = -1 if best.exponent == min(known) else 1 if best.exponent == max(known) else 0
            if not step:
                break
            known.add(best.exponent + step)
            cells.append(replace(best, exponent=best.exponent + step))
        return cells

    def _score(self, cell: Cell) -> float:
        return float(self.result(cell)["validation"])

    def result(self, cell: Cell, *, test: bool = False) -> dict[str, Any]:
        """What came of a cell: its file's content, after it was trained if there is none.

        Returns: the cell's own fields; loss, mean over the steps; validation and, if asked for, test, in %, 0 where the
            training diverged; seconds of processor time.
        """
        name = cell.name + "-test" * test  # a last training may have the budget of one before it
        path = self.folder / f"{name}.json"
        if path.exists():
            try:
                return dict(json.loads(path.read_text(encoding="utf-8")))
            except ValueError as error:
                raise ArtifactError(path, f"is damaged ({error})") from None
        begun = time.process_time()
        optimizer, decay, _ = OPTIMIZERS[cell.optimizer]
        arm = Arm(cell.gradient, optimizer, 10**cell.exponent)
        schedule = Schedule(
            epochs=cell.epochs, batch=self.plan.batch, drop_every=0, augment=self.plan.augment, decay=decay
        )
        train = self.splits["train"].part(0, cell.images)
        recipe = replace(self.recipe, weights=cell.forward)
        splits = ("validation", "test") if test else ("validation",)
        made: dict[str, Any]
        try:
            model, history = train_arm(recipe, self.start, arm, schedule, train, seed=cell.seed, threads=1)
        except DivergedError:
            made = {**asdict(cell), "loss": None, **dict.fromkeys(splits, 0.0)}
        else:
            loss = history.mean_loss
            made = {**asdict(cell), "loss": loss if math.isfinite(loss) else None}
            made |= {split: 100 * accuracy(model, self.splits[split], threads=1) for split in splits}
        made["seconds"] = round(time.process_time() - begun, 2)
        write_text(path, json.dumps(made, indent=1) + "\n")
        self.on_cell(name)
        return made

    def _table(self, found: list[tuple[Cell, list[dict[str, Any]]]]) -> Table:
        """The float row, the best straight-through row, and the rest by accuracy; differences are paired by seed."""
        table = Table(["arm", "optimiser, rate", "test accuracy, %", "sd", "beside the best STE", "verdict"])
        floats = 100 * accuracy(self.start, self.splits["test"], threads=1)
        table.rows.append(["full precision (the start)", "", floats, None, None, ""])
        scores = [(cell, np.array([one["test"] for one in results])) for cell, results in found]
        on_validation = {cell: np.mean([one["validation"] for one in results]) for cell, results in found}
        base = max((cell for cell, _ in scores if cell.gradient == "ste"), key=lambda cell: on_validation[cell])
        ours = dict(scores)
        scores.sort(key=lambda pair: (pair[0] != base, -pair[1].mean()))
        for cell, tests in scores:
            gap, word = difference(tests - ours[base]) if cell != base else ("", "")
            deviation = float(tests.std(ddof=1)) if len(tests) > 1 else None
            rate = f"{cell.optimizer} {10**cell.exponent:g}"
            row = [f"{cell.gradient}, {cell.forward}", rate, float(tests.mean()), deviation, gap, word]
            table.rows.append(row)
        table.notes.append(
            "Optimiser and rate of each row, and the best straight-through row, chosen on validation data."
        )
        return table


def difference(gaps: np.ndarray) -> tuple[str, str]:
    """(mean and 95 % interval of paired differences, what it says)."""
    if len(gaps) < 2:
        return f"{gaps.mean():+.1f}", "one seed: no interval"
    reach = float(t_quantile(len(gaps) - 1)) * float(gaps.std(ddof=1) / math.sqrt(len(gaps)))
    low, high = gaps.mean() - reach, gaps.mean() + reach
    word = "better" if low > 0 else "worse" if high < 0 else "inconclusive"
    return f"{gaps.mean():+.1f} [{low:+.1f}, {high:+.1f}]", word
