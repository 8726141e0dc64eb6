"""`train mae|jscc|picture`, `finetune`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from semcom.cli._app import Batch, ChannelSpec, app, train

if TYPE_CHECKING:
    import numpy as np
    from ninefold.run import Run

Data = Annotated[str, typer.Option("--data", help="cifar10, caltech101, embedded, or a folder of pictures.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")]
Lr = Annotated[float, typer.Option("--lr", min=0, help="Peak learning rate.")]
TrainBatch = Annotated[int, typer.Option("--batch", min=1, help="Pictures a step.")]
Half = Annotated[bool, typer.Option("--half", help="Store the model as float16, half the size.")]
Loss = Annotated[str, typer.Option(help="mse, or log: the mean of each picture's logarithm.")]
Every = Annotated[int, typer.Option("--save-every", min=1, help="Steps between checkpoints.")]


def _pictures(data: str, size: int) -> np.ndarray:
    """Training pictures of a set or a folder, cut into tiles of the size: (n, size, size, 3)."""
    from semcom.datasets import NAMES, cut_tiles, find_pictures, load, read_picture

    if data in NAMES:
        found = load(data, "train")
        return found if found.shape[1] == size else cut_tiles(found, size)[0]
    return cut_tiles([read_picture(path) for path in find_pictures([Path(data)])], size)[0]


def _begin(start: Path | None, kind: Any) -> tuple[Any, str | None]:
    """(model to begin with, digest of its file), or (None, None)."""
    from ninefold.files import digest_file

    from semcom.models import load_model

    if start is None:
        return None, None
    return load_model(start, kind.kind)[0], digest_file(start)


def _finished(run: Run, model: Any, recipe: dict[str, Any], half: bool = False) -> dict[str, Any]:
    """Write model.safetensors into the run, unless a finished run has it, and say what came out."""
    from semcom.models import save_model

    path = run.path / "model.safetensors"
    save_model(model, path, recipe=recipe, half=half, force=True)
    last = run.metrics()[-1]
    return {"steps": last["step"], **{k: round(v, 5) for k, v in last.items() if k != "step"}, "model": str(path)}


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def mae(
    *,
    data: Data = "cifar10",
    steps: Steps = 2600,
    lr: Lr = 1.2e-3,
    batch: TrainBatch = 64,
    save_every: Every = 200,
    loss: Loss = "mse",
    half: Half = False,
    start: Annotated[Path | None, typer.Option(help="Model file to begin with; random weights if left out.")] = None,
    image: Annotated[int, typer.Option(min=4, help="Height and width of pictures.")] = 32,
    patch: Annotated[int, typer.Option(min=1, help="Height and width of a patch.")] = 4,
    dim: Annotated[int, typer.Option(min=8, help="Width of the encoder and the decoder.")] = 128,
    depth: Annotated[int, typer.Option(min=1, help="Blocks of the encoder.")] = 4,
    opts: Shared,
) -> dict[str, Any]:
    """Train a small masked autoencoder over a noisy link, into the run folder -o; a killed run goes on."""
    from ninefold.run import Run

    from semcom.models import MaeConfig, SmallMae
    from semcom.training import MaeRecipe, Schedule, train_mae

    config = MaeConfig(image_size=image, patch_size=patch, dim=dim, decoder_dim=dim, depth=depth)
    recipe = MaeRecipe(Schedule(steps, batch, lr, save_every=save_every, seed=opts.seed), loss=loss)
    begin, digest = _begin(start, SmallMae)
    if begin is not None and begin.config != config:
        raise InputError("--start", got=f"{start} of {begin.config}", expected=f"a model of {config}")
    about = {"verb": "train mae", "data": data, **recipe.to_meta(), "model": config.to_meta(), "start": digest}
    with Run(opts.need_out(), about) as run:
        model = train_mae(_pictures(data, image), config, recipe, run, begin)
        return _finished(run, model, about, half)


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def jscc(
    *,
    kind: Annotated[str, typer.Option(help="adjscc or deepjscc.")] = "adjscc",
    data: Data = "cifar10",
    channels: Annotated[int, typer.Option(min=1, help="Feature channels c; the bandwidth ratio is c / 96.")] = 8,
    width: Annotated[int, typer.Option(min=8, help="Inner channels of adjscc.")] = 64,
    stages: Annotated[int, typer.Option(min=0, help="Stages that adjscc has more on each side.")] = 0,
    snr_low: Annotated[float, typer.Option(help="Lowest Es/N0 in training, dB.")] = -5.0,
    snr_high: Annotated[float, typer.Option(help="Highest Es/N0 in training, dB.")] = 20.0,
    steps: Steps = 1000,
    lr: Lr = 2e-3,
    batch: TrainBatch = 64,
    save_every: Every = 200,
    loss: Loss = "mse",
    bfloat16: Annotated[bool, typer.Option("--bfloat16", help="Convolutions in bfloat16.")] = False,
    start: Annotated[Path | None, typer.Option(help="Model file to begin with; random weights if left out.")] = None,
    half: Half = False,
    image: Annotated[int, typer.Option(min=4, help="Height and width of pictures.")] = 32,
    channel: ChannelSpec = "awgn",
    opts: Shared,
) -> dict[str, Any]:
    """Train a joint source-channel coder over a channel, into the run folder -o; a killed run goes on."""
    from ninefold.run import Run

    from semcom.models import JsccCoder, JsccConfig
    from semcom.training import JsccRecipe, Schedule, train_jscc

    if image % 4:
        raise InputError("--image", got=image, expected="a multiple of 4")
    config = JsccConfig(kind, channels, width, stages)
    schedule = Schedule(steps, batch, lr, save_every=save_every, seed=opts.seed)
    recipe = JsccRecipe(schedule, snr_low, snr_high, loss, bfloat16, channel)
    begin, digest = _begin(start, JsccCoder)
    about = {"verb": "train jscc", "data": data, **recipe.to_meta(), "model": config.to_meta(), "start": digest}
    with Run(opts.need_out(), about) as run:
        return _finished(run, train_jscc(_pictures(data, image), config, recipe, run, begin), about, half)


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def picture(
    *,
    data: Annotated[str, typer.Option("--data", help="caltech101, embedded, or a folder of pictures.")] = "caltech101",
    steps: Steps = 5600,
    lr: Lr = 1e-3,
    batch: Annotated[int, typer.Option(min=1, help="Crops of the smallest size a step.")] = 24,
    crops: Annotated[str, typer.Option(help="Sides of the crops, separated by commas.")] = "64,96,128",
    snr_low: Annotated[float, typer.Option(help="Lowest Es/N0 in training, dB.")] = -3.0,
    snr_high: Annotated[float, typer.Option(help="Highest Es/N0 in training, dB.")] = 15.0,
    channel: ChannelSpec = "awgn",
    save_every: Every = 200,
    start: Annotated[Path | None, typer.Option(help="Model of `train picture` to begin with.")] = None,
    half: Half = False,
    opts: Shared,
) -> dict[str, Any]:
    """Train the coder of whole pictures on crops, from the shipped tile coder on, into the run folder -o.

    A killed run goes on where it was.
    """
    from ninefold.files import digest_file
    from ninefold.run import Run

    from semcom.datasets import find_pictures, load_whole, read_picture
    from semcom.models import PictureCoder, PictureConfig, load_jscc, load_picture_coder
    from semcom.phy import parse_range
    from semcom.training import PictureRecipe, Schedule, train_picture

    if data in ("caltech101", "embedded"):
        pictures = load_whole(data, "train")
    else:
        pictures = [read_picture(path) for path in find_pictures([Path(data)])]
    sides = tuple(int(side) for side in parse_range(crops))
    recipe = PictureRecipe(
        Schedule(steps, batch, lr, save_every=save_every, seed=opts.seed, average=0.999),
        sides, snr_low, snr_high, channel=channel,
    )  # fmt: skip
    model = load_picture_coder(start) if start else PictureCoder.from_tiles(load_jscc("adjscc-c8"), PictureConfig())
    digest = digest_file(start) if start else None
    sizes = model.config.to_meta()
    about = {"verb": "train picture", "data": data, **recipe.to_meta(), "model": sizes, "start": digest}
    with Run(opts.need_out(), about) as run:
        return _finished(run, train_picture(pictures, model, recipe, run), about, half)


@verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")
def finetune(
    model: Annotated[str, typer.Argument(help="mae-32p4, a model file, or a folder of a ViTMAE.")],
    *,
    data: Data = "cifar10",
    steps: Steps = 500,
    lr: Lr = 3e-4,
    batch: TrainBatch = 32,
    save_every: Every = 100,
    kept_weight: Annotated[float, typer.Option(min=0, help="Weight of the error on kept patches.")] = 1.0,
    snr_low: Annotated[float, typer.Option(help="Lowest Es/N0, dB.")] = -5.0,
    snr_high: Annotated[float, typer.Option(help="Highest Es/N0, dB.")] = 20.0,
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Leave the encoder as it is.")] = False,
    max_batch: Batch = 64,
    opts: Shared,
) -> dict[str, Any] | None:
    """Fine-tune a masked autoencoder for noisy links, into the run folder -o; a killed run goes on.

    Under torchrun the processes share each batch; the result is that of one process.
    """
    from ninefold.cli import Progress
    from ninefold.distributed import joined
    from ninefold.run import Run

    from semcom.models import SmallMae, load_mae, model_hash
    from semcom.training import FinetuneRecipe, Schedule
    from semcom.training import finetune as tune

    begin = load_mae(model)
    schedule = Schedule(steps, min(batch, max_batch), lr, save_every=save_every, seed=opts.seed)
    recipe = FinetuneRecipe(
        schedule, snr_low=snr_low, snr_high=snr_high, kept_weight=kept_weight, freeze_encoder=freeze_encoder
    )
    about = {"verb": "finetune", "data": data, **recipe.to_meta(), "start": model_hash(begin)}
    with contextlib.ExitStack() as stack:
        rank, _ = stack.enter_context(joined(opts.device))
        Progress.shown = Progress.shown and rank == 0
        run = stack.enter_context(Run(opts.need_out(), about)) if rank == 0 else None
        tuned = tune(begin, _pictures(data, begin.image_size), recipe, run, opts.device)
        if run is None:
            return None
        if isinstance(tuned, SmallMae):
            return _finished(run, tuned, about)
        folder = run.path / "model"
        tuned.model.save_pretrained(folder)
        return {"steps": steps, "model": str(folder)}
