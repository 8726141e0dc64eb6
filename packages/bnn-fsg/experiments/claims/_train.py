"""The claim about FSG, as an experiment on real images: CIFAR-10's subset in full, the embedded digits to look.

Every arm starts from the same full-precision network, trained in the run, and sees the same batches: ResNet-8 of width
8, two passes over 3,000 images in batches of 64, plain SGD at a small constant rate, which is the publication's regime.
Arms are kept in the cache as soon as they are done (keyed by the package's source), so an experiment that was killed
goes on by arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from bnn_fsg.evaluation._runs import Arm, train_arm
from bnn_fsg.layers._nets import Recipe, load_model, save_model
from bnn_fsg.training._scores import accuracy, predict
from bnn_fsg.training._trainer import BinaryTrainer, Schedule
from bnn_fsg_experiments.baselines._hypergradient import HypergradientSTE
from bnn_fsg_experiments.baselines._lstmfc import LSTMFC
from bnn_fsg_experiments.models._frontier_nets import splits
from ninefold import artifacts
from ninefold.datasets import cache_dir
from ninefold.errors import ArtifactError
from ninefold_lab import Budget, Claim, Scores, all_of, at_most, source_key
from torch import nn

_WIDTH, _IMAGES, _EPOCHS = 8, 3000, 2
_RATE = 1e-3
_GRID = (1e-3, 1e-2, 1e-1, 1.0)  # decades in which the lr of the tuned straight-through control is sought


def _full(budget: Budget) -> bool:
    return budget.form == "full"


class Bench:
    """Arms of one seed that share their start: a full-precision network trained here."""

    def __init__(self, budget: Budget, seed: int) -> None:
        self.seed, self.splits, self.full = seed, dict(splits(budget.form)), _full(budget)
        if self.full:
            self.splits["train"] = self.splits["train"].part(0, _IMAGES)
        images = self.splits["train"]
        shape = images.pixels.shape
        self.schedule = Schedule(epochs=_EPOCHS, batch=64, augment=self.full, drop_every=0)
        self.recipe = Recipe(
            net="resnet8" if self.full else "cnn", classes=images.classes, channels=shape[1],
            size=(shape[2], shape[3]), width=_WIDTH, weights="dorefa", mean=tuple(images.mean),
            std=tuple(images.std), white=images.white,
        )  # fmt: skip
        self.folder = cache_dir("bnn_fsg") / "arms" / f"{budget.form}-{source_key(TRAIN_CLAIMS[0])}" / f"seed-{seed}"
        self.start = self._start()

    def _start(self) -> nn.Module:
        recipe = replace(self.recipe, weights=None)
        path = self.folder / "start.safetensors"
        if not path.exists():
            torch.manual_seed(self.seed)
            model = recipe.build()
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if self.full else 1e-3)
            BinaryTrainer(model, optimizer, self.schedule, seed=self.seed, threads=1).fit(self.splits["train"])
            save_model(path, model, recipe, force=True)  # another process may have been as far
        return load_model(path)[0]

    def scores(self, arm: Arm) -> dict[str, np.ndarray]:
        """What an arm reached.

        Returns: loss (1,), mean training loss; right (test images,), 0 or 100; validation (1,), accuracy in %.
        """
        recipe = self.recipe
        words = [getattr(arm.gradient, "name", arm.gradient), arm.optimizer, f"{arm.lr:g}"]
        words += [f"{key}={value}" for key, value in arm.options.items()]
        path = self.folder / ("_".join(map(str, words)) + ".safetensors")
        try:
            kept = artifacts.Artifact(path, kind="bnn-fsg.arm", format_version=1)
            return {name: kept.numpy(name) for name in kept.names}
        except ArtifactError:  # not there, or of no use
            pass
        train, test = self.splits["train"], self.splits["test"]
        model, history = train_arm(recipe, self.start, arm, self.schedule, train, seed=self.seed, threads=1)
        made = {
            "loss": np.array([history.mean_loss]),
            "right": 100.0 * (predict(model, test, threads=1) == test.labels),
            "validation": np.array([100 * accuracy(model, self.splits["validation"], threads=1)]),
        }
        artifacts.save(path, made, kind="bnn-fsg.arm", format_version=1, package="bnn_fsg", force=True)
        return made

    def tuned(self, gradient: str, optimizer: str, grid: Sequence[float], title: str) -> Arm:
        """An estimator with the lr of a grid that is best on validation images."""
        arms = [Arm(gradient, optimizer, lr, title=title) for lr in grid]
        return max(arms, key=lambda arm: float(self.scores(arm)["validation"][0]))

    def table(self, arms: Sequence[Arm]) -> dict[str, Any]:
        """{"NAME: loss": ..., "NAME: accuracy": ...} of all arms."""
        found: dict[str, Any] = {}
        for arm in arms:
            made = self.scores(arm)
            found[f"{arm.title}: loss"], found[f"{arm.title}: accuracy"] = made["loss"], made["right"]
        return found


_ARMS = (
    Arm("fsg", "sgd", _RATE, title="fsg"),
    Arm("fsg", "sgd", _RATE, {"alpha": 0.0}, title="fsg without its slow-net"),
    Arm("ste", "sgd", _RATE, title="ste"),
    Arm("multifc", "sgd", _RATE, title="multifc"),
    Arm(LSTMFC, "sgd", _RATE, title="lstmfc"),
    Arm(HypergradientSTE, "sgd", _RATE, title="ste-hypergradient"),
)


def _small_rate(budget: Budget, seed: int) -> Scores:
    """All arms at the small rate, and straight-through at the rate that suits it: without it the table misleads."""
    bench = Bench(budget, seed)
    return bench.table([*_ARMS, bench.tuned("ste", "sgd", _GRID, "ste, tuned lr")])


TRAIN_CLAIMS = [
    Claim(
        id="bnn-fsg/fsg-lowers-the-loss-at-a-small-rate",
        says="under plain SGD at 1e-3 the mean training loss of FSG is lower than straight-through's and MetaQuant's",
        source="FSG, arXiv 2412.11777, in a small form: ResNet-8 of width 8, 3,000 CIFAR-10 pictures, two epochs",
        run=_small_rate,
        verdict=all_of(*(at_most("fsg: loss", f"{name}: loss") for name in ("ste", "multifc", "lstmfc"))),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=5),
    )
]
