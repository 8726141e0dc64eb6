"""FSG, MetaQuant and straight-through in their authors' setting, epoch by epoch: a ResNet-20 from MetaQuant's published
full-precision start, all 50,000 pictures of CIFAR-10, every layer 1-bit (DoReFa), plain SGD at 1e-3, batches of 128.

    export OMP_NUM_THREADS=1
    python packages/bnn-fsg/experiments/benchmarks/fsg_curve.py CIFAR START FOLDER [--minutes M] [--only ESTIMATOR]
    python packages/bnn-fsg/experiments/benchmarks/fsg_curve.py --draw

CIFAR: a folder of CIFAR-10 as `bnn-fsg train --data` reads it; START: ResNet20-CIFAR10-pretrain.pth of MetaQuant's
repository. Estimators take turns, an epoch each, and none begins an epoch after M minutes; called again with the same
FOLDER it goes on where it was, in the published schedule of 100 epochs; --only lets two processes share the
estimators. Each epoch is a line of `experiments/results/fsg-curve.jsonl`; --draw makes its picture.

The forward pass runs convolutions in bfloat16, whose signs are exact; weights, gradients and what learns from them are
float32. The slow-net has the "compact" sizes: with the published 6,400 numbers a step takes 20 times as long.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bnn_fsg import FSG, STE, datasets, load_weights
from bnn_fsg.baselines import gradient_of
from bnn_fsg.datasets import Images
from bnn_fsg.layers._layers import binarize
from bnn_fsg.layers._nets import build
from bnn_fsg.training._scores import accuracy
from bnn_fsg.training._trainer import CHECKPOINT, BinaryTrainer, Schedule
from ninefold.artifacts import load_state
from ninefold.report import figure, save_figure
from ninefold_lab.experiments import register

register("bnn_fsg", Path(__file__).parent.parent)
from bnn_fsg_experiments.models._frontier_nets import Mixed  # noqa: E402  (importable from here on)

RESULTS = Path(__file__).parent.parent / "results"
LINES, PICTURE = RESULTS / "fsg-curve.jsonl", RESULTS / "fsg-curve.png"
SCHEDULE = Schedule(epochs=100, batch=128, drop_every=30, augment=True)
RATE = 1e-3
PARTS = 10  # points of the loss in an epoch
ALONE = "FSG, fast gradient alone moves W"  # as in the author's code
LAST = {ALONE: 8}  # epochs after which an estimator is left where it is: 23 points behind by then
ESTIMATORS: dict[str, Callable[..., Any]] = {
    "straight-through": STE,
    "MetaQuant (MultiFC)": gradient_of("multifc"),
    "FSG": FSG,
    ALONE: lambda *both: FSG(*both, update="fast_only"),
}


class EpochIsKept(Exception):  # noqa: N818  (no error: it ends a run before its next epoch)
    """An epoch is over and its checkpoint written."""


def trained_epoch(name: str, start: Path, train: Images, folder: Path) -> tuple[torch.nn.Module, int, list[float]]:
    """The network after one more epoch with an estimator, the epochs so far and the losses of this one's steps."""
    torch.manual_seed(0)
    noise = torch.randn(2, *train.pixels.shape[1:])
    full = load_weights(build("resnet20", train.classes, 3), start)
    model = binarize(full, "dorefa", example_input=noise)
    mixed = Mixed(model, margin=0)
    gradient = ESTIMATORS[name](mixed, torch.optim.SGD(model.parameters(), lr=RATE))
    run = folder / name.replace(" ", "-").replace(",", "")
    trainer = BinaryTrainer(mixed, gradient, SCHEDULE, out=run, threads=1)
    count, steps = 0, trainer.steps(train) // SCHEDULE.epochs

    def on_step() -> None:
        nonlocal count
        count += 1
        if count > steps:
            raise EpochIsKept

    with contextlib.suppress(EpochIsKept):
        trainer.fit(train, on_step=on_step)
    state = load_state(run / "checkpoints" / "last.safetensors", **CHECKPOINT)
    model.load_state_dict({key.removeprefix("model."): one for key, one in state["model"].items()})
    return mixed, state["epochs"], state["losses"][-steps:]


def lines() -> list[dict[str, Any]]:
    """The epochs so far."""
    text = LINES.read_text(encoding="utf-8") if LINES.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def run(cifar: Path, start: Path, folder: Path, minutes: float, only: list[str] | None) -> None:
    """Estimators in turn, an epoch each, until the minutes are over."""
    train, test = (datasets.load(cifar, split) for split in ("train", "test"))
    ends = time.monotonic() + 60 * minutes
    while True:
        known = lines()
        epochs = {name: sum(one["estimator"] == name for one in known) for name in only or ESTIMATORS}
        left = {name: count for name, count in epochs.items() if count < LAST.get(name, SCHEDULE.epochs)}
        if time.monotonic() > ends or not left:
            return
        name = min(left, key=lambda one: left[one])  # the first of those that are behind
        begin = time.process_time()
        model, epoch, losses = trained_epoch(name, start, train, folder)
        if epoch != epochs[name] + 1:
            raise SystemExit(f"{name}: {folder} holds epoch {epoch - 1}, {LINES.name} {epochs[name]}")
        line = {
            "estimator": name, "epoch": epoch, "pictures": len(train), "loss": round(float(np.mean(losses)), 4),
            "losses": [round(float(part.mean()), 4) for part in np.array_split(losses, PARTS)],
            "right": round(100 * accuracy(model, test, threads=1), 2), "test_pictures": len(test),
            "seconds": round(time.process_time() - begin),
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        with LINES.open("a", encoding="utf-8") as to:
            to.write(json.dumps(line) + "\n")


def draw() -> None:
    """Training loss by tenths of epochs, and accuracy of the test pictures by epoch."""
    picture, axes = figure(columns=2)
    for name, style in zip(ESTIMATORS, ("o-", "s--", "^-.", "v:"), strict=True):
        mine = [one for one in lines() if one["estimator"] == name]
        losses = [loss for one in mine for loss in one["losses"]]
        axes[0].plot((np.arange(len(losses)) + 0.5) / PARTS, losses, style[1:], label=name)
        axes[1].plot([one["epoch"] for one in mine], [one["right"] for one in mine], style, markersize=3, label=name)
    for one, words in zip(axes, ("training loss", "test pictures right, %"), strict=True):
        one.xaxis.get_major_locator().set_params(integer=True)
        one.set_xlabel("epochs of 50,000 pictures")
        one.set_ylabel(words)
    axes[0].set_yscale("log")
    axes[0].legend(fontsize=8)
    save_figure(picture, PICTURE)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", type=Path, nargs="*", metavar="CIFAR START FOLDER")
    options.add_argument("--minutes", type=float, default=180)
    options.add_argument("--only", action="append", choices=ESTIMATORS, metavar="ESTIMATOR")
    options.add_argument("--draw", action="store_true")
    given = options.parse_args()
    if given.draw:
        draw()
        return
    cifar, start, folder = given.paths
    run(cifar, start, folder, given.minutes, given.only)


if __name__ == "__main__":
    main()
