"""Verbs on models: train, eval, predict, export, convert, inspect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from fastocc.cli._options import Format, Frames, Infos, Limit, Model, Rig, Root, Scenes, app

_CALIBRATED = 16  # frames
_SUPERVISION = "Source of supervision: labels (voxel labels) or lidar (points on LiDAR rays, without voxel labels)."
_ADVANCED = "Advanced"
_PRESET = "Network size and recipe: mini (default), micro, occ3d-r50, flashocc-r50, bevdet-occ-r50 or openocc-r50."
_HISTORY = "Number of consecutive frames that the network sees. By default that of the preset."
_SEGMENTATION = "Weight of the segmentation loss on the images. By default that of the preset."
_OPSET = "ONNX opset of the graph, 17 or newer. Below 19, the deformable convolution needs --backend decomposed."
_BACKEND = "Form of the deformable convolution: native (one operator), decomposed, or auto (the faster one)."
_BACKBONE = "Path of a torchvision state dict (.pth) that the image backbone starts from."


@dataclass(frozen=True)
class Network:
    """The network to train."""

    preset: Annotated[str | None, Option(help=_PRESET)] = None
    head: Annotated[
        str | None, Option(help="Voxel head: dcn-c2h, fastocc, c2h or another rival. By default that of the preset.")
    ] = None
    lift: Annotated[
        str, Option(help="Lifting operator of the head fastocc: dcn, conv or linear.", rich_help_panel=_ADVANCED)
    ] = "dcn"
    fpn: Annotated[
        str, Option(help="Voxel pyramid of the head fastocc: partial, full or none.", rich_help_panel=_ADVANCED)
    ] = "partial"
    view: Annotated[
        str | None,
        Option(help="View transform: lut, lss or bevformer. By default that of the preset.", rich_help_panel=_ADVANCED),
    ] = None
    history: Annotated[int | None, Option(min=1, help=_HISTORY, rich_help_panel=_ADVANCED)] = None
    segmentation: Annotated[float | None, Option(min=0, help=_SEGMENTATION, rich_help_panel=_ADVANCED)] = None
    init: Annotated[
        str | None, Option(help="Weights to start from: a model folder, or a FlashOcc or BEVDet-Occ .pth file.")
    ] = None


@verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")
def train(
    network: Network,
    supervision: Annotated[str, Option(help=_SUPERVISION)] = "labels",
    steps: Annotated[int | None, Option(min=1, help="Number of training steps. By default that of the preset.")] = None,
    batch: Annotated[
        int | None, Option(min=1, help="Number of frames per step. By default that of the preset.")
    ] = None,
    every: Annotated[
        int | None, Option(min=1, help="Number of steps between checkpoints.", rich_help_panel=_ADVANCED)
    ] = None,
    backbone: Annotated[str | None, Option("--backbone-weights", help=_BACKBONE)] = None,
    bf16: Annotated[
        bool, Option("--bf16", help="Compute in bfloat16 where that is safe.", rich_help_panel=_ADVANCED)
    ] = False,
    workers: Annotated[
        int, Option(min=0, help="Number of threads that prepare batches.", rich_help_panel=_ADVANCED)
    ] = 2,
    root: Root = None,
    format_name: Format = None,
    infos: Infos = None,
    rig: Rig = None,
    limit: Limit = 0,
    scenes: Scenes = 100,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Train a network into the run folder -o, whose folder model/ is the result.

    Rerun the same command to resume after an interruption.

    Example: `fastocc train --preset micro --steps 10 --root street -o run`
    """
    from ninefold.distributed import place

    from fastocc.training import train as fit
    from fastocc.training._plan import plan_network
    from fastocc.unlabelled import calibrate_free

    out, plan = opts.need_out(), plan_network(**vars(network))
    data = plan.fit_to(root, format_name, infos, limit, scenes, rig=rig, supervision=supervision)
    recipe = plan.recipe(opts.seed, batch, steps=steps, every=every, bf16=bf16, supervision=supervision)
    about = {"init": Path(network.init).name} if network.init else None
    with progress(recipe.steps, "steps") as bar:
        model = fit(
            out, plan.config, recipe, data, device=opts.device, advance=bar.advance, backbone_weights=backbone,
            initial=plan.start, about=about, workers=workers,
        )  # fmt: skip
    facts = {"model": out / "model", "head": plan.config.head, "frames": len(data), "steps": recipe.steps}
    facts |= {"batch": recipe.batch, "weights": sum(one.numel() for one in model.parameters())}
    if supervision == "lidar" and place()[0] == 0:
        facts["free space"] = f"{calibrate_free(model, data):+g}"
        model.save_pretrained(out / "model", force=True)
    return facts


