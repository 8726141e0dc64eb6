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
_SUPERVISION = "labels, or lidar: points on LiDAR rays, without voxel labels."


@dataclass(frozen=True)
class Network:
    """The network to train."""

    preset: Annotated[str | None, Option(help="mini (default), micro, occ3d-r50, flashocc-r50, ...; see README.")] = (
        None
    )
    head: Annotated[str | None, Option(help="dcn-c2h, fastocc or a rival; default the preset's.")] = None
    lift: Annotated[str, Option(help="Of head fastocc: dcn, conv or linear.")] = "dcn"
    fpn: Annotated[str, Option(help="Of head fastocc: partial, full or none.")] = "partial"
    view: Annotated[str | None, Option(help="lut, lss or bevformer; default the preset's.")] = None
    history: Annotated[int | None, Option(min=1, help="Frames seen at once (lut, lss); default the preset's.")] = None
    segmentation: Annotated[float | None, Option(min=0, help="Weight of the image branch; default the preset's.")] = (
        None
    )
    init: Annotated[str | None, Option(help="Start from a model folder or a FlashOcc or BEVDet-Occ .pth.")] = None


@verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")
def train(
    network: Network,
    supervision: Annotated[str, Option(help=_SUPERVISION)] = "labels",
    steps: Annotated[int | None, Option(min=1, help="Default: the preset's.")] = None,
    batch: Annotated[int | None, Option(min=1, help="Default: the preset's.")] = None,
    every: Annotated[int | None, Option(min=1, help="Steps between checkpoints.")] = None,
    backbone: Annotated[str | None, Option("--backbone-weights", help="torchvision state dict (.pth).")] = None,
    bf16: Annotated[bool, Option("--bf16", help="Compute in bfloat16 where that is safe.")] = False,
    workers: Annotated[int, Option(min=0, help="Threads that prepare the next batches.")] = 2,
    root: Root = None,
    format_name: Format = None,
    infos: Infos = None,
    rig: Rig = None,
    limit: Limit = 0,
    scenes: Scenes = 100,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Train into the run folder -o, which then holds model/; the same command resumes a killed run."""
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
    mask: Annotated[str, Option(help="Voxels that count: camera, lidar or none.")] = "camera",
    rayiou: Annotated[bool, Option("--rayiou", help="Also cast rays (no LiDAR files are needed).")] = False,
    *,
    frames: Frames,
    opts: Shared,
) -> Table:
    """Score a model: mIoU under a mask, geometric IoU, RayIoU; -o keeps metrics.json and per-class.csv."""
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
    """Write predicted voxels into the folder -o, one npz a frame."""
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
    opset: Annotated[int, Option(help="19 or newer.")] = 20,
    backend: Annotated[str, Option(help="Deformable convolution: native, decomposed or auto.")] = "native",
    logits: Annotated[bool, Option("--logits", help="Give logits in place of labels.")] = False,
    int8: Annotated[Path | None, Option(help="8 bits, calibrated on frames of this folder of a data set.")] = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write an ONNX graph for one rig into the folder -o, and compare it with torch in onnxruntime."""
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
    checkpoint: Annotated[Path, Argument(help="Their .pth file; read as tensors alone, no code in it runs.")],
    source: Annotated[str | None, Option(help="flashocc or bevdet-occ; default by the file's arrays.")] = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write the network of a FlashOcc or BEVDet-Occ checkpoint to -o: every number placed, or the file is refused."""
    from fastocc.models import convert_checkpoint

    out = opts.need_out()
    model = convert_checkpoint(checkpoint, source)
    model.save_pretrained(out, force=opts.force)
    numbers = sum(one.numel() for one in model.parameters())
    return {"model": out, "head": model.config.head, "numbers placed": numbers, "numbers left": 0}


@verb(app, uses=())
def inspect(model: Model) -> list[Any]:
    """What a model folder holds: configuration, weights by part, multiply-accumulates."""
    from fastocc.evaluation._reports import describe_model
    from fastocc.models._opening import open_model

    return describe_model(open_model(model))
