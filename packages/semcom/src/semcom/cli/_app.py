"""The app, its groups, and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import house_app
from ninefold.errors import InputError

app = house_app("semcom", "Bytes carried by the mask of a picture, over a real channel. Start with **semcom demo**.")


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(name=name, help=text, no_args_is_help=True, rich_markup_mode="markdown")
    app.add_typer(group, name=name)
    return group


carrier = _group("carrier", "Send pictures whose masks carry a payload; receive them in another process.")
mm = _group("mm", "Send pictures with their text; draw candidates at the receiver and keep the one that fits both.")
channel = _group("channel", "Let a channel act on a file of symbols.")
train = _group("train", "Train the small models.")
compare = _group("compare", "The method and its rivals side by side.")
bench = _group("bench", "Error rates of the physical layer, and speed.")

Model = Annotated[str, typer.Option("--model", help="mae-32p4, a file of `train mae`, or a folder of a ViTMAE.")]
Form = Annotated[
    str, typer.Option("--form", help="beside: pictures by the joint coder, payload beside them; paper: in their masks.")
]
PaperModel = Annotated[str | None, typer.Option("--model", help="Of the form: a coder, or a masked autoencoder.")]
Key = Annotated[str | None, typer.Option("--key", help="paper: scrambler key of both sides; `none` switches it off.")]
Pictures = Annotated[list[Path], typer.Argument(help="Picture files or folders.")]
Symbols = Annotated[Path, typer.Argument(help="Folder of symbols that `carrier send` wrote.")]
Batch = Annotated[int, typer.Option("--max-batch", min=1, help="Pictures that pass the model at once.")]
Snr = Annotated[float, typer.Option("--snr", help="Es/N0 in dB; inf is no noise.")]
ChannelSpec = Annotated[str, typer.Option("--channel", help="E.g. awgn, rayleigh:block=64,csi=pilot, ofdm.")]
Ratio = Annotated[float | None, typer.Option("--ratio", help="Share of masked patches.  [default: 0.75]")]
Mode = Annotated[str | None, typer.Option("--mode", help="enumerative, bitmap or blocks:A,B.  [default: enumerative]")]
Sparse = Annotated[str | None, typer.Option("--sparse", help="Form of the mask: enum, bitmap, implicit, dense.")]
Tap = Annotated[str | None, typer.Option("--tap", help="encoder or decoder_embed.  [default: encoder]")]
Fec = Annotated[str | None, typer.Option("--fec", help="none, or ldpc:RATE.  [default: ldpc:1/2]")]
Modulation = Annotated[str | None, typer.Option("--modulation", help="Of coded blocks.  [default: qpsk]")]
Select = Annotated[int | None, typer.Option("--select", help="Masks that the sender tries; a power of two.")]
LatentBits = Annotated[int | None, typer.Option("--latent-bits", help="Quantise latents; 0 sends them analog.")]
Erasure = Annotated[str | None, typer.Option("--erasure", help="DATA,PARITY: erasure code over pictures.")]


def settings_of(**values: Any) -> dict[str, Any]:
    """Settings of a link that were given, under their names in `LinkConfig`."""
    names = {"ratio": "mask_ratio"}
    return {names.get(name, name): value for name, value in values.items() if value is not None}


def key_of(text: str | None) -> str | None:
    """The scrambler's key of an option."""
    return None if text == "none" else "0" if text is None else text


def check_form(form: str, **paper_only: Any) -> None:
    """Refuse an unknown form, and options that the form does not have."""
    if form not in ("beside", "paper"):
        raise InputError("--form", got=repr(form), expected="beside or paper")
    given = [name for name, value in paper_only.items() if value not in (None, False)]
    if form == "beside" and given:
        name = f"--{given[0].replace('_', '-')}"
        raise InputError(name, got="an option of --form paper", expected="it with that form, or left out")


def read_payload(path: Path | None) -> bytes:
    """Bytes of a payload file; none if there is no path."""
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError("payload file", where=path, got=error.strerror or "an error") from None
