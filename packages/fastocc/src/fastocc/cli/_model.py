"""Verbs on models: train, eval, predict, export, convert, inspect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table

from fastocc.cli._options import (
    Format,
    Infos,
    Limit,
    Model,
    Rig,
    Root,
    Scenes,
    Split,
    app,
    open_data,
    open_data_of,
    open_rig,
)

if TYPE_CHECKING:
    from fastocc.models import FastOccModel

Preset = Annotated[str, typer.Option("--preset", help="mini, micro, occ3d-r50 or openocc-r50.")]


_CALIBRATED = 16  # frames


def open_model(path: str) -> FastOccModel:
    """A trained model: its folder, the run folder around it, or the weights that ship."""
    from fastocc.models import FastOccModel, shipped_weights

    if path == "demo":
        return FastOccModel.from_pretrained(shipped_weights())
    folder = Path(path)
    return FastOccModel.from_pretrained(folder / "model" if (folder / "model").is_dir() else folder)


def open_start(path: str) -> FastOccModel:
    """What training starts from: a model folder, the weights that ship, or another code base's checkpoint."""
    from fastocc.models import convert_checkpoint

    return convert_checkpoint(path) if Path(path).suffix in (".pth", ".pt", ".ckpt") else open_model(path)


@verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")
def train(
    preset: Annotated[
        str | None, typer.Option("--preset", help="mini (default), micro, occ3d-r50, flashocc-r50, ...; see README.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option("--head", help="dcn-c2h, fastocc or a rival; default the preset's."),
    ] = None,
    lift: Annotated[str, typer.Option("--lift", help="Of head fastocc: dcn, conv or linear.")] = "dcn",
    fpn: Annotated[str, typer.Option("--fpn", help="Of head fastocc: partial, full or none.")] = "partial",
    view: Annotated[str | None, typer.Option("--view", help="lut, lss or bevformer; default the preset's.")] = None,
    history: Annotated[
        int | None, typer.Option("--history", min=1, help="Frames seen at once (lut, lss); default the preset's.")
    ] = None,
    segmentation: Annotated[
        float | None, typer.Option("--segmentation", min=0, help="Weight of the image branch; default the preset's.")
    ] = None,
    supervision: Annotated[
        str, typer.Option("--supervision", help="labels, or lidar: points on LiDAR rays, without voxel labels.")
    ] = "labels",
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Default: the preset's.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Default: the preset's.")] = None,
    every: Annotated[int | None, typer.Option("--every", min=1, help="Steps between checkpoints.")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone-weights", help="torchvision state dict (.pth).")] = None,
    init: Annotated[
        str | None, typer.Option("--init", help="Start from a model folder or a FlashOcc or BEVDet-Occ .pth.")
    ] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16 where that is safe.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Threads that prepare the next batches.")] = 2,
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
    from ninefold.distributed import launched, place

    from fastocc.models import FastOccConfig
    from fastocc.training import TrainConfig
    from fastocc.training import train as fit
    from fastocc.unlabelled import calibrate_free

    out = opts.need_out()
    given = {"head": head, "segmentation": segmentation, "view": view, "history": history}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    start = open_start(init) if init else None
    if start is not None:
        if changes or (lift, fpn) != ("dcn", "partial"):
            raise InputError(
                "--head, --view, --history, --lift, --fpn", expected="nothing with --init: its network is kept"
            )
        base, preset = start.config, preset or ("mini" if start.config.backbone == "slim" else "occ3d-r50")
    else:
        base = FastOccConfig.preset(preset := preset or "mini")
        if (head or base.head) == "fastocc":
            changes |= {"lift": lift, "fpn": fpn}
        elif (lift, fpn) != ("dcn", "partial"):
            raise InputError("--lift, --fpn", expected=f"nothing: head {head or base.head!r} has none of them")
    changes.setdefault("head", base.head)
    draft = base.with_head(**changes)
    cameras = open_rig(rig, draft.image_size).names if rig else None
    if cameras:
        changes["cameras"] = len(cameras)
    if format_name is None and draft.format != "sim":
        format_name = draft.format
    data = open_data(
        root, format_name, "train", infos, limit, scenes, size=draft.image_size, grid=draft.grid, cameras=cameras,
        draft=True,
    )  # fmt: skip
    if supervision == "labels":
        data.need_labels()
    elif segmentation is None and data.points(0) is None:  # its labels come from points with a class
        changes["segmentation"] = 0.0
    if root is not None:
        if draft.format == "sim" and data.format.name != "sim":
            changes |= {"format": data.format.name, "grid": data.format.grid}
        changes["cameras"] = len(data.cameras)
    draft = base.with_head(**changes)
    if data.grid != draft.spec:
        raise InputError(
            "grid", got=data.grid.shape, expected=f"that of preset {preset}: {draft.spec.shape}", where=data.root
        )
    wanted: dict[str, Any] = {
        "steps": steps, "batch": batch, "every": every, "bf16": bf16, "supervision": supervision,
    }  # fmt: skip
    if batch is None:  # each of several processes has at least one frame
        world = launched()
        wanted["batch"] = -(-TrainConfig.for_preset(preset).batch // world) * world
    recipe = TrainConfig.for_preset(preset, seed=opts.seed, **{key: value for key, value in wanted.items() if value})
    with progress(recipe.steps, "steps") as bar:
        model = fit(
            out, draft, recipe, data, device=opts.device, advance=bar.advance, backbone_weights=backbone, initial=start,
            about={"init": Path(init).name} if init else None, workers=workers,
        )  # fmt: skip
    weights, more = sum(one.numel() for one in model.parameters()), {}
    if supervision == "lidar" and place()[0] == 0:
        more["free space"] = f"{calibrate_free(model, data):+g}"
        model.save_pretrained(out / "model", force=True)
    return {
        "model": out / "model",
        "head": draft.head,
        "frames": len(data),
        "steps": recipe.steps,
        "batch": recipe.batch,
        "weights": weights,
        **more,
    }


@verb(app, "eval", uses=("device", "threads", "quiet", "force", "out"), out="folder")
def evaluate(
    model: Model,
    mask: Annotated[str, typer.Option("--mask", help="Voxels that count: camera, lidar or none.")] = "camera",
    rayiou: Annotated[bool, typer.Option("--rayiou", help="Also cast rays (no LiDAR files are needed).")] = False,
    root: Root = None,
    format_name: Format = None,
    split: Split = "val",
    infos: Infos = None,
    limit: Limit = 0,
    scenes: Scenes = 100,
    *,
    opts: Shared,
) -> Table:
    """Score a model: mIoU under a mask, geometric IoU, RayIoU; -o keeps metrics.json and per-class.csv."""
    import dataclasses
    import json

    from ninefold import artifacts
    from ninefold.report import plain

    from fastocc.evaluation import MASKS
    from fastocc.evaluation import evaluate as score

    if mask not in MASKS:
        raise InputError("--mask", got=repr(mask), expected=f"one of {', '.join(MASKS)}")
    network = open_model(model).to(opts.device)
    config = network.config
    data = open_data_of(config, root, format_name, split, infos, limit, scenes)
    with progress(len(data), "frames") as bar:
        done = score(network, data, mask=mask, rayiou=rayiou, advance=bar.advance)
    rows: list[Sequence[Any]] = [["mIoU", done.miou.miou], ["geometric IoU", done.miou.geometric]]
    if done.ray:
        rows += [["RayIoU", done.ray.rayiou], *([f"RayIoU at {key:g} m", value] for key, value in done.ray.at.items())]
    table = Table(["score", "value"], rows, title=f"{len(done.per_frame)} frames, mask {mask}")
    if done.miou.note:
        table.notes.append(done.miou.note)
    if opts.out is not None:
        kind = "fastocc.evaluation"
        with artifacts.write_folder(
            opts.out, kind=kind, format_version=1, package="fastocc", force=opts.force
        ) as folder:
            values = {**dataclasses.asdict(done), "per_frame": done.per_frame.tolist()}
            (folder / "metrics.json").write_text(json.dumps(plain(values), indent=2) + "\n", encoding="utf-8")
            lines = ["class,iou,rayiou"]
            for name, value in done.miou.per_class.items():
                ray = done.ray.per_class[name] if done.ray else float("nan")
                lines.append(f"{name},{value:.6f},{ray:.6f}")
            (folder / "per-class.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


@verb(app, uses=("device", "threads", "quiet", "force", "out"), out="folder")
def predict(
    model: Model,
    root: Root = None,
    format_name: Format = None,
    split: Split = "val",
    infos: Infos = None,
    limit: Limit = 0,
    scenes: Scenes = 100,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write predicted voxels into the folder -o, one npz a frame."""
    from ninefold import artifacts

    from fastocc.evaluation import predict_frame
    from fastocc.export import write_prediction

    out, network = opts.need_out(), open_model(model).to(opts.device)
    config = network.config
    data = open_data_of(config, root, format_name, split, infos, limit, scenes)
    kind = "fastocc.predictions"
    with (
        artifacts.write_folder(out, kind=kind, format_version=1, package="fastocc", force=opts.force) as folder,
        progress(len(data), "frames") as bar,
    ):
        for at, one in enumerate(data.infos):
            made = predict_frame(network, data, at)
            write_prediction(folder / one.scene / f"{one.token}.npz", made)
            bar.advance()
    return {"folder": out, "frames": len(data)}


@verb(app, uses=("threads", "force", "out"), out="folder")
def export(
    model: Model,
    rig: Rig = None,
    opset: Annotated[int, typer.Option("--opset", help="19 or newer.")] = 20,
    backend: Annotated[
        str, typer.Option("--backend", help="Deformable convolution: native, decomposed or auto.")
    ] = "native",
    logits: Annotated[bool, typer.Option("--logits", help="Give logits in place of labels.")] = False,
    int8: Annotated[
        Path | None, typer.Option("--int8", help="8 bits, calibrated on frames of this folder of a data set.")
    ] = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write an ONNX graph for one rig into the folder -o, and compare it with torch in onnxruntime."""
    import tempfile

    import numpy as np
    import torch

    from fastocc.evaluation import median_seconds
    from fastocc.export import DATA, GRAPH, OnnxGraph, agreement, export_model, quantize_graph

    out, network = opts.need_out(), open_model(model)
    if backend not in ("native", "decomposed", "auto"):
        raise InputError("--backend", got=repr(backend), expected="native, decomposed or auto")
    cameras = open_rig(rig, network.config.image_size)
    images = np.random.default_rng(0).integers(0, 256, (1, len(cameras.cameras), 3, *network.config.image_size))
    taken: dict[str, float] = {}
    if backend == "auto":  # both are built and timed here
        for name in ("native", "decomposed"):
            with tempfile.TemporaryDirectory() as trial:
                path = export_model(network, cameras, Path(trial) / name, opset=opset, backend=name, logits=logits)
                graph = OnnxGraph(path, opts.threads or 0)
                taken[name] = median_seconds(lambda graph=graph: graph(images), 5)
        backend = min(taken, key=taken.__getitem__)
    common: dict[str, Any] = {"opset": opset, "backend": backend, "logits": logits}
    if int8 is None:
        export_model(network, cameras, out, force=opts.force, **common)
    else:
        data = open_data_of(network.config, int8, None, "train", None, _CALIBRATED, 1)
        with tempfile.TemporaryDirectory() as whole:
            export_model(network, cameras, Path(whole) / "whole", **common)
            shown = (data.frame(at).images[None] for at in range(len(data)))
            quantize_graph(Path(whole) / "whole", shown, out, force=opts.force)
    with torch.no_grad():
        calibration = (torch.from_numpy(one)[None] for one in (cameras.cam2img, cameras.cam2ego))
        output = network(torch.from_numpy(images).float(), *calibration)
        expected = (output.logits if logits else output.semantics).numpy()
    graph = OnnxGraph(out, opts.threads or 0)
    difference = agreement(graph, images, expected)
    milliseconds = 1000 * median_seconds(lambda: graph(images), 5)
    facts = {"graph": out / GRAPH, "weights": out / DATA, "note": "keep both files together", "opset": opset}
    what = "largest relative difference" if logits else "share of labels that differ from torch"
    facts |= {"deformable convolution": backend, what: difference}
    return {**facts, "onnxruntime seconds": milliseconds / 1000}


@verb(app, uses=("force", "out"), out="folder")
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="Their .pth file; read as tensors alone, no code in it runs.")],
    source: Annotated[
        str | None, typer.Option("--source", help="flashocc or bevdet-occ; default by the file's arrays.")
    ] = None,
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
    import torch

    from fastocc.evaluation import count_macs
    from fastocc.geometry import CameraRig

    network = open_model(model)
    config = network.config
    table = Table(["part", "weights"])
    parts = {"image encoder": network.images, "view transform": network.view, "BEV encoder": network.encoder}
    parts |= {"head": network.head}
    if network.segmentation is not None:
        parts["segmentation branch (training)"] = network.segmentation
    table.rows += [[name, sum(one.numel() for one in part.parameters())] for name, part in parts.items()]
    facts = {key: str(value) if isinstance(value, list) else value for key, value in config.to_dict().items()}
    if config.cameras == len(CameraRig.nominal().cameras):
        rig = CameraRig.nominal().resized(*config.image_size)
        images = torch.zeros(1, config.cameras, 3, *config.image_size)
        matrices = (torch.from_numpy(one)[None] for one in (rig.cam2img, rig.cam2ego))
        table.notes.append(f"{count_macs(network.to_inference(), images, *matrices) / 1e9:.3g} G multiply-accumulates")
    return [facts, table]
