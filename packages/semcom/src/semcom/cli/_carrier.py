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

PayloadFile = Annotated[Path | None, Option("--payload", help="File whose bytes travel with the pictures.")]
KeepBad = Annotated[bool, Option("--keep-bad", help="Write bytes whose check failed, as payload.unchecked.")]
Model = Annotated[str | None, Option(help="Of the form: a coder, or a masked autoencoder.")]
Key = Annotated[str | None, Option(help="paper: scrambler key of both sides; `none` switches it off.")]
_FORM = "beside: pictures by the joint coder, the payload with them; paper: in their masks."


@dataclass(frozen=True)
class Link:
    """Options of a link."""

    form: Annotated[str, Option(help=_FORM)] = "beside"
    model: Model = None
    link: Settings = ""
    key: Key = None
    split: Annotated[bool, Option("--split", help="paper: send the pictures again as often as needed.")] = False

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
    """Write the symbols of PICTURES and a payload to the folder -o (SigMF, cf32_le)."""
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
    """Receive a folder of symbols: pictures and payload into the folder -o. Status 2 if the payload is not whole."""
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
    """Send, let a channel act, receive: how PICTURES and payload come through; -o keeps what arrives."""
    from semcom import Channel
    from semcom.datasets._given import read_pictures
    from semcom.evaluation._campaigns import over_channel
    from semcom.links._received import read_payload, save_played

    over, sides = Channel.from_spec(channel), link.sides(snr)
    data, arrays = read_payload(payload), read_pictures(pictures)
    played, facts = over_channel(*sides, arrays, data, over, snr, opts.seed)
    return save_played(played, opts.out, keep_bad=keep_bad, force=opts.force) | facts
