"""The verbs that train: pretrain, train, compare. They need the extra `train`; importing this module does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Progress, Shared, progress
from ninefold.distributed import joined, launched
from ninefold.errors import InputError, require
from ninefold.report import Table

from bnn_fsg.training._chosen import BEST, chosen

if TYPE_CHECKING:
    from bnn_fsg.datasets import Images
    from bnn_fsg.layers._nets import Recipe

_FOLDERS = "digits (embedded), or a folder: CIFAR batches, parquet shards, or pictures in train/CLASS/ and test/CLASS/."
Data = Annotated[str, typer.Option("--data", help=_FOLDERS)]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training images.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Images per step.")]
_FORMS = "dorefa, bwn, bwn-f, xnor, irnet, adabin or reactnet."
WEIGHTS = typer.Option("--weights", help=_FORMS)
Weights = Annotated[str, WEIGHTS]
Activations = Annotated[str | None, typer.Option("--activations", help="sign, approx, reste, irnet, rsign or adabin.")]
Skip = Annotated[list[str] | None, typer.Option("--skip", help="Pattern of layers that stay float.")]
OPTIMIZER = typer.Option("--optimizer", help="sgd, momentum or adam.")
Optimizer = Annotated[str, OPTIMIZER]
LR = typer.Option("--lr", help="Learning rate.")
Lr = Annotated[float, LR]
_ALPHA = typer.Option("--alpha", min=0, max=1, help="Of fsg: the slow gradient's share (default .9).")
Alpha = Annotated[float | None, _ALPHA]
DECAY = typer.Option("--schedule", help="Of the lr: step (x .1 every 30 epochs), cosine or linear.")
Decay = Annotated[str, DECAY]
_WEIGHT_DECAY = typer.Option("--weight-decay", min=0, help="Of the optimiser; momentum has 5e-4 by default.")
WeightDecay = Annotated[float | None, _WEIGHT_DECAY]
_COMPILE = "Compile the network (torch.compile): a minute at the start, faster then."
Compile = Annotated[bool, typer.Option("--compile", help=_COMPILE)]
Augment = Annotated[bool, typer.Option("--augment", help="Random crops and flips.")]
_TEACHER = "Run or model file to follow beside the labels, or 'adabin' (a published net)."
Follow = Annotated[Path | None, typer.Option("--teacher", help=_TEACHER)]
_SHARE = "Of the teacher in the loss; 1: the labels do not count."
FollowShare = Annotated[float, typer.Option("--teacher-share", help=_SHARE)]
_START = "Run folder or model file of `pretrain`."
Start = Annotated[Path, typer.Argument(help=_START)]


def pretrain(
    *,
    data: Data = "digits",
    net: Annotated[str, typer.Option("--net", help="cnn (auto at 8x8) or mlp, resnet8 (else), resnet20 ...")] = "auto",
    width: Annotated[int, typer.Option("--width", min=1, help="Channels of the first stage.")] = 16,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Resize pictures of a folder to this.")] = None,
    begin: Annotated[
        Path | None, typer.Option("--from", help="Published .pth or .safetensors weights to begin from.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Passes; 0 with --from takes them as they are.")] = 5,
    batch: Batch = 128,
    lr: Lr = 1e-3,
    schedule: Decay = "step",
    weight_decay: WeightDecay = None,
    teacher: Follow = None,
    teacher_share: FollowShare = 0.5,
    augment: Augment = False,
    compile: Compile = False,  # noqa: A002
    opts: Shared,
) -> dict[str, Any] | None:
    """Train a full-precision network, the start of every 1-bit one, into the run folder -o; a killed run goes on.

    Sums of floats, and so every figure, depend on --threads: with 1 they are the same on every machine of a kind.
    """
    require("torch", "bnn_fsg", "train")
    from dataclasses import replace

    import torch

    from bnn_fsg.layers._nets import Recipe, save_model
    from bnn_fsg.training._scores import accuracy
    from bnn_fsg.training._trainer import BinaryTrainer, Schedule
    from bnn_fsg.training._weights import load_weights

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
    model = recipe.build()
    if begin is not None:
        load_weights(model, begin)
        kept = isinstance(getattr(model, "bn_last", None), torch.nn.BatchNorm1d)
        recipe = replace(recipe, last_norm=kept or not hasattr(model, "bn_last"))
    if not epochs:
        if begin is None:
            raise InputError("--epochs", got=0, expected="at least 1, or weights to take with --from")
        return _taken(model, recipe, splits, out)
    model = model.to(opts.device)
    plan = Schedule(epochs=epochs, batch=batch, drop_every=0, augment=augment, decay=schedule)
    config = {"verb": "pretrain", "data": data, "net": net, "width": width, "lr": lr}
    config |= {"weights": begin and str(begin), "weight_decay": weight_decay, "teacher": teacher and str(teacher)}
    config |= {"teacher_share": teacher_share, "compile": compile}
    followed = _followed(teacher, teacher_share, images, opts.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=_positive(lr), weight_decay=weight_decay or 0.0)
    with _joined() as writes:
        trainer = BinaryTrainer(
            model, optimizer, plan,
            seed=opts.seed, out=out, config=config, teacher=followed, compile=compile,
        )  # fmt: skip
        with progress(trainer.steps(images), "training in full precision") as bar:
            history = trainer.fit(images, splits["validation"], on_step=bar.advance)
    if not writes:
        return None
    save_model(out / "model.safetensors", model, recipe, force=True)
    return {
        "net": net,
        "parameters": sum(one.numel() for one in model.parameters()),
        "training loss of the last epoch": history.epochs[-1]["loss"],
        "test accuracy": accuracy(model, splits["test"]),
        "model": out / "model.safetensors",
    }


def _followed(source: Path | None, share: float, images: Images, device: str) -> Any:
    """The `Teacher` of `--teacher` and `--teacher-share`, or None."""
    if source is None:
        return None
    from bnn_fsg.cli._teachers import teacher_model
    from bnn_fsg.training._teacher import Teacher

    return Teacher(teacher_model(source, images).to(device), share)


def _taken(model: Any, recipe: Recipe, splits: dict[str, Images], out: Path) -> dict[str, Any]:
    """Write weights that others trained as `train` wants them."""
    from ninefold.run import Run

    from bnn_fsg.layers._nets import save_model
    from bnn_fsg.training._scores import accuracy

    with Run(out, {"verb": "pretrain", "net": recipe.net, "epochs": 0}):
        save_model(out / "model.safetensors", model, recipe, force=True)
    count, right = sum(one.numel() for one in model.parameters()), accuracy(model, splits["test"])
    return {"net": recipe.net, "parameters": count, "test accuracy": right, "model": out / "model.safetensors"}


def train(
    start: Start,
    *,
    data: Data = "digits",
    gradient: Annotated[str, typer.Option("--gradient", help="fsg, ste, approx, reste, irnet, multifc ...")] = BEST,
    preset: Annotated[str, typer.Option("--preset", help="Of fsg: compact or published.")] = "compact",
    alpha: Alpha = None,
    weights: Annotated[str | None, WEIGHTS] = None,
    activations: Activations = None,
    skip: Skip = None,
    optimizer: Annotated[str | None, OPTIMIZER] = None,
    lr: Annotated[float | None, LR] = None,
    schedule: Annotated[str | None, DECAY] = None,
    weight_decay: WeightDecay = None,
    teacher: Follow = None,
    teacher_share: FollowShare = 0.5,
    epochs: Epochs = 5,
    batch: Batch = 128,
    augment: Augment = False,
    compile: Compile = False,  # noqa: A002
    opts: Shared,
) -> dict[str, Any] | None:
    """Binarise START and train it with an estimator, into the run folder -o; a killed run goes on.

    Weights, optimiser, rate and schedule that are left out are those with which the estimator did best in the training
    table; a rate that is left out beside an optimiser is 1e-3, a schedule "step".

    Sums of floats, and so every figure, depend on --threads: with 1 they are the same on every machine of a kind.
    """
    require("torch", "bnn_fsg", "train")
    from bnn_fsg.evaluation._runs import Arm, train_arm
    from bnn_fsg.layers._nets import save_model
    from bnn_fsg.training._scores import accuracy
    from bnn_fsg.training._trainer import Schedule

    out = opts.need_out()
    known = chosen(gradient)
    if lr is None:
        lr = known.lr if optimizer is None else 1e-3
    schedule = schedule or (known.decay if optimizer is None else "step")
    weights, optimizer = weights or known.weights, optimizer or known.optimizer
    model, recipe, splits = _start(start, data, weights, activations, skip)
    options: dict[str, Any] = {"preset": preset} if gradient.startswith("fsg") else {}
    if alpha is not None:
        if not gradient.startswith("fsg"):
            raise InputError("--alpha", got=f"{alpha:g} with --gradient {gradient}", expected="fsg, whose share it is")
        options["alpha"] = alpha
    arm = Arm(gradient, optimizer, _positive(lr), options, weight_decay=weight_decay)
    plan = Schedule(epochs=epochs, batch=batch, augment=augment, decay=schedule)
    followed = _followed(teacher, teacher_share, splits["train"], opts.device)
    config = {"verb": "train", "data": data, "start": str(start), "weights": weights, "activations": activations}
    config |= {"skip": skip, "arm": arm.label, "options": options}
    config |= {"teacher": teacher and str(teacher), "teacher_share": teacher_share, "compile": compile}
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


def compare(
    start: Start,
    *,
    data: Data = "digits",
    gradients: Annotated[str, typer.Option("--gradients", help="Estimators, with commas.")] = "ste,reste,multifc,fsg",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds for each estimator.")] = 3,
    weights: Weights = "dorefa",
    activations: Activations = None,
    skip: Skip = None,
    optimizer: Optimizer = "sgd",
    lr: Lr = 1e-3,
    epochs: Epochs = 5,
    batch: Batch = 128,
    augment: Augment = False,
    opts: Shared,
) -> Table:
    """Train START with several estimators from the same point on the same batches; the tuned-lr STE row comes along.

    With -o FOLDER also writes comparison.md, comparison.csv and, in figures/, curves: loss.png, flips.png, error.png,
    spread.png. There each arm has a run folder, and a comparison that was killed goes on by arm. No figure depends on
    --threads: the slow-net of fsg runs on so many, torch on one.
    """
    require("torch", "bnn_fsg", "train")
    from ninefold.run import Run

    import bnn_fsg.evaluation._runs as runs
    from bnn_fsg.training._trainer import Schedule

    if launched() > 1:
        got, hint = f"{launched()} processes", "pretrain and train run under torchrun"
        raise InputError("compare", got=got, expected="one", hint=hint)
    if opts.out is not None:
        require("matplotlib", "bnn_fsg", "plot")  # now, not when all arms are done
    names = dict.fromkeys(name for name in gradients.split(",") if name)
    arms = [runs.Arm(name, optimizer, _positive(lr)) for name in names]
    model, recipe, splits = _start(start, data, weights, activations, skip)
    schedule = Schedule(epochs=epochs, batch=batch, augment=augment)
    total = (len(arms) + 1) * seeds + len(runs.GRID)
    config = {"verb": "compare", "data": data, "start": str(start), "gradients": ",".join(names), "seeds": seeds}
    config |= {"weights": weights, "activations": activations, "skip": skip, "optimizer": optimizer, "lr": lr}
    config |= {**vars(schedule), "seed": opts.seed}
    with contextlib.ExitStack() as stack:
        if opts.out is not None:
            stack.enter_context(Run(opts.out, config))
        bar = stack.enter_context(progress(total, "comparing"))
        where = {"device": opts.device, "out": opts.out, "on_arm": bar.advance}
        arms.append(runs.tuned_ste(recipe, model, schedule, splits, opts.seed, **where))
        found = runs.compare(recipe, model, arms, schedule, splits, range(opts.seed, opts.seed + seeds), **where)
        table = runs.table(found)
        if opts.out is not None:
            runs.write(found, table, opts.out)
    return table


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
