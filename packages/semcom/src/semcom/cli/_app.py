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
    "semcom",
    "Send pictures over a simulated or recorded radio channel, and compare links at equal symbols. "
    "Start with **semcom demo**.",
)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(name=name, help=text, no_args_is_help=True, rich_markup_mode="markdown")
    app.add_typer(group, name=name)
    return group


carrier = _group("carrier", "Send pictures and a payload; receive them in another process.")
mm = _group("mm", "Send pictures with captions; the receiver draws candidates and keeps the best match.")
channel = _group("channel", "Simulate a channel, or convert symbols to radio samples and back.")
train = _group("train", "Train the small models.")
bench = _group("bench", "Error rates of the physical layer.")

Pictures = Annotated[list[Path], Argument(help="Picture files, or folders of pictures.")]
Symbols = Annotated[Path, Argument(help="Folder of symbols, or a file of a SigMF recording.")]
Snr = Annotated[float, Option(help="Channel SNR (Es/N0) in dB; `inf` means no noise.")]
KnownSnr = Annotated[float | None, Option(help="Channel SNR (Es/N0) in dB; estimated if omitted.")]
SnrRange = Annotated[str, Option(help="Channel SNRs (Es/N0) in dB: a list such as 1,4,7, or first:last:step.")]
ChannelSpec = Annotated[str, Option(help="Channel model, such as awgn, rayleigh:block=64,csi=pilot or ofdm.")]
Settings = Annotated[
    str, Option(rich_help_panel="Advanced", help="Link settings as key=value,...; an unknown key lists all settings.")
]
Jobs = Annotated[int, Option(min=1, help="Number of parallel processes.")]


@dataclass(frozen=True)
class Pilots:
    """Pilots of a recording, for channels that fade."""

    pilots: Annotated[
        int,
        Option(
            min=0, rich_help_panel="Advanced", help="Number of pilot symbols before each block, for fading channels."
        ),
    ] = 0
    pilot_block: Annotated[
        int, Option(min=0, rich_help_panel="Advanced", help="Number of data symbols per block; 0 means one block.")
    ] = 0

    def pattern(self) -> PilotPattern:
        """Where they are."""
        from semcom.phy import PilotPattern

        if self.pilot_block and not self.pilots:
            raise InputError("--pilot-block", got=self.pilot_block, expected="--pilots with it")
        return PilotPattern(self.pilot_block, self.pilots)
