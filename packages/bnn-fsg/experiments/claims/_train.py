"""Claims about training, as experiments on real images: CIFAR-10 (10,000 + 4,000) in full, the embedded digits to look.

Every arm starts from the same full-precision network, trained in the run, and sees the same batches. The full form is
ResNet-8 of width 16 and 4 passes over 9,000 images in batches of 128, as the publication's are. Arms are kept in the
cache as soon as they are done (keyed by the package's source), so an experiment that was killed goes on by arm, and
claims share arms.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from bnn_fsg import datasets
from bnn_fsg.datasets import Images
from bnn_fsg.evaluation._runs import GRID, Arm, train_arm
from bnn_fsg.layers._nets import Recipe, load_model, save_model
from bnn_fsg.training._scores import accuracy, predict
from bnn_fsg.training._trainer import BinaryTrainer, Schedule
from ninefold import artifacts
from ninefold.datasets import cache_dir, data_dir
from ninefold.errors import ArtifactError, DownloadError
from ninefold_lab import Budget, Claim, Scores, Verdict, all_of, at_least, at_most, source_key
from torch import nn

_SOURCE = "FSG, arXiv 2412.11777; bars ours"
_SET = "cifar10-lossless-14k"
_WIDTH = 16


def _full(budget: Budget) -> bool:
    return budget.form == "full"


@functools.cache
def splits(form: str) -> dict[str, Images]:
    """Train, validation (of the training images) and test."""
    if form != "full":
        return {split: datasets.digits(split) for split in ("train", "validation", "test")}
    root = data_dir("bnn-fsg")
    if root is None or not (root / _SET).is_dir():
        raise DownloadError(f"{_SET} is not on this machine: set NINEFOLD_DATA to a folder with bnn-fsg/{_SET}")
    whole = datasets.parquet(root / _SET, "train")
    test = datasets.parquet(root / _SET, "test")
    return {"train": whole.part(1000, None), "validation": whole.part(0, 1000), "test": test}


class Bench:
    """Arms of one seed that share their start: a full-precision network trained here."""

    def __init__(
        self, budget: Budget, seed: int, net: str, weights: str, activations: str | None = None, *, fall: float = 1.0
    ) -> None:
        self.seed, self.splits = seed, splits(budget.form)
        images = self.splits["train"]
        shape = images.pixels.shape
        self.full = _full(budget)
        self.schedule = Schedule(
            epochs=4 if self.full else 3, augment=self.full, drop_every=int(fall != 1), factor=fall
        )
        self.recipe = Recipe(
            net=net if self.full or activations else "cnn",
            classes=images.classes, channels=shape[1], size=(shape[2], shape[3]), width=_WIDTH, weights=weights,
            activations=activations, mean=tuple(images.mean), std=tuple(images.std), white=images.white,
            skip=("conv1", "fc") if activations else (),
        )  # fmt: skip
        self.folder = cache_dir("bnn_fsg") / "arms" / f"{budget.form}-{source_key(TRAIN_CLAIMS[0])}" / f"seed-{seed}"
        self.start = self._start(4 if self.full else 3)

    def _start(self, epochs: int) -> nn.Module:
        recipe = replace(self.recipe, weights=None, activations=None, skip=())
        path = self.folder / f"start-{recipe.net}.safetensors"
        if not path.exists():
            torch.manual_seed(self.seed)
            model = recipe.build()
            schedule = replace(self.schedule, epochs=epochs, batch=64, drop_every=0)
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if self.full else 1e-3)
            BinaryTrainer(model, optimizer, schedule, seed=self.seed, threads=1).fit(self.splits["train"])
            save_model(path, model, recipe, force=True)  # another process may have been as far
        return load_model(path)[0]

    def scores(self, arm: Arm) -> dict[str, np.ndarray]:
        """What an arm reached.

        Returns: loss (1,), mean training loss; right (test images,), 0 or 100; validation (1,), accuracy in %; order
            (1,), see `_order_effect`.
        """
        recipe = self.recipe
        words = [recipe.net, recipe.weights, str(recipe.activations), arm.gradient, arm.optimizer, f"{arm.lr:g}"]
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
            "order": np.array([_order_effect(model)]),
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


def _order_effect(model: nn.Module) -> float:
    """Relative change of slow, in %, when the queue's older gradients change places; 0 for other estimators."""
    from bnn_fsg.fsg._fsg import FSG
    from bnn_fsg.layers._layers import binary_layers

    gradient = binary_layers(model)[0].source
    if not isinstance(gradient, FSG) or gradient.queues[0].steps < 3:
        return 0.0
    changes = []
    for index, queue in enumerate(gradient.queues):
        with torch.no_grad():
            before, rows = gradient.slow_gradient(index), queue.chronological().clone()
            queue.restore(rows[[*reversed(range(len(rows) - 1)), len(rows) - 1]])
            after = gradient.slow_gradient(index)
            queue.restore(rows)
        changes.append(float((after - before).norm() / before.norm().clamp(min=1e-30)))
    return 100 * float(np.mean(changes))


