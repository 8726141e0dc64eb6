"""`train features`, `train clip`, `train diffusion`, `train judge`: the parts of the second system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from semcom.cli._app import train
from semcom.cli._train import Data, Every, Half, Loss, Lr, Steps, TrainBatch, _finished

if TYPE_CHECKING:
    from semcom.datasets import Captioned
    from semcom.training import Schedule

CaptionFile = Annotated[
    Path | None, typer.Option("--captions", help="CSV file with file and caption, if --data is a folder.")
]
Symbols = Annotated[int, typer.Option(min=1, help="Symbols of the picture without its text's.")]
Bfloat16 = Annotated[
    bool, typer.Option("--bfloat16", help="Products in bfloat16: faster where the processor has them.")
]
Image = Annotated[int, typer.Option("--image", min=4, help="Height and width of pictures, a multiple of 4.")]


def _captioned(data: str, captions: Path | None, size: int) -> Captioned:
    """Training pictures with captions of a set, or of a folder with a CSV file; the latter have one class each."""
    import numpy as np

    from semcom.datasets import NAMES, cut_tiles, find_pictures, load_captioned, read_picture
    from semcom.multimodal import captions_of, read_captions

    if size % 4:
        raise InputError("--image", got=size, expected="a multiple of 4")
    if data in NAMES:
        if captions is not None:
            raise InputError("--captions", got=captions, expected="none: the set has captions of its own")
        found = load_captioned(data, "train")
        if found.images.shape[1:3] == (size, size):
            return found
        images, sizes = cut_tiles(found.images, size)
        return _tiled(images, sizes, found.nouns, found.labels, found.classes, size)
    if captions is None:
        raise InputError("--captions", expected="a CSV file with file and caption for a folder of pictures")
    names = find_pictures([Path(data)])
    texts = captions_of(names, read_captions(captions), captions)
    kept = [(name, text) for name, text in zip(names, texts, strict=True) if text]
    if not kept:
        raise InputError("captions", where=captions, got="none that is not empty")
    images, sizes = cut_tiles([read_picture(name) for name, _ in kept], size)
    classes = sorted({text for _, text in kept})
    labels = np.array([classes.index(text) for _, text in kept])
    return _tiled(images, sizes, [text for _, text in kept], labels, classes, size)


def _tiled(images: Any, sizes: Any, nouns: list[str], labels: Any, classes: list[str], size: int) -> Captioned:
    """Tiles with what their pictures have."""
    import numpy as np

    from semcom.datasets import Captioned, count_tiles

    rows = np.repeat(np.arange(len(sizes)), [count_tiles([one], size) for one in sizes])
    return Captioned(images, [nouns[row] for row in rows], np.asarray(labels)[rows], classes)


def _schedule(steps: int, batch: int, lr: float, save_every: int, seed: int) -> Schedule:
    from semcom.training import Schedule

    return Schedule(steps, batch, lr, save_every=save_every, seed=seed)


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def features(
    *,
    data: Data = "cifar10",
    channels: Annotated[int, typer.Option(min=1, help="Feature channels of the coder.")] = 4,
    width: Annotated[int, typer.Option(min=8, help="Inner channels.")] = 64,
    stages: Annotated[int, typer.Option(min=0, help="Stages that the coder has more on each side.")] = 0,
    symbols: Symbols = 120,
    snr_low: Annotated[float, typer.Option(help="Lowest Es/N0 in training, dB.")] = -5.0,
    snr_high: Annotated[float, typer.Option(help="Highest Es/N0 in training, dB.")] = 15.0,
    steps: Steps = 1400,
    lr: Lr = 2e-3,
    batch: TrainBatch = 64,
    save_every: Every = 200,
    loss: Loss = "mse",
    bfloat16: Bfloat16 = False,
    half: Half = False,
    image: Image = 32,
    opts: Shared,
) -> dict[str, Any]:
    """Train the image features: ADJSCC cut to the symbols that the text leaves (about 5 minutes on a core)."""
    from ninefold.run import Run

    from semcom.cli._train import _pictures
    from semcom.models import JsccConfig
    from semcom.training import MMRecipe, train_features

    if image % 4:
        raise InputError("--image", got=image, expected="a multiple of 4")
    config = JsccConfig("adjscc", channels, width, stages)
    recipe = MMRecipe(_schedule(steps, batch, lr, save_every, opts.seed), snr_low, snr_high, loss, bfloat16=bfloat16)
    about = {"verb": "train features", "data": data, "symbols": symbols, "image": image, **recipe.to_meta()}
    about["model"] = config.to_meta()
    with Run(opts.need_out(), about) as run:
        return _finished(run, train_features(_pictures(data, image), config, symbols, recipe, run), about, half)


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def clip(
    *,
    data: Data = "cifar10",
    captions: CaptionFile = None,
    dim: Annotated[int, typer.Option(min=2, help="Numbers of a vector; half as many symbols.")] = 16,
    width: Annotated[int, typer.Option(min=4, help="Channels of the picture tower's first layer.")] = 40,
    depth: Annotated[int, typer.Option(min=1, help="Blocks of the text tower.")] = 2,
    text_width: Annotated[int, typer.Option(min=4, help="Width of the text tower.")] = 96,
    steps: Steps = 2400,
    lr: Lr = 1e-3,
    batch: TrainBatch = 64,
    save_every: Every = 200,
    bfloat16: Bfloat16 = False,
    half: Half = False,
    image: Image = 32,
    opts: Shared,
) -> dict[str, Any]:
    """Train text and picture towers on captions, by contrast (about 12 minutes on a core)."""
    from ninefold.run import Run

    from semcom.multimodal import ClipConfig
    from semcom.training import MMRecipe, train_clip

    config = ClipConfig(dim, width, text_width, depth)
    recipe = MMRecipe(_schedule(steps, batch, lr, save_every, opts.seed), bfloat16=bfloat16)
    about = {"verb": "train clip", "data": data, "image": image, **recipe.to_meta(), "model": config.to_meta()}
    with Run(opts.need_out(), about) as run:
        return _finished(run, train_clip(_captioned(data, captions, image), config, recipe, run), about, half)


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def diffusion(
    *,
    features: Annotated[Path, typer.Option("--features", help="Model file of `train features`.")],
    clip: Annotated[Path, typer.Option("--clip", help="Model file of `train clip`.")],
    data: Data = "cifar10",
    captions: CaptionFile = None,
    symbols: Symbols = 120,
    width: Annotated[int, typer.Option(min=8, help="Channels at half of the resolution.")] = 64,
    steps: Steps = 3600,
    lr: Lr = 1e-3,
    batch: TrainBatch = 64,
    save_every: Every = 200,
    bfloat16: Bfloat16 = False,
    half: Half = False,
    image: Image = 32,
    opts: Shared,
) -> dict[str, Any]:
    """Train the diffusion on what the noisy link gives (about 30 minutes on a core; text guides it after 20)."""
    from ninefold.run import Run

    from semcom.models import load_jscc, model_hash
    from semcom.multimodal import SmallClip, UnetConfig, load_clip
    from semcom.training import MMRecipe, train_diffusion

    coder, towers = load_jscc(features), load_clip(clip)
    if not isinstance(towers, SmallClip):
        raise InputError("--clip", got="a folder of a CLIP", expected="a model file of `train clip`")
    config = UnetConfig(text_dim=towers.dim, width=width)
    recipe = MMRecipe(_schedule(steps, batch, lr, save_every, opts.seed), bfloat16=bfloat16)
    about = {"verb": "train diffusion", "data": data, "image": image, "symbols": symbols, **recipe.to_meta(),
             "model": config.to_meta(), "features": model_hash(coder), "clip": model_hash(towers)}  # fmt: skip
    with Run(opts.need_out(), about) as run:
        pictures = _captioned(data, captions, image)
        return _finished(run, train_diffusion(pictures, coder, towers, symbols, config, recipe, run), about, half)


@verb(train, uses=("seed", "threads", "quiet", "out"), out="run")
def judge(
    *,
    data: Data = "cifar10",
    width: Annotated[int, typer.Option(min=4, help="Channels of the first layer.")] = 48,
    steps: Steps = 2000,
    lr: Lr = 2e-3,
    batch: TrainBatch = 64,
    save_every: Every = 200,
    bfloat16: Bfloat16 = False,
    half: Half = False,
    opts: Shared,
) -> dict[str, Any]:
    """Train the classifier that judges received pictures and never selects (about 8 minutes on a core)."""
    from ninefold.run import Run

    from semcom.datasets import load_captioned
    from semcom.models import JudgeConfig
    from semcom.training import MMRecipe, train_judge

    pictures = load_captioned(data, "train")
    config = JudgeConfig(len(pictures.classes), width)
    recipe = MMRecipe(_schedule(steps, batch, lr, save_every, opts.seed), bfloat16=bfloat16)
    about = {"verb": "train judge", "data": data, **recipe.to_meta(), "model": config.to_meta()}
    with Run(opts.need_out(), about) as run:
        return _finished(run, train_judge(pictures, config, recipe, run), about, half)
