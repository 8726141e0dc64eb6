"""The app, and the options that several verbs take; heavy imports wait until a verb runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ninefold.cli import house_app
from typer import Argument, Option

if TYPE_CHECKING:
    from fastocc.datasets import OccDataset
    from fastocc.models import FastOccConfig

app = house_app("fastocc", "From a vehicle's cameras to semantic voxels. Start with **fastocc demo**.")

_FORMATS = "Labels: sim, occ3d, openocc-v1, openocc-v2, surroundocc, semantickitti; default what is there."
Root = Annotated[Path | None, Option(help="Folder of a data set; simulated into the cache if left out.")]
Format = Annotated[str | None, Option("--format", help=_FORMATS)]
Infos = Annotated[Path | None, Option(help="Info pickle that lists the frames; default what is there.")]
Split = Annotated[str, Option(help="train, val or test.")]
Limit = Annotated[int, Option(min=0, help="Frames to use, evenly chosen; 0 is all.")]
Scenes = Annotated[int, Option(min=1, help="Training scenes to simulate without --root.")]
Rig = Annotated[Path | None, Option(help="YAML of your cameras; six nominal ones if left out.")]
Model = Annotated[str, Argument(help="Folder of a trained model or run, or 'demo' for the weights that ship.")]
Folder = Annotated[Path, Argument(help="Folder of a data set.")]
Heads = Annotated[str, Option(help="Comma-separated; all if left out.")]


@dataclass(frozen=True)
class Listed:
    """How a folder's frames are found."""

    format_name: Format = None
    split: Split = "val"
    infos: Infos = None


@dataclass(frozen=True)
class Frames:
    """The data set for a trained model."""

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
