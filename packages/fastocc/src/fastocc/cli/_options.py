"""The app, and the options that several verbs take; heavy imports wait until a verb runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ninefold.cli import house_app
from ninefold.errors import InputError

if TYPE_CHECKING:
    from fastocc.datasets import OccDataset
    from fastocc.geometry import CameraRig
    from fastocc.models import FastOccConfig

app = house_app("fastocc", "From a vehicle's cameras to semantic voxels. Start with **fastocc demo**.")

Root = Annotated[
    Path | None, typer.Option("--root", help="Folder of a data set; simulated into the cache if left out.")
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Labels: sim, occ3d, openocc-v1, openocc-v2, surroundocc, semantickitti; default what is there.",
    ),
]
Infos = Annotated[
    Path | None, typer.Option("--infos", help="Info pickle that lists the frames; default what is there.")
]
Split = Annotated[str, typer.Option("--split", help="train, val or test.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Frames to use, evenly chosen; 0 is all.")]
Scenes = Annotated[int, typer.Option("--scenes", min=1, help="Training scenes to simulate without --root.")]
Rig = Annotated[Path | None, typer.Option("--rig", help="YAML of your cameras; six nominal ones if left out.")]
Model = Annotated[str, typer.Argument(help="Folder of a trained model or run, or 'demo' for the weights that ship.")]


def open_data(
    root: Path | None, format_name: str | None, split: str, infos: Path | None, limit: int, scenes: int, *,
    size: tuple[int, int], grid: str = "mini", cameras: list[str] | None = None, draft: bool = False,
) -> OccDataset:  # fmt: skip
    """The data set that the options name; simulated into the cache without a root."""
    from fastocc.datasets import OccDataset, default_simulation

    if root is None:
        if format_name not in (None, "sim") or infos is not None:
            given = "--infos" if infos is not None else f"the folder of {format_name}"
            raise InputError("--root", expected=f"{given}'s data: only sim can be made here")
        root = default_simulation(scenes, max(1, scenes // 4), grid=grid, size=size)
    elif not root.is_dir():
        raise InputError("--root", got=f"{root}, where no folder is", expected="the folder of a data set")
    return OccDataset(root, format_name, split, infos=infos, size=size, cameras=cameras, limit=limit, draft=draft)


def open_data_of(
    config: FastOccConfig, root: Path | None, format_name: str | None, split: str, infos: Path | None, limit: int,
    scenes: int,
) -> OccDataset:  # fmt: skip
    """The data set for a trained model: in its label format unless the options name another with the same classes."""
    if format_name is None and config.format != "sim":
        format_name = config.format
    data = open_data(root, format_name, split, infos, limit, scenes, size=config.image_size, grid=config.grid)
    if data.grid != config.spec:
        raise InputError("grid", got=f"{config.grid} of the model", expected=f"{data.grid.shape} of {data.root}")
    if data.format.classes != config.labels.classes:
        raise InputError("format", got=data.format.name, expected=f"the classes of {config.format}, as the model has")
    if len(data.cameras) != config.cameras:
        raise InputError("cameras", got=", ".join(data.cameras), expected=f"{config.cameras}, as the model has")
    return data


def open_rig(path: Path | None, size: tuple[int, int]) -> CameraRig:
    """The rig of a YAML file, or the nominal one, for images of `size`."""
    from fastocc.geometry import CameraRig

    rig = CameraRig.from_yaml(path) if path else CameraRig.nominal()
    return rig if all(camera.size == size for camera in rig.cameras) else rig.resized(*size)
