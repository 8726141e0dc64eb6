"""The app, its groups, and options that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ninefold.cli import house_app
from ninefold.errors import InputError
from typer import Argument, Option

if TYPE_CHECKING:
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

Pictures = Annotated[list[Path], Argument(help="Picture files or folders.")]
Symbols = Annotated[Path, Argument(help="Folder of symbols, or a file of a SigMF recording.")]
Snr = Annotated[float, Option(help="Es/N0 in dB; inf is no noise.")]
KnownSnr = Annotated[float | None, Option(help="Es/N0 in dB; estimated if left out.")]
SnrRange = Annotated[str, Option(help="Es/N0 in dB: 1,4,7 or first:last:step.")]
ChannelSpec = Annotated[str, Option(help="E.g. awgn, rayleigh:block=64,csi=pilot, ofdm.")]
Settings = Annotated[str, Option(help="Settings of the link: key=value,...; a wrong key lists them.")]
Jobs = Annotated[int, Option(min=1, help="Processes.")]


@dataclass(frozen=True)
class Pilots:
    """Pilots of a recording, for channels that fade."""

    pilots: Annotated[int, Option(min=0, help="Pilots before each block, for channels that fade.")] = 0
    pilot_block: Annotated[int, Option(min=0, help="Data symbols of a block; 0 is a whole row.")] = 0

    def pattern(self) -> PilotPattern:
        """Where they are."""
        from semcom.phy import PilotPattern

        if self.pilot_block and not self.pilots:
            raise InputError("--pilot-block", got=self.pilot_block, expected="--pilots with it")
        return PilotPattern(self.pilot_block, self.pilots)
