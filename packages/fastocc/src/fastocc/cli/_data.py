"""Verbs on data: simulate, info, render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table

from fastocc.cli._options import Format, Infos, Rig, Split, app, open_data_of, open_rig


@verb(app, uses=("seed", "threads", "quiet", "out"), out="own")
def simulate(
    train: Annotated[int, typer.Option("--train", min=0, help="Training scenes.")] = 10,
    val: Annotated[int, typer.Option("--val", min=0, help="Validation scenes.")] = 3,
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames a scene, at 2 Hz.")] = 4,
    grid: Annotated[str, typer.Option("--grid", help="mini, micro or occ3d.")] = "mini",
    height: Annotated[int, typer.Option("--height", min=8, help="Image rows.")] = 96,
    width: Annotated[int, typer.Option("--width", min=8, help="Image columns.")] = 256,
    moving: Annotated[bool, typer.Option("--moving", help="The vehicle moves in every scene, not in half.")] = False,
    rig: Rig = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write simulated streets to -o in Occ3D's layout, with exact labels; a killed run goes on."""
    import time

    from fastocc import SimConfig
    from fastocc import simulate as make

    out = opts.need_out()
    config = SimConfig(train, val, frames, grid, height, width, opts.seed, moving)
    begin = time.perf_counter()
    with progress(train + val, "scenes") as bar:
        make(out, config, open_rig(rig, (height, width)), bar.advance)
    return {**_facts(out, "sim"), "folder": out, "seconds": round(time.perf_counter() - begin, 1)}


def _facts(root: Path, format_name: str, infos: Path | None = None) -> dict[str, Any]:
    """Frames, and the share of each class, of the splits that are there."""
    import numpy as np

    from fastocc.datasets import OccDataset

    facts: dict[str, Any] = {}
    for split in ("train", "val"):
        try:
            data = OccDataset(root, format_name, split, infos=infos)
        except InputError as error:
            if error.what not in ("frames", "sequences"):
                raise
            continue
        labels = [data.labels(at).semantics for at in range(0, len(data), max(1, len(data) // 20))]
        counts = np.bincount(np.concatenate([one.ravel() for one in labels]), minlength=256)
        occupied = 1 - counts[data.format.free] / counts.sum()
        facts[f"{split} frames"], facts[f"{split} occupied"] = len(data), round(float(occupied), 5)
    return facts


@verb(app, uses=())
def info(
    root: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    format_name: Format = None,
    split: Split = "val",
    infos: Infos = None,
) -> list[Any]:
    """Frames, cameras, grid and classes of a data set."""
    import numpy as np

    from fastocc.datasets import OccDataset

    data = OccDataset(root, format_name, split, infos=infos)
    grid, first = data.grid, data.frame(0)
    source = data.source.relative_to(root) if data.source.is_relative_to(root) else data.source.name
    facts: dict[str, Any] = {
        "frames": len(data),
        "scenes": len({one.scene for one in data.infos}),
        "listed by": str(source),
        "labels": data.format.name if data.labelled else "none",
        "frame of labels": data.format.frame,
        "LiDAR poses": "known" if data.lidar_pose(data.infos[0]) is not None else "unknown: no RayIoU",
    }
    facts |= {"cameras": ", ".join(data.cameras), "images": f"{first.images.shape[2]} x {first.images.shape[3]}"}
    facts |= {"voxels": " x ".join(map(str, grid.shape)), "voxel in m": grid.voxel[0]}
    facts |= {"from": str(grid.lower), "to": str(tuple(round(one, 3) for one in grid.upper))}
    if not data.labelled:
        return [facts]
    counts = np.zeros(256, np.int64)
    for at in range(0, len(data), max(1, len(data) // 50)):
        counts += np.bincount(data.labels(at).semantics.ravel(), minlength=256)
    table = Table(["label", "class", "share of voxels in %"])
    table.rows += [[at, name, 100 * counts[at] / counts.sum()] for at, name in enumerate(data.format.classes)]
    return [facts, table]


@verb(app, uses=("quiet", "force", "out"), out="file")
def render(
    root: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    model: Annotated[str | None, typer.Option("--model", help="Draw this model's prediction ('demo' ships).")] = None,
    frame: Annotated[int, typer.Option("--frame", min=0, help="Number of the frame.")] = 0,
    view: Annotated[str, typer.Option("--view", help="bird or overlay, for PNG.")] = "bird",
    format_name: Format = None,
    split: Split = "val",
    infos: Infos = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Draw one frame's labels, or a prediction, into -o: .png (bird view or camera overlay) or .html (3D viewer)."""
    from ninefold.files import write_text

    from fastocc.cli._model import open_model
    from fastocc.datasets import OccDataset
    from fastocc.evaluation import predict_frame
    from fastocc.pictures import bird_view, overlay_sheet, save_png, viewer_html, with_legend

    out = opts.need_out()
    if out.suffix not in (".png", ".html"):
        raise InputError("--out", got=out.name, expected="a .png or .html file")
    if view not in ("bird", "overlay"):
        raise InputError("--view", got=repr(view), expected="bird or overlay")
    network = open_model(model) if model else None
    if network:
        data = open_data_of(network.config, root, format_name, split, infos, 0, 1)
    else:
        data = OccDataset(root, format_name, split, infos=infos)
        data.need_labels()
    if frame >= len(data):
        raise InputError("--frame", got=frame, expected=f"below {len(data)}")
    one, classes, free = data[frame], data.format.classes, data.format.free
    volumes = {"labels": one.labels.semantics} if one.labels else {}
    if network:
        volumes = {"prediction": predict_frame(network, data, frame), **volumes}
    shown = next(iter(volumes.values()))
    if out.suffix == ".html":
        page = viewer_html(volumes, data.grid, classes, free, f"{one.scene} {one.token}")
        write_text(out, page, force=opts.force, ours="fastocc")
    elif view == "bird":
        picture = bird_view(shown, classes, free, mask=one.labels.mask_camera if one.labels else None)
        save_png(with_legend(picture, shown, classes, free), out, force=opts.force)
    else:
        sheet = overlay_sheet(one.images, shown, data.grid, one.cam2img, one.cam2ego, classes, free, lens=one.lens)
        save_png(with_legend(sheet, shown, classes, free), out, force=opts.force)
    return {"file": out, "frame": one.token, "shows": ", ".join(volumes)}
