"""The verbs that train: pretrain and train. They need the extra `train`; importing this module does not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import require
from typer import Argument, Option

from bnn_fsg.training._chosen import BEST

_FOLDERS = "digits (embedded), or a folder: CIFAR batches, parquet shards, or pictures in train/CLASS/ and test/CLASS/."
Data = Annotated[str, Option(help=_FOLDERS)]
_EPOCHS = "Number of passes over the training images. Default: 5, or as many as make 200 steps."
Epochs = Annotated[int | None, Option(min=1, help=_EPOCHS)]
Batch = Annotated[int, Option(min=1, help="Number of images in each step.")]
_WEIGHTS = Option(help="Weight form: dorefa, bwn, bwn-f, xnor, irnet, adabin or reactnet.")
_ACTIVATIONS = Option(help="Input binarisation: sign, approx, reste, irnet, rsign or adabin.")
_LR = Option(help="Learning rate of the optimiser.")
_DECAY = Option(help="Learning-rate schedule: step (x .1 every 30 epochs), cosine or linear.")
Augment = Annotated[bool, Option("--augment", help="Augment the images with random crops and flips.")]
_TEACHER = Option(help="Run folder or model file of a teacher network, or 'adabin' (a published net).")


def pretrain(
    *,
    data: Data = "digits",
    net: Annotated[
        str, Option(help="Network: auto (cnn at 8x8, else resnet8), cnn, mlp, resnet8, resnet20 ...")
    ] = "auto",
    width: Annotated[int, Option(min=1, help="Number of channels in the first stage.")] = 16,
    size: Annotated[int | None, Option(min=1, help="Side in pixels to which pictures of a folder are resized.")] = None,
    epochs: Epochs = None,
    batch: Batch = 128,
    lr: Annotated[float, _LR] = 1e-3,
    schedule: Annotated[str, _DECAY] = "step",
    augment: Augment = False,
    opts: Shared,
) -> dict[str, Any] | None:
    """Train a full-precision network, the start of every 1-bit one, into the run folder -o.

    Rerun the same command to resume after an interruption. Results depend on --threads; with 1 they are the same on
    every machine of a kind.

    Example: `bnn-fsg pretrain --epochs 3 --lr 0.01 -o float`
    """
    require("torch", "bnn_fsg", "train")
    from bnn_fsg.evaluation._run_folders import pretrain_into

    return pretrain_into(
        opts.need_out(), data, net=net, width=width, size=size, lr=lr, decay=schedule, epochs=epochs, batch=batch,
        augment=augment, seed=opts.seed, device=opts.device,
    )  # fmt: skip


def train(
    start: Annotated[Path, Argument(help="Run folder or model file that `pretrain` wrote.")],
    *,
    data: Data = "digits",
    gradient: Annotated[str, Option(help="Gradient estimator: fsg, ste, approx, reste, irnet, multifc ...")] = BEST,
    weights: Annotated[str | None, _WEIGHTS] = None,
    activations: Annotated[str | None, _ACTIVATIONS] = None,
    skip: Annotated[list[str] | None, Option(help="Name pattern of layers that stay float32; repeatable.")] = None,
    optimizer: Annotated[str | None, Option(help="Optimiser: sgd, momentum or adam.")] = None,
    lr: Annotated[float | None, _LR] = None,
    schedule: Annotated[str | None, _DECAY] = None,
    teacher: Annotated[Path | None, _TEACHER] = None,
    teacher_share: Annotated[float, Option(help="Share of the teacher in the loss, 0 to 1.")] = 0.5,
    epochs: Epochs = None,
    batch: Batch = 128,
    augment: Augment = False,
    compile: Annotated[bool, Option("--compile", help="Compile the network first.")] = False,  # noqa: A002
    opts: Shared,
) -> dict[str, Any] | None:
    """Binarise START and train it with a gradient estimator, into the run folder -o.

    Rerun the same command to resume after an interruption. By default, weights, optimiser, learning rate and schedule
    are the estimator's best in the training table; with --optimizer given, the learning rate is 1e-3 and the schedule
    "step". Results depend on --threads; with 1 they are the same on every machine of a kind.

    Example: `bnn-fsg train float -o bits`
    """
    require("torch", "bnn_fsg", "train")
    from bnn_fsg.evaluation._run_folders import train_into

    return train_into(
        opts.need_out(), start, data, gradient=gradient, weights=weights, activations=activations, skip=skip,
        optimizer=optimizer, lr=lr, decay=schedule, teacher=teacher, teacher_share=teacher_share, epochs=epochs,
        batch=batch, augment=augment, compile=compile, seed=opts.seed, device=opts.device,
    )  # fmt: skip