def _small_lr(budget: Budget, seed: int) -> Scores:
    bench = Bench(budget, seed, "resnet8", "dorefa")
    names = ("fsg", "ste", "multifc", "lstmfc")
    found = bench.table([*(Arm(name, "sgd", 1e-3, title=name) for name in names), *_controls(bench)])
    found["0.85 of ste: loss"] = 0.85 * found["ste: loss"]
    return found


def _controls(bench: Bench) -> list[Arm]:
    """Rows without which a table at one small rate misleads."""
    tuned = bench.tuned("ste", "sgd", GRID, "ste, tuned lr")
    return [Arm("ste-hypergradient", "sgd", 1e-3, title="ste-hypergradient"), tuned]


_MATCHED = (("sgd", 1e-2), ("sgd", 1e-1), ("adam", 1e-3))
_UNDER_ADAM = ("reste", "multifc")


def _matched(budget: Budget, seed: int) -> Scores:
    bench = Bench(budget, seed, "resnet8", "dorefa")
    arms = [Arm(name, kind, lr, title=f"{name}, {kind} {lr:g}") for kind, lr in _MATCHED for name in ("fsg", "ste")]
    arms += [Arm(name, "adam", 1e-3, title=f"{name}, adam 0.001") for name in _UNDER_ADAM]
    return bench.table([*arms, *_controls(bench)])


def _ablations(budget: Budget, seed: int) -> Scores:
    bench = Bench(budget, seed, "resnet8", "dorefa")
    whole = Arm("fsg", "sgd", 1e-3, title="fsg")
    published = Arm("fsg", "sgd", 1e-3, {"preset": "paper"}, title=PUBLISHED)
    parts = [Arm(name, "sgd", 1e-3, title=name) for name in ABLATED]
    found = bench.table([whole, *parts, published, *_controls(bench)])
    found["fsg: effect of order, %"] = bench.scores(whole)["order"]
    return found


PUBLISHED = "fsg, published sizes"
ABLATED = (
    "fsg-l1", "fsg-no-lre", "fsg-alpha-0", "fsg-ema", "fsg-lstm", "fsg-flat", "fsg-no-norm", "fsg-fast-only",
    "fsg-standard-start",
)  # fmt: skip


# Forward of the weights, by estimator. Those that learn a factor of W~ need it of one sign: with XNOR's the gradient of
# every negative weight is turned round.
_ONE_BIT = {"dorefa": ("fsg", "multifc"), "xnor": ("ste", "approx", "reste", "irnet")}


def _one_bit_inputs(budget: Budget, seed: int) -> Scores:
    found: dict[str, Any] = {}
    for form, names in _ONE_BIT.items():
        bench = Bench(budget, seed, "react-resnet8", form, "rsign", fall=0.4)  # signs of activations have to settle
        found |= bench.table([bench.tuned(name, "adam", (1e-3, 1e-2), name) for name in names])
    right = [found[f"{name}: accuracy"] for names in _ONE_BIT.values() for name in names if name != "fsg"]
    found["best rival: accuracy"] = max(right, key=lambda one: float(one.mean()))
    return found


def _at_each_lr() -> Verdict:
    bars = [at_most(f"fsg, {kind} {lr:g}: loss", f"ste, {kind} {lr:g}: loss") for kind, lr in _MATCHED]
    bars += [
        at_least("fsg, adam 0.001: accuracy", f"{name}, adam 0.001: accuracy", margin=-0.5)
        for name in ("ste", *_UNDER_ADAM)
    ]
    return all_of(*bars)


TRAIN_CLAIMS = [
    Claim(
        id="bnn-fsg/learns-faster-at-a-small-rate",
        says="under SGD 1e-3 its training loss is <= 0.85 of STE's and <= MetaQuant's, its accuracy 3 points higher",
        source=_SOURCE,
        run=_small_lr,
        verdict=all_of(
            at_most("fsg: loss", "0.85 of ste: loss"),
            at_most("fsg: loss", "multifc: loss"),
            at_most("fsg: loss", "lstmfc: loss"),
            at_least("fsg: accuracy", "ste: accuracy", margin=3.0),
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=40),
    ),
    Claim(
        id="bnn-fsg/no-worse-at-matched-rates",
        says="at SGD 1e-2, 1e-1 and Adam 1e-3 its loss is <= STE's; under Adam its accuracy is within 0.5 of any arm",
        source=_SOURCE,
        run=_matched,
        verdict=_at_each_lr(),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=30),
    ),
    Claim(
        id="bnn-fsg/no-part-is-idle",
        says="without any one of its parts, or with the published sizes, its loss is higher; the order of its history "
        "matters",
        source=_SOURCE,
        run=_ablations,
        verdict=all_of(
            *(at_most("fsg: loss", f"{name}: loss") for name in (*ABLATED, PUBLISHED)),
            at_least("fsg: effect of order, %", 1.0),
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=30),
    ),
    Claim(
        id="bnn-fsg/keeps-up-with-one-bit-inputs",
        says="in W1A1 with ReActNet-style blocks, each estimator at the better of two rates, its accuracy is within 1 "
        "point of the best",
        source="ours; the publication has 1-bit weights alone",
        run=_one_bit_inputs,
        verdict=at_least("fsg: accuracy", "best rival: accuracy", margin=-1.0),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=30),
    ),
]
