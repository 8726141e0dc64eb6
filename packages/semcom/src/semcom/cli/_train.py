"""`train picture|jscc|mae|features|clip|diffusion`, `finetune`: one pattern of options for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from typer import Argument, Option

from semcom.cli._app import app, train

_DATA = "Training pictures: a folder, or cifar10, caltech101 or embedded; cifar10 if omitted."
USES = ("seed", "threads", "quiet", "out")


@dataclass(frozen=True)
class How:
    """What is trained on what, and how."""

    data: Annotated[str, Option(help=_DATA)] = ""
    net: Annotated[
        str, Option(rich_help_panel="Advanced", help="Network sizes as key=value,...; an unknown key lists all.")
    ] = ""
    recipe: Annotated[
        str, Option(help="Training settings as key=value,..., such as steps=500,lr=1e-3; an unknown key lists all.")
    ] = ""
    start: Annotated[Path | None, Option(help="Model file to start from; random weights if omitted.")] = None
    half: Annotated[
        bool, Option("--half", rich_help_panel="Advanced", help="Store the model as float16, at half the size.")
    ] = False


Captions = Annotated[
    Path | None, Option(help="CSV file with the columns `file` and `caption`, for a folder of pictures.")
]


def _trained(name: str, how: How, opts: Shared, net: Any, recipe: Any, call: Any, **more: Any) -> Any:
    """Train into the run folder -o, write model.safetensors there, and say what came out."""
    from ninefold.files import digest_file

    from semcom.models import BUILT_IN, built_in_path
    from semcom.training._folders import train_into

    file = built_in_path(str(how.start)) if str(how.start) in BUILT_IN else how.start
    about = {"verb": f"train {name}", "data": how.data, **recipe.to_meta(), "model": net.to_meta(), **more}
    return train_into(opts.need_out(), {**about, "start": digest_file(file) if file else None}, call, half=how.half)


@verb(train, uses=USES, out="run")
def picture(*, how: How, opts: Shared) -> dict[str, Any]:
    """Train the joint coder of whole pictures on crops. Rerun the command to resume.

    Example: `semcom train picture --data pictures --recipe steps=2,batch=2,crops=64 -o runs/picture`
    """
    import torch

    from semcom.datasets._given import training_pictures
    from semcom.models import PictureCoder, PictureConfig, load_jscc, load_picture_coder
    from semcom.training import PictureRecipe, train_picture

    recipe, net = PictureRecipe.from_text(how.recipe, seed=opts.seed), PictureConfig.from_text(how.net)
    torch.manual_seed(opts.seed)
    model = load_picture_coder(how.start) if how.start else PictureCoder.from_tiles(load_jscc("adjscc-c8"), net)
    pictures = training_pictures(how.data)
    return _trained("picture", how, opts, model.config, recipe, lambda run: train_picture(pictures, model, recipe, run))


@verb(train, uses=USES, out="run")
def jscc(*, how: How, opts: Shared) -> dict[str, Any]:
    """Train ADJSCC or DeepJSCC through a channel. Rerun the command to resume.

    Example: `semcom train jscc --data pictures --recipe channel=rayleigh:block=64,steps=20 -o runs/fading`
    """
    from semcom.datasets._given import training_tiles
    from semcom.models import JsccConfig, load_jscc
    from semcom.training import JsccRecipe, train_jscc

    recipe, net = JsccRecipe.from_text(how.recipe, seed=opts.seed), JsccConfig.from_text(how.net)
    begin = load_jscc(how.start) if how.start else None
    pictures = training_tiles(how.data, recipe.size)
    return _trained("jscc", how, opts, net, recipe, lambda run: train_jscc(pictures, net, recipe, run, begin))


@verb(train, uses=USES, out="run")
def mae(*, how: How, opts: Shared) -> dict[str, Any]:
    """Train a small masked autoencoder through a noisy link, for `--form paper`. Rerun the command to resume.

    Example: `semcom train mae --data pictures --recipe steps=5 -o runs/mae`
    """
    from semcom.datasets._given import training_tiles
    from semcom.models import MaeConfig, SmallMae, load_model
    from semcom.paper import MaeRecipe, train_mae

    recipe, net = MaeRecipe.from_text(how.recipe, seed=opts.seed), MaeConfig.from_text(how.net)
    begin = load_model(how.start, SmallMae.kind)[0] if how.start else None
    pictures = training_tiles(how.data, net.image_size)
    return _trained("mae", how, opts, net, recipe, lambda run: train_mae(pictures, net, recipe, run, begin))


@verb(train, uses=USES, out="run")
def features(*, how: How, opts: Shared) -> dict[str, Any]:
    """Train the image features of `mm` (5 minutes on one core by default).

    Example: `semcom train features --data pictures --recipe steps=5 -o runs/features`
    """
    from semcom.datasets._given import training_tiles
    from semcom.models import JsccConfig
    from semcom.multimodal import MMRecipe, train_features

    recipe = MMRecipe.from_text(how.recipe, seed=opts.seed, steps=1400, lr=2e-3)
    net, pictures = JsccConfig.from_text(how.net, channels=4), training_tiles(how.data, recipe.size)
    return _trained("features", how, opts, net, recipe, lambda run: train_features(pictures, net, recipe, run))


@verb(train, uses=USES, out="run")
def clip(*, how: How, captions: Captions = None, opts: Shared) -> dict[str, Any]:
    """Train the text and image encoders of `mm` on captions (12 minutes on one core by default).

    Example: `semcom train clip --data pictures --captions captions.csv --recipe steps=5 -o runs/clip`
    """
    from semcom.multimodal import ClipConfig, MMRecipe, captioned_tiles, train_clip

    recipe = MMRecipe.from_text(how.recipe, seed=opts.seed, steps=2400, lr=1e-3)
    net, pictures = ClipConfig.from_text(how.net), captioned_tiles(how.data or "cifar10", recipe.size, captions)
    return _trained("clip", how, opts, net, recipe, lambda run: train_clip(pictures, net, recipe, run))


@verb(train, uses=USES, out="run")
def diffusion(
    *, features: Annotated[Path, Option(help="Model file of `train features`.")],
    clip: Annotated[Path, Option(help="Model file of `train clip`.")], how: How, captions: Captions = None,
    opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Train the diffusion model of `mm` on received pictures (30 minutes on one core by default).

    Example: `semcom train diffusion --data pictures --captions captions.csv --recipe steps=3 --features runs/features/model.safetensors --clip runs/clip/model.safetensors -o runs/diffusion`
    """  # noqa: E501
    from semcom.models import load_jscc, model_hash
    from semcom.multimodal import MMRecipe, SmallClip, UnetConfig, captioned_tiles, load_clip, train_diffusion

    coder, towers = load_jscc(features), load_clip(clip)
    if not isinstance(towers, SmallClip):
        raise InputError("--clip", got="a folder of a CLIP", expected="a model file of `train clip`")
    recipe = MMRecipe.from_text(how.recipe, seed=opts.seed, steps=3600, lr=1e-3, average=0.999)
    net = UnetConfig.from_text(how.net, text_dim=towers.dim)
    data = captioned_tiles(how.data or "cifar10", recipe.size, captions)
    hashes = {"features": model_hash(coder), "clip": model_hash(towers)}
    return _trained("diffusion", how, opts, net, recipe,
                    lambda run: train_diffusion(data, coder, towers, net, recipe, run), **hashes)  # fmt: skip


@verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")
def finetune(
    model: Annotated[str, Argument(help="Masked autoencoder: mae-32p4, a model file, or a ViTMAE folder.")],
    *,
    how: How,
    opts: Shared,
) -> dict[str, Any] | None:
    """Fine-tune a masked autoencoder for noisy links. Rerun the command to resume.

    Processes started by torchrun share each batch, with the result of one process.

    Example: `semcom finetune mae-32p4 --data pictures --recipe steps=5 -o runs/tuned`
    """
    from semcom.datasets._given import training_tiles
    from semcom.models import load_mae, model_hash
    from semcom.paper import MaeRecipe
    from semcom.paper import finetune as tune
    from semcom.training._folders import train_into

    out, begin = opts.need_out(), load_mae(model)
    recipe = MaeRecipe.from_text(how.recipe, seed=opts.seed, steps=500, lr=3e-4, batch=32, save_every=100)
    about = {"verb": "finetune", "data": how.data, **recipe.to_meta(), "start": model_hash(begin)}
    return train_into(
        out, about, lambda run: tune(begin, training_tiles(how.data, begin.image_size), recipe, run, opts.device),
        half=how.half, device=opts.device,
    )  # fmt: skip
