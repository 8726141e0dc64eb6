"""The app, its groups, and options that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import house_app
from ninefold.errors import InputError

if TYPE_CHECKING:
    from semcom.carrier import CarrierImageLink

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
Pictures = Annotated[list[Path], typer.Argument(help="Picture files or folders.")]
Symbols = Annotated[Path, typer.Argument(help="Folder of symbols that `carrier send` wrote.")]
Batch = Annotated[int, typer.Option("--max-batch", min=1, help="Pictures that pass the model at once.")]
Snr = Annotated[float, typer.Option("--snr", help="Es/N0 in dB; inf is no noise.")]
ChannelSpec = Annotated[str, typer.Option("--channel", help="E.g. awgn, rayleigh:block=64,csi=pilot, ofdm.")]


@dataclass(frozen=True)
class PaperLink:
    """Options of a link of form paper, of which form beside has `fec` and `modulation`; None is the link's own."""

    model: Annotated[str | None, typer.Option("--model", help="Of the form: a coder, or a masked autoencoder.")] = None
    key: Annotated[str | None, typer.Option(help="paper: scrambler key of both sides; `none` switches it off.")] = None
    ratio: Annotated[float | None, typer.Option(help="Share of masked patches.  [default: 0.75]")] = None
    mode: Annotated[str | None, typer.Option(help="enumerative, bitmap or blocks:A,B.  [default: enumerative]")] = None
    sparse: Annotated[str | None, typer.Option(help="Form of the mask: enum, bitmap, implicit, dense.")] = None
    tap: Annotated[str | None, typer.Option(help="encoder or decoder_embed.  [default: encoder]")] = None
    fec: Annotated[str | None, typer.Option(help="none, or ldpc:RATE.  [default: ldpc:1/2]")] = None
    modulation: Annotated[str | None, typer.Option(help="Of coded blocks.  [default: qpsk]")] = None
    select: Annotated[int | None, typer.Option(help="Masks that the sender tries; a power of two.")] = None
    erasure: Annotated[str | None, typer.Option(help="DATA,PARITY: erasure code over pictures.")] = None
    latent_bits: Annotated[int | None, typer.Option(help="Quantise latents; 0 sends them analog.")] = None
    max_batch: Annotated[int, typer.Option(min=1, help="Pictures that pass the model at once.")] = 64

    def settings(self) -> dict[str, Any]:
        """Settings that were given, under their names in `LinkConfig`."""
        given = {"mask_ratio": self.ratio, **{name: one for name, one in vars(self).items() if name not in _NO_SETTING}}
        return {name: one for name, one in given.items() if one is not None}

    def check_form(self, form: str, of_both: tuple[str, ...] = ("fec", "modulation"), **paper_only: Any) -> None:
        """Refuse an unknown form, and options that the form does not have."""
        if form not in ("beside", "paper"):
            raise InputError("--form", got=repr(form), expected="beside or paper")
        options = {"key": self.key, **self.settings(), **paper_only}
        given = [name for name, one in options.items() if name not in of_both and one not in (None, False)]
        if form == "beside" and given:
            name = "--" + given[0].replace("mask_ratio", "ratio").replace("_", "-")
            raise InputError(name, got="an option of --form paper", expected="it with that form, or left out")

    def load(self) -> CarrierImageLink:
        """The link of these options."""
        from semcom import CarrierImageLink

        return CarrierImageLink.from_pretrained(
            self.model or "mae-32p4", key=key_of(self.key), max_batch=self.max_batch, **self.settings()
        )


_NO_SETTING = ("model", "key", "ratio", "max_batch")


def key_of(text: str | None) -> str | None:
    """The scrambler's key of an option."""
    return None if text == "none" else "0" if text is None else text


def read_payload(path: Path | None) -> bytes:
    """Bytes of a payload file; none if there is no path."""
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError("payload file", where=path, got=error.strerror or "an error") from None
