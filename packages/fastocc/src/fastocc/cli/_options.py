"""The app and the options that several verbs share; heavy imports wait until a verb runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ninefold.cli import house_app
from typer import Argument, Option

if TYPE_CHECKING:
    from fastocc.datasets import OccDataset
    from fastocc.models import FastOccConfig

app = house_app("fastocc", "Predict semantic voxels from the cameras of a vehicle. Start with **fastocc demo**.")

_FORMATS = "Label format: sim, occ3d, openocc-v1, openocc-v2, surroundocc or semantickitti. Detected by default."
_ADVANCED = "Advanced"
Root = Annotated[Path | None, Option(help="Folder of the data set. Streets are simulated into the cache by default.")]
Format = Annotated[str | None, Option("--format", help=_FORMATS, rich_help_panel=_ADVANCED)]
Infos = Annotated[
    Path | None, Option(help="Info pickle that lists the frames. Detected by default.", rich_help_panel=_ADVANCED)
]
Split = Annotated[str, Option(help="Split of the data set: train, val or test.")]
Limit = Annotated[int, Option(min=0, help="Number of frames to use, evenly chosen. 0 uses all frames.")]
Scenes = Annotated[
    int, Option(min=1, help="Number of training scenes to simulate without --root.", rich_help_panel=_ADVANCED)
]
Rig = Annotated[Path | None, Option(help="YAML file of your cameras. Six nominal cameras by default.")]
Model = Annotated[str, Argument(help="Folder of a trained model or run, or 'demo' for the shipped weights.")]
Folder = Annotated[Path, Argument(help="Folder of the data set.")]
Heads = Annotated[str, Option(help="Names of the heads, separated by commas. All heads by default.")]


@dataclass(frozen=True)
class Listed:
    """Options that select the frames of a folder."""

    format_name: Format = None
    split: Split = "val"
    infos: Infos = None


@dataclass(frozen=True)
class Frames:
    """Options that select the frames for a trained model."""

    root: Root = None
    format_name: Format = None
    split: Split = "val"
    infos: Infos = None
    limit: Limit = 0
    scenes: Scenes = 100

    def open_for(self, config: FastOccConfig) -> OccDataset:
        """The data set, refused if it does not fit the model."""
        from fastocc.models._opening import open_data_of

        return open_data_of(config, **vars(self))
