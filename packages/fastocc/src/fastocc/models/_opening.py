"""What a user names: a model, what training starts from, the data set that fits a model, a rig of cameras."""

from __future__ import annotations

from pathlib import Path

from ninefold.errors import InputError

from fastocc.datasets import OccDataset, default_simulation
from fastocc.geometry import CameraRig
from fastocc.models._config import FastOccConfig
from fastocc.models._convert import convert_checkpoint
from fastocc.models._model import FastOccModel, shipped_weights


def open_model(path: str | Path) -> FastOccModel:
    """A trained model: its folder, the run folder around it, or "demo" for the weights that ship.

    Raises: ArtifactError if no model is there.

    Examples:
        >>> from fastocc.models._opening import open_model

        >>> open_model("demo").config.head
        'dcn-c2h'
    """
    if path == "demo":
        return FastOccModel.from_pretrained(shipped_weights())
    folder = Path(path)
    return FastOccModel.from_pretrained(folder / "model" if (folder / "model").is_dir() else folder)


def open_start(path: str) -> FastOccModel:
    """What training starts from: a model folder, the weights that ship, or another code base's checkpoint."""
    return convert_checkpoint(path) if Path(path).suffix in (".pth", ".pt", ".ckpt") else open_model(path)


def open_rig(path: Path | None, size: tuple[int, int]) -> CameraRig:
    """The rig of a YAML file, or the nominal one, for images of `size` (rows, columns)."""
    rig = CameraRig.from_yaml(path) if path else CameraRig.nominal()
    return rig if all(camera.size == size for camera in rig.cameras) else rig.resized(*size)


def open_data(
    root: Path | None, format_name: str | None, split: str, infos: Path | None = None, limit: int = 0,
    scenes: int = 100, *, size: tuple[int, int], grid: str = "mini", cameras: list[str] | None = None,
    draft: bool = False,
) -> OccDataset:  # fmt: skip
    """A split of the data set in a folder; without a folder one is simulated into the cache.

    Args:
        root: the folder. format_name: of its labels, None for those that are there. split: train, val or test.
        infos: info pickle that lists the frames. limit: number of frames, evenly chosen; 0 is all.
        scenes: training scenes to simulate, and a quarter as many for validation.
        size: rows and columns of the images. grid: of a simulated set. cameras: their names, None for all.
        draft: see `OccDataset`.
    Raises: InputError if there is no such folder, or if another format than sim would have to be simulated.
    """
    if root is None:
        if format_name not in (None, "sim") or infos is not None:
            given = "--infos" if infos is not None else f"the folder of {format_name}"
            raise InputError("--root", expected=f"{given}'s data: only sim can be made here")
        root = default_simulation(scenes, max(1, scenes // 4), grid=grid, size=size)
    elif not root.is_dir():
        raise InputError("--root", got=f"{root}, where no folder is", expected="the folder of a data set")
    return OccDataset(root, format_name, split, infos=infos, size=size, cameras=cameras, limit=limit, draft=draft)


def open_data_of(
    config: FastOccConfig, root: Path | None, format_name: str | None, split: str, infos: Path | None = None,
    limit: int = 0, scenes: int = 100,
) -> OccDataset:  # fmt: skip
    """The data set for a trained model, as `open_data`; by default in the model's label format.

    Raises: InputError if grid, classes or cameras are not those of the model.
    """
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