@verb(app, "eval", uses=("device", "threads", "quiet", "force", "out"), out="folder")
def evaluate(
    model: Model,
    mask: Annotated[str, Option(help="Visibility mask of the voxels that count: camera, lidar or none.")] = "camera",
    rayiou: Annotated[
        bool, Option("--rayiou", help="Also compute RayIoU, which needs LiDAR poses but no LiDAR files.")
    ] = False,
    *,
    frames: Frames,
    opts: Shared,
) -> Table:
    """Score a model by mIoU, geometric IoU and RayIoU; the folder -o keeps metrics.json and per-class.csv.

    Example: `fastocc eval run --root street -o scores`
    """
    from fastocc.evaluation import MASKS
    from fastocc.evaluation import evaluate as score
    from fastocc.evaluation._reports import save_scores, score_table
    from fastocc.models._opening import open_model

    if mask not in MASKS:
        raise InputError("--mask", got=repr(mask), expected=f"one of {', '.join(MASKS)}")
    network = open_model(model).to(opts.device)
    data = frames.open_for(network.config)
    with progress(len(data), "frames") as bar:
        done = score(network, data, mask=mask, rayiou=rayiou, advance=bar.advance)
    if opts.out is not None:
        save_scores(done, opts.out, force=opts.force)
    return score_table(done)


@verb(app, uses=("device", "threads", "quiet", "force", "out"), out="folder")
def predict(model: Model, *, frames: Frames, opts: Shared) -> dict[str, Any]:
    """Write the predicted voxels of each frame as an npz file into the folder -o.

    Example: `fastocc predict run --root street -o voxels`
    """
    from fastocc.export._folder import write_predictions
    from fastocc.models._opening import open_model

    out, network = opts.need_out(), open_model(model).to(opts.device)
    data = frames.open_for(network.config)
    with progress(len(data), "frames") as bar:
        write_predictions(network, data, out, force=opts.force, advance=bar.advance)
    return {"folder": out, "frames": len(data)}


@verb(app, uses=("threads", "force", "out"), out="folder")
def export(
    model: Model,
    rig: Rig = None,
    opset: Annotated[int, Option(help=_OPSET, rich_help_panel=_ADVANCED)] = 20,
    backend: Annotated[str, Option(help=_BACKEND, rich_help_panel=_ADVANCED)] = "native",
    logits: Annotated[bool, Option("--logits", help="Make the graph return logits instead of labels.")] = False,
    int8: Annotated[
        Path | None, Option(help="Folder of the data set that calibrates a graph in 8 bits. 32 bits by default.")
    ] = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write an ONNX graph for one rig into the folder -o, and compare it with torch in onnxruntime.

    Example: `fastocc export run --rig rig.yaml -o onnx`
    """
    from fastocc.export._checked import export_checked
    from fastocc.models._opening import open_data_of, open_model, open_rig

    out, network = opts.need_out(), open_model(model)
    shown = int8 and open_data_of(network.config, int8, None, "train", limit=_CALIBRATED)
    return export_checked(
        network, open_rig(rig, network.config.image_size), out, opset=opset, backend=backend, logits=logits,
        calibration=shown, threads=opts.threads or 0, force=opts.force,
    )  # fmt: skip


@verb(app, uses=("force", "out"), out="folder")
def convert(
    checkpoint: Annotated[
        Path, Argument(help="Checkpoint file (.pth) of FlashOcc or BEVDet-Occ. No code in it is run.")
    ],
    source: Annotated[
        str | None, Option(help="Origin of the checkpoint: flashocc or bevdet-occ. Detected by default.")
    ] = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Convert a checkpoint of FlashOcc or BEVDet-Occ to a model folder; no array may be left over.

    Example: `fastocc convert flashocc.pth -o flash`
    """
    from fastocc.models import convert_checkpoint

    out = opts.need_out()
    model = convert_checkpoint(checkpoint, source)
    model.save_pretrained(out, force=opts.force)
    numbers = sum(one.numel() for one in model.parameters())
    return {"model": out, "head": model.config.head, "numbers placed": numbers, "numbers left": 0}


@verb(app, uses=())
def inspect(model: Model) -> list[Any]:
    """Show the configuration, weights and multiply-accumulates of a model.

    Example: `fastocc inspect demo`
    """
    from fastocc.evaluation._reports import describe_model
    from fastocc.models._opening import open_model

    return describe_model(open_model(model))
