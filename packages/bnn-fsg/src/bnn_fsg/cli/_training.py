"""The verbs that train: pretrain and train. They need the extra `train`; importing this module does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Progress, Shared, progress
from ninefold.distributed import joined
from ninefold.errors import InputError, require

from bnn_fsg.training._chosen import BEST, chosen

if TYPE_CHECKING:
    from bnn_fsg.datasets import Images
    from bnn_fsg.layers._nets import Recipe

_FOLDERS = "digits (embedded), or a folder: CIFAR batches, parquet shards, or pictures in train/CLASS/ and test/CLASS/."
Data = Annotated[str, typer.Option("--data", help=_FOLDERS)]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training images.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Images per step.")]
_WEIGHTS = typer.Option("--weights", help="dorefa, bwn, bwn-f, xnor, irnet, adabin or reactnet.")
_ACTIVATIONS = typer.Option("--activations", help="sign, approx, reste, irnet, rsign or adabin.")
_LR = typer.Option("--lr", help="Learning rate.")
_DECAY = typer.Option("--schedule", help="Of the lr: step (x .1 every 30 epochs), cosine or linear.")
Augment = Annotated[bool, typer.Option("--augment", help="Random crops and flips.")]
_TEACHER = "Run or model file to follow beside the labels, or 'adabin' (a published net)."


def pretrain(
    *,
    data: Data = "digits",
    net: Annotated[str, typer.Option("--net", help="cnn (auto at 8x8) or mlp, resnet8 (else), resnet20 ...")] = "auto",
    width: Annotated[int, typer.Option("--width", min=1, help="Channels of the first stage.")] = 16,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Resize pictures of a folder to this.")] = None,
    epochs: Epochs = 5,
    batch: Batch = 128,
    lr: Annotated[float, _LR] = 1e-3,
    schedule: Annotated[str, _DECAY] = "step",
    augment: Augment = False,
    opts: Shared,
) -> dict[str, Any] | None:
    """Train a full-precision network, the start of every 1-bit one, into the run folder -o; a killed run goes on.

    Sums of floats, and so every figure, depend on --threads: with 1 they are the same on every machine of a kind.
    """
    require("torch", "bnn_fsg", "train")
    import torch

    from bnn_fsg.layers._nets import Recipe, save_model
    from bnn_fsg.training._scores import accuracy
    from bnn_fsg.training._trainer import BinaryTrainer, Schedule

    out = opts.need_out()
    splits = _splits(data, None if size is None else (size, size))
    images = splits["train"]
    shape = images.pixels.shape
    if size is not None and shape[2:] != (size, size):
        raise InputError("--size", got=size, expected="a folder of pictures as --data: no others are resized")
    recipe = Recipe(
        net={"auto": "cnn" if shape[2:] == (8, 8) else "resnet8"}.get(net, net), classes=images.classes, width=width,
        channels=shape[1], size=(shape[2], shape[3]), mean=tuple(images.mean), std=tuple(images.std), white=images.white
    )  # fmt: skip
    torch.manual_seed(opts.seed)
    model = recipe.build().to(opts.device)
    plan = Schedule(epochs=epochs, batch=batch, drop_every=0, augment=augment, decay=schedule)
    config = {"verb": "pretrain", "data": data, "net": net, "width": width, "lr": lr}
    optimizer = torch.optim.Adam(model.parameters(), lr=_positive(lr))
    with _joined() as writes:
        trainer = BinaryTrainer(model, optimizer, plan, seed=opts.seed, out=out, config=config)
        with progress(trainer.steps(images), "training in full precision") as bar:
            history = trainer.fit(images, splits["validation"], on_step=bar.advance)
    if not writes:
        return None
    save_model(out / "model.safetensors", model, recipe, force=True)
    return {
        "parameters": sum(one.numel() for one in model.parameters()),
        "training loss of the last epoch": history.epochs[-1]["loss"],
        "test accuracy": accuracy(model, splits["test"]),
        "model": out / "model.safetensors",
    }


def train(
    start: Annotated[Path, typer.Argument(help="Run folder or model file of `pretrain`.")],
    *,
    data: Data = "digits",
    gradient: Annotated[str, typer.Option("--gradient", help="fsg, ste, approx, reste, irnet, multifc ...")] = BEST,
    weights: Annotated[str | None, _WEIGHTS] = None,
    activations: Annotated[str | None, _ACTIVATIONS] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", help="Pattern of layers that stay float.")] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="sgd, momentum or adam.")] = None,
    lr: Annotated[float | None, _LR] = None,
    schedule: Annotated[str | None, _DECAY] = None,
    teacher: Annotated[Path | None, typer.Option("--teacher", help=_TEACHER)] = None,
    teacher_share: Annotated[float, typer.Option("--teacher-share", help="In the loss; 1: no labels.")] = 0.5,
    epochs: Epochs = 5,
    batch: Batch = 128,
    augment: Augment = False,
    compile: Annotated[bool, typer.Option("--compile", help="By torch.compile: a minute first.")] = False,  # noqa: A002
    opts: Shared,
) -> dict[str, Any] | None:
    """Binarise START and train it with an estimator, into the run folder -o; a killed run goes on.

    Weights, optimiser, rate and schedule that are left out are those with which the estimator did best in the training
    table; a rate that is left out beside an optimiser is 1e-3, a schedule "step".

    Sums of floats, and so every figure, depend on --threads: with 1 they are the same on every machine of a kind.
    """
    require("torch", "bnn_fsg", "train")
    from bnn_fsg.cli._teachers import teacher_model
    from bnn_fsg.evaluation._runs import Arm, train_arm
    from bnn_fsg.layers._nets import save_model
    from bnn_fsg.training._scores import accuracy
    from bnn_fsg.training._teacher import Teacher
    from bnn_fsg.training._trainer import Schedule

    out = opts.need_out()
    known = chosen(gradient)
    lr = lr if lr is not None else known.lr if optimizer is None else 1e-3
    schedule = schedule or (known.decay if optimizer is None else "step")
    weights, optimizer = weights or known.weights, optimizer or known.optimizer
    model, recipe, splits = _start(start, data, weights, activations, skip)
    arm = Arm(gradient, optimizer, _positive(lr))
    plan = Schedule(epochs=epochs, batch=batch, augment=augment, decay=schedule)
    followed = teacher and Teacher(teacher_model(teacher, splits["train"]).to(opts.device), teacher_share)
    config = {"verb": "train", "data": data, "start": str(start), "weights": weights, "activations": activations}
    config |= {"skip": skip, "arm": arm.label, "teacher": teacher and str(teacher), "compile": compile}
    config["teacher_share"] = teacher_share
    steps = epochs * -(-len(splits["train"]) // batch)
    with _joined() as writes, progress(steps, f"training with {gradient}") as bar:
        model, history = train_arm(
            recipe, model, arm, plan, splits["train"], splits["validation"],
            seed=opts.seed, device=opts.device, out=out, config=config, teacher=followed, compile=compile,
            on_step=bar.advance,
        )  # fmt: skip
    if not writes:
        return None
    save_model(out / "model.safetensors", model, recipe, force=True)
    return {
        "arm": arm.label,
        "mean training loss": history.mean_loss,
        "training loss of the last epoch": history.epochs[-1]["loss"],
        "signs that flipped in the last epoch": history.epochs[-1]["flips"],
        "steps skipped": history.epochs[-1]["skipped"],
        "test accuracy": accuracy(model, splits["test"]),
        "model": out / "model.safetensors",
    }


@contextlib.contextmanager
def _joined() -> Iterator[bool]:
    """Be one of the processes of torchrun, if it started this; yields whether to write and show what comes out."""

    with joined() as (rank, _):
        Progress.shown = Progress.shown and rank == 0
        yield rank == 0


def _splits(data: str, size: tuple[int, int] | None) -> dict[str, Images]:
    from bnn_fsg import datasets

    if data == "digits":
        return {split: datasets.digits(split) for split in ("train", "validation", "test")}
    whole, test = (datasets.load(data, split, size) for split in ("train", "test"))
    held = max(1, len(whole) // 10)  # choices are never made on the test split
    return {"train": whole.part(held, None), "validation": whole.part(0, held), "test": test}


def _start(
    start: Path, data: str, weights: str, activations: str | None, skip: list[str] | None
) -> tuple[Any, Recipe, dict[str, Images]]:
    """The full-precision model of START, the recipe of its 1-bit form, and images like those it was made for."""
    from dataclasses import replace

    from bnn_fsg.layers._nets import load_model

    model, recipe = load_model(start / "model.safetensors" if start.is_dir() else start)
    if recipe.weights is not None:
        raise InputError(str(start), got="a 1-bit model", expected="a full-precision one, see `pretrain`")
    splits = _splits(data, recipe.size)
    images = splits["train"]
    _, channels, height, width = images.pixels.shape
    found = _like(channels, height, width, images.classes)
    expected = _like(recipe.channels, *recipe.size, recipe.classes)
    if found != expected:
        raise InputError(f"pictures of {data}", got=found, expected=f"{expected}, as {start} was trained on")
    return model, replace(recipe, weights=weights, activations=activations, skip=tuple(skip or ())), splits


def _like(channels: int, height: int, width: int, classes: int) -> str:
    return f"{channels} channel{'s' * (channels > 1)} of {height}x{width} in {classes} classes"


def _positive(lr: float) -> float:
    if not lr > 0:
        raise InputError("--lr", got=lr, expected="a positive number")
    return lr
