"""Trainings as run folders, from which a killed run resumes: full-precision starts, and 1-bit networks from them.

Under torchrun the processes share each batch; the first one writes, and gets the facts.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.distributed import joined
from ninefold.errors import InputError
from ninefold.progress import Progress, progress
from torch import nn

from bnn_fsg.datasets import Images
from bnn_fsg.datasets._splits import splits_of
from bnn_fsg.evaluation._runs import Arm, train_arm
from bnn_fsg.layers._nets import Recipe, save_model
from bnn_fsg.training._chosen import BEST, chosen
from bnn_fsg.training._scores import accuracy
from bnn_fsg.training._start import open_start, teacher_model
from bnn_fsg.training._teacher import Teacher
from bnn_fsg.training._trainer import BinaryTrainer, History, Schedule

_EPOCHS, _STEPS = 5, 200  # at least so many, if the number of epochs is not given


def pretrain_into(
    out: Path, data: str = "digits", *, net: str = "auto", width: int = 16, size: int | None = None, lr: float = 1e-3,
    decay: str = "step", epochs: int | None = None, batch: int = 128, augment: bool = False, seed: int = 0,
    device: str = "cpu",
) -> dict[str, Any] | None:  # fmt: skip
    """Train a full-precision network into a run folder, which then holds model.safetensors.

    Args:
        out: the folder. data: see `splits_of`. net: name; auto: cnn at 8x8, else resnet8.
        width: channels of the first stage. size: to which pictures of a folder are resized. lr: of Adam.
        decay, batch, augment: see `Schedule`. epochs: if omitted, see `epochs_for`.
        seed: of weights and batches. device: of torch.
    Returns: parameters, loss, epochs, steps, test accuracy and the model's path, and a warning if the network is no
        better than chance; None in all processes but the first.
    Raises: InputError for a rate that is not positive, or a size that was not taken.
    """
    splits = splits_of(data, None if size is None else (size, size))
    images = splits["train"]
    shape = images.pixels.shape
    if size is not None and shape[2:] != (size, size):
        raise InputError("--size", got=size, expected="a folder of pictures as --data: no others are resized")
    recipe = Recipe(
        net={"auto": "cnn" if shape[2:] == (8, 8) else "resnet8"}.get(net, net), classes=images.classes, width=width,
        channels=shape[1], size=(shape[2], shape[3]), mean=tuple(images.mean), std=tuple(images.std),
        white=images.white, names=images.names,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = recipe.build().to(device)
    config = {"verb": "pretrain", "data": data, "net": net, "width": width, "lr": lr}
    optimizer = torch.optim.Adam(model.parameters(), lr=_positive(lr))
    epochs = epochs or epochs_for(len(images), batch)
    schedule = Schedule(epochs=epochs, batch=batch, drop_every=0, augment=augment, decay=decay)
    with _joined() as writes:
        trainer = BinaryTrainer(model, optimizer, schedule, seed=seed, out=out, config=config)
        with progress(trainer.steps(images), "training in full precision") as bar:
            history = trainer.fit(images, splits["validation"], on_step=bar.advance)
    if not writes:
        return None
    facts = {"parameters": sum(one.numel() for one in model.parameters())}
    facts |= {"training loss of the last epoch": history.epochs[-1]["loss"]}
    return facts | _saved(out, model, recipe, splits["test"], history)


def train_into(
    out: Path, start: Path, data: str = "digits", *, gradient: str = BEST, weights: str | None = None,
    activations: str | None = None, skip: Sequence[str] | None = None, optimizer: str | None = None,
    lr: float | None = None, decay: str | None = None, teacher: Path | None = None, teacher_share: float = 0.5,
    epochs: int | None = None, batch: int = 128, augment: bool = False, compile: bool = False, seed: int = 0,  # noqa: A002
    device: str = "cpu",
) -> dict[str, Any] | None:  # fmt: skip
    """Binarise a full-precision network and train it into a run folder, which then holds model.safetensors.

    Args:
        out: the folder. start: run folder or model file. data: see `splits_of`. gradient: estimator.
        weights, optimizer, lr, decay: None for what the estimator did best with, see `chosen`; with an optimizer
            given, a rate of 1e-3 and decay "step".
        activations: form of the inputs. skip: patterns of layers that stay float.
        teacher: network to follow. teacher_share: its part in the loss.
        epochs: if omitted, see `epochs_for`. batch, augment: see `Schedule`. compile: by torch.compile.
        seed: of the batches. device: of torch.
    Returns: losses, flips, epochs, steps, test accuracy and the model's path, and a warning if the network is no
        better than chance; None in all processes but the first.
    """
    known = chosen(gradient)
    lr = lr if lr is not None else known.lr if optimizer is None else 1e-3
    decay = decay or (known.decay if optimizer is None else "step")
    weights, optimizer = weights or known.weights, optimizer or known.optimizer
    model, recipe, splits = open_start(start, data, weights, activations, skip)
    arm = Arm(gradient, optimizer, _positive(lr))
    drop_every = 30 if epochs else max(30, 3 * epochs_for(len(splits["train"]), batch) // 10)  # published: 30 of 100
    epochs = epochs or epochs_for(len(splits["train"]), batch)
    plan = Schedule(epochs=epochs, batch=batch, drop_every=drop_every, augment=augment, decay=decay)
    followed = teacher and Teacher(teacher_model(teacher, splits["train"]).to(device), teacher_share)
    config = {"verb": "train", "data": data, "start": str(start), "weights": weights, "activations": activations}
    config |= {"skip": skip, "arm": arm.label, "teacher": teacher and str(teacher), "compile": compile}
    config["teacher_share"] = teacher_share
    steps = epochs * -(-len(splits["train"]) // batch)
    with _joined() as writes, progress(steps, f"training with {gradient}") as bar:
        model, history = train_arm(
            recipe, model, arm, plan, splits["train"], splits["validation"], seed=seed, device=device, out=out,
            config=config, teacher=followed, compile=compile, on_step=bar.advance,
        )  # fmt: skip
    if not writes:
        return None
    last = history.epochs[-1]
    facts = {"arm": arm.label, "mean training loss": history.mean_loss, "training loss of the last epoch": last["loss"]}
    facts |= {"signs that flipped in the last epoch": last["flips"], "steps skipped": last["skipped"]}
    return facts | _saved(out, model, recipe, splits["test"], history)


def epochs_for(images: int, batch: int) -> int:
    """Number of epochs if none is given: 5, or as many as make 200 steps of `batch` images."""
    steps = images // batch + (images % batch >= 2)  # a last batch of one image is left out
    return max(_EPOCHS, -(-_STEPS // max(steps, 1)))


def _saved(out: Path, model: nn.Module, recipe: Recipe, test: Images, history: History) -> dict[str, Any]:
    """Write the model into its run folder; its training steps, accuracy and path, and whether it learned nothing."""
    save_model(out / "model.safetensors", model, recipe, force=True)
    found, chance = accuracy(model, test), float(np.bincount(test.labels).max()) / len(test)
    facts = {"epochs": len(history.epochs), "training steps": len(history.losses), "test accuracy": found}
    facts |= {"model": out / "model.safetensors"}
    if found <= chance + 2 * math.sqrt(chance * (1 - chance) / len(test)):  # two standard errors
        facts["warning"] = (
            f"the network has not learned: always answering the most frequent class is right for {chance:.3g} of the "
            f"{len(test)} test pictures; train longer (--epochs, smaller --batch) or with another --lr"
        )
    return facts


@contextlib.contextmanager
def _joined() -> Iterator[bool]:
    """Be one of the processes of torchrun, if it started this; yields whether to write and show what comes out."""
    with joined() as (rank, _):
        Progress.shown = Progress.shown and rank == 0
        yield rank == 0


def _positive(lr: float) -> float:
    if not lr > 0:
        raise InputError("--lr", got=lr, expected="a positive number")
    return lr
