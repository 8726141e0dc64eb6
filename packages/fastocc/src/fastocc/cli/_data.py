"""Verbs on data: simulate, info, rig, render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from fastocc.cli._options import Folder, Listed, Rig, app


@verb(app, uses=("seed", "threads", "quiet", "out"), out="own")
def simulate(
    train: Annotated[int, Option(min=0, help="Number of training scenes.")] = 10,
    val: Annotated[int, Option(min=0, help="Number of validation scenes.")] = 3,
    frames: Annotated[int, Option(min=1, help="Number of frames per scene, half a second apart.")] = 4,
    grid: Annotated[str, Option(help="Voxel grid: mini, micro or occ3d.")] = "mini",
    height: Annotated[int, Option(min=8, help="Height of the images, in pixels.")] = 96,
    width: Annotated[int, Option(min=8, help="Width of the images, in pixels.")] = 256,
    moving: Annotated[
        bool, Option("--moving", help="Let the vehicle move in every scene instead of in half of them.")
    ] = False,
    rig: Rig = None,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Write simulated streets with exact labels to the folder -o, in the layout of Occ3D.

    Rerun the same command to resume after an interruption.

    Example: `fastocc simulate --train 0 --val 1 --frames 1 -o city`
    """
    import time

    from fastocc import SimConfig
    from fastocc import simulate as make
    from fastocc.evaluation._reports import split_facts
    from fastocc.models._opening import open_rig

    out, begin = opts.need_out(), time.perf_counter()
    config = SimConfig(train, val, frames, grid, height, width, opts.seed, moving)
    with progress(train + val, "scenes") as bar:
        make(out, config, open_rig(rig, (height, width)), bar.advance)
    return {**split_facts(out), "folder": out, "seconds": round(time.perf_counter() - begin, 1)}


@verb(app, uses=())
def info(root: Folder, *, listed: Listed) -> list[Any]:
    """Show the frames, cameras, grid and classes of a data set.

    Example: `fastocc info street`
    """
    from fastocc.datasets import OccDataset
    from fastocc.evaluation._reports import describe_data

    return describe_data(OccDataset(root, listed.format_name, listed.split, infos=listed.infos))


@verb(app, "rig", uses=("force", "out"), out="file")
def show_rig(
    rig: Annotated[Path, Argument(help="YAML file of your cameras.")],
    grid: Annotated[str, Option(help="Voxel grid whose coverage is computed: mini, micro or occ3d.")] = "mini",
    *,
    opts: Shared,
) -> Table:
    """Check a rig: where each camera looks and what it sees, as a table and with -o as a drawing (.html).

    Example: `fastocc rig rig.yaml -o rig.html`
    """
    from fastocc.geometry import CameraRig, GridSpec
    from fastocc.pictures import rig_views, write_rig_page

    if opts.out is not None and opts.out.suffix != ".html":
        raise InputError("--out", got=opts.out.name, expected="an .html file")
    cameras, spec = CameraRig.from_yaml(rig), GridSpec.named(grid)
    views, counts = rig_views(cameras, spec)
    table = Table(["camera", "yaw in degrees", "pitch in degrees", "field of view in degrees", "voxels seen in %"])
    for one in views:
        table.rows.append([one.name, *(round(value, 1) for value in (one.yaw, one.pitch, one.width, 100 * one.share))])
    table.notes.append(f"No camera sees {100 * (counts == 0).mean():.1f} % of the columns of the grid {grid}")
    table.notes.append("Yaw is counter-clockwise from ahead (90 is left), pitch is positive upwards")
    if opts.out is not None:
        write_rig_page(opts.out, cameras, spec, table, counts, force=opts.force)
    return table


@verb(app, uses=("quiet", "force", "out"), out="file")
def render(
    root: Folder,
    model: Annotated[
        str | None, Option(help="Model whose prediction is drawn. The labels are drawn by default.")
    ] = None,
    frame: Annotated[int, Option(min=0, help="Index of the frame, from 0.")] = 0,
    view: Annotated[
        str, Option(help="View of a .png file: bird (from above) or overlay (in the camera images).")
    ] = "bird",
    *,
    listed: Listed,
    opts: Shared,
) -> dict[str, Any]:
    """Draw the labels or the prediction of one frame as a picture (.png) or a 3D page (.html).

    Example: `fastocc render street --model run -o street.html`
    """
    from fastocc.datasets import OccDataset
    from fastocc.evaluation import predict_frame
    from fastocc.models._opening import open_data_of, open_model
    from fastocc.pictures._frame import check_picture, draw_frame

    out = opts.need_out()
    check_picture(out, view)
    network = open_model(model) if model else None
    if network:
        data = open_data_of(network.config, root, **vars(listed), scenes=1)
    else:
        data = OccDataset(root, listed.format_name, listed.split, infos=listed.infos)
        data.need_labels()
    if frame >= len(data):
        raise InputError("--frame", got=frame, expected=f"below {len(data)}")
    volumes = {"prediction": predict_frame(network, data, frame)} if network else {}
    return draw_frame(data, frame, out, volumes, view=view, force=opts.force)
