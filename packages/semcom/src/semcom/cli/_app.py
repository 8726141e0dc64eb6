"""The app, its groups, and options and steps that several verbs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import house_app
from ninefold.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from semcom.phy import PilotPattern

app = house_app(
    "semcom", "Pictures and bytes over a channel whose every symbol is counted. Start with **semcom demo**."
)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(name=name, help=text, no_args_is_help=True, rich_markup_mode="markdown")
    app.add_typer(group, name=name)
    return group


carrier = _group("carrier", "Send pictures and a payload; receive them in another process.")
mm = _group("mm", "Send pictures with their text; draw candidates at the receiver and keep the one that fits both.")
channel = _group("channel", "Let a channel act on a recording; make it a waveform, and back.")
train = _group("train", "Train the small models.")
bench = _group("bench", "Error rates of the physical layer.")

Pictures = Annotated[list[Path], typer.Argument(help="Picture files or folders.")]
Symbols = Annotated[Path, typer.Argument(help="Folder of symbols, or a file of a SigMF recording.")]
Snr = Annotated[float, typer.Option("--snr", help="Es/N0 in dB; inf is no noise.")]
KnownSnr = Annotated[float | None, typer.Option("--snr", help="Es/N0 in dB; estimated if left out.")]
SnrRange = Annotated[str, typer.Option("--snr", help="Es/N0 in dB: 1,4,7 or first:last:step.")]
ChannelSpec = Annotated[str, typer.Option("--channel", help="E.g. awgn, rayleigh:block=64,csi=pilot, ofdm.")]
Settings = Annotated[str, typer.Option("--link", help="Settings of the link: key=value,...; a wrong key lists them.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes.")]


@dataclass(frozen=True)
class Pilots:
    """Pilots of a recording, for channels that fade."""

    pilots: Annotated[int, typer.Option(min=0, help="Pilots before each block, for channels that fade.")] = 0
    pilot_block: Annotated[int, typer.Option(min=0, help="Data symbols of a block; 0 is a whole row.")] = 0

    def pattern(self) -> PilotPattern:
        """Where they are."""
        from semcom.phy import PilotPattern

        if self.pilot_block and not self.pilots:
            raise InputError("--pilot-block", got=self.pilot_block, expected="--pilots with it")
        return PilotPattern(self.pilot_block, self.pilots)


def read_pictures(paths: list[Path]) -> list[np.ndarray]:
    """Pictures of files and folders."""
    from semcom.datasets import find_pictures, read_picture

    return [read_picture(path) for path in find_pictures(paths)]


def read_payload(path: Path | None) -> bytes:
    """Bytes of a payload file; none if there is no path."""
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError("payload file", where=path, got=error.strerror or "an error") from None


def deliver(out: Path, pictures: Mapping[str, list[np.ndarray]], files: Mapping[str, bytes], *, force: bool) -> None:
    """Pictures by name (each numbered) and files as a folder, whole or not at all."""
    from ninefold.artifacts import write_folder
    from PIL import Image

    with write_folder(out, kind="semcom.received", format_version=1, package="semcom", force=force) as folder:
        for name, arrays in pictures.items():
            digits = max(3, len(str(len(arrays) - 1)))
            for number, array in enumerate(arrays):
                file = folder / f"{name}-{number:0{digits}}.png"
                Image.fromarray(array).save(file, compress_level=1)  # a fifth of the time, some percent more bytes
        for name, data in files.items():
            (folder / name).write_bytes(data)


def counts(report: Mapping[str, Any], unit: str = "") -> dict[str, Any]:
    """A report of symbols as what a verb prints."""
    rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in report.items()}
    return {key.replace("_", " ") + unit: value for key, value in rounded.items()}
