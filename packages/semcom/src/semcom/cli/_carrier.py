"""`carrier send|recv|run`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from typer import Option

from semcom.cli._app import ChannelSpec, KnownSnr, Pictures, Pilots, Settings, Snr, Symbols, carrier

if TYPE_CHECKING:
    from semcom.links import Played, Recording

PayloadFile = Annotated[Path | None, Option("--payload", help="File to send with the pictures.")]
KeepBad = Annotated[
    bool, Option("--keep-bad", help="Also write a payload whose checksum failed, as payload.unchecked.")
]
Model = Annotated[
    str | None, Option(help="Name or path of the image coder, or of the masked autoencoder with `--form paper`.")
]
Key = Annotated[
    str | None,
    Option(
        rich_help_panel="Advanced", help="Scrambler key shared by both sides, with `--form paper`; `none` disables it."
    ),
]
_FORM = "Transmission form: `beside` sends the payload in blocks next to the pictures, `paper` in their masks."


@dataclass(frozen=True)
class Link:
    """Options of a link."""

    form: Annotated[str, Option(rich_help_panel="Advanced", help=_FORM)] = "beside"
    model: Model = None
    link: Settings = ""
    key: Key = None
    split: Annotated[
        bool,
        Option(
            "--split",
            rich_help_panel="Advanced",
            help="Repeat the pictures until the payload fits, with `--form paper`.",
        ),
    ] = False

    def sides(self, snr: float) -> tuple[Callable[..., Recording], Callable[..., Played]]:
        """(pictures, payload, pilots -> recording) of the sender, and (equalised symbols, sizes -> pictures)."""
        if self.form == "beside":
            from semcom.carrier import BesideConfig, beside_link, record_beside

            for name, value in (("--key", self.key), ("--split", self.split)):
                if value:
                    raise InputError(name, got="an option of --form paper", expected="it left out")
            link = beside_link(self.model or "picture-c16", BesideConfig.from_text(self.link, snr=snr))
            return functools.partial(record_beside, link), link.receive
        if self.form != "paper":
            raise InputError("--form", got=repr(self.form), expected="beside or paper")
        from semcom.paper import CarrierImageLink, LinkConfig, receive_pictures, record

        settings = LinkConfig.parse(self.link)
        paper = CarrierImageLink.from_pretrained(self.model or "mae-32p4", key=key_of(self.key), **settings)
        sender = functools.partial(record, paper, split=self.split)
        return lambda *words: sender(*words)[0], functools.partial(receive_pictures, paper)


def key_of(text: str | None) -> str | None:
    """The scrambler's key of an option."""
    return None if text == "none" else "0" if text is None else text


@verb(carrier, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def send(
    pictures: Pictures, payload: PayloadFile = None, *, link: Link, pilots: Pilots, opts: Shared
) -> dict[str, Any]:
    """Send PICTURES and a payload: write their symbols to a folder (SigMF, cf32_le).

    Example: `semcom carrier send pictures --payload note.txt -o sent`
    """
    from semcom.datasets._given import read_pictures
    from semcom.links._received import payload_facts, read_payload, recording_facts

    out = opts.need_out()
    data, arrays = read_payload(payload), read_pictures(pictures)  # before a model is loaded
    sender, _ = link.sides(6.0)
    recording = sender(arrays, data, pilots.pattern())
    recording.save(out, force=opts.force)
    return {"pictures": len(arrays), **payload_facts(data), **recording_facts(recording), "written": str(out)}


@verb(carrier, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def recv(
    symbols: Symbols, *, model: Model = None, key: Key = None, snr: KnownSnr = None, keep_bad: KeepBad = False,
    opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Receive a folder of symbols: write pictures and payload to a folder. Exit status 2 if the payload is damaged.

    Example: `semcom carrier recv air -o got`
    """
    from semcom import Recording
    from semcom.links._received import save_played

    out = opts.need_out()
    recording = Recording.load(symbols)
    if recording.link.get("system") == "beside":
        from semcom import carrier

        if key is not None:
            raise InputError("--key", got=key, expected="it left out: the recording is not of --form paper")
        link = carrier.beside_link_of(recording, symbols, model or "picture-c16")
        played = carrier.play_beside(link, recording, symbols, snr)
    else:
        from semcom import paper  # with numba: a second and 90 MB

        published = paper.link_of(recording, symbols, model or "mae-32p4", key_of(key))
        played = paper.play(published, recording, symbols, snr)
    said = save_played(played, out, keep_bad=keep_bad, force=opts.force)
    if played.payload is None:
        raise InputError("payload", got=played.reason, hint=f"the pictures are in {out}")
    return said


@verb(carrier, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def run(
    pictures: Pictures, payload: PayloadFile = None, *, channel: ChannelSpec = "awgn", snr: Snr = 6.0, link: Link,
    keep_bad: KeepBad = False, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Send PICTURES and a payload through a simulated channel, receive them, and report quality.

    Example: `semcom carrier run pictures --payload note.txt --channel rayleigh:block=64 --snr 12`
    """
    from semcom import Channel
    from semcom.datasets._given import read_pictures
    from semcom.evaluation._campaigns import over_channel
    from semcom.links._received import read_payload, save_played

    over, sides = Channel.from_spec(channel), link.sides(snr)
    data, arrays = read_payload(payload), read_pictures(pictures)
    played, facts = over_channel(*sides, arrays, data, over, snr, opts.seed)
    return save_played(played, opts.out, keep_bad=keep_bad, force=opts.force) | facts
