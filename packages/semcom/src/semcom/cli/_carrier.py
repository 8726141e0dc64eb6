"""`carrier send|recv|run`."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from semcom.cli._app import (
    ChannelSpec,
    KnownSnr,
    Pictures,
    Pilots,
    Settings,
    Snr,
    Symbols,
    carrier,
    counts,
    deliver,
    read_payload,
    read_pictures,
)

if TYPE_CHECKING:
    from semcom.links import Played, Recording

PayloadFile = Annotated[Path | None, typer.Option("--payload", help="File whose bytes travel with the pictures.")]
KeepBad = Annotated[bool, typer.Option("--keep-bad", help="Write bytes whose check failed, as payload.unchecked.")]
Model = Annotated[str | None, typer.Option("--model", help="Of the form: a coder, or a masked autoencoder.")]
Key = Annotated[str | None, typer.Option("--key", help="paper: scrambler key of both sides; `none` switches it off.")]


@dataclass(frozen=True)
class Link:
    """Options of a link."""

    form: Annotated[
        str, typer.Option(help="beside: pictures by the joint coder, the payload with them; paper: in their masks.")
    ] = "beside"
    model: Model = None
    link: Settings = ""
    key: Key = None
    split: Annotated[bool, typer.Option("--split", help="paper: send the pictures again as often as needed.")] = False

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
    out = opts.need_out()
    data, arrays = read_payload(payload), read_pictures(pictures)  # before a model is loaded
    sender, _ = link.sides(6.0)
    recording = sender(arrays, data, pilots.pattern())
    recording.save(out, force=opts.force)
    return {"pictures": len(arrays), **_of_payload(data), **_counts(recording), "written": str(out)}


@verb(carrier, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def recv(
    symbols: Symbols,
    *,
    model: Model = None,
    key: Key = None,
    snr: KnownSnr = None,
    keep_bad: KeepBad = False,
    opts: Shared,
) -> dict[str, Any]:
    """Receive a folder of symbols: pictures and payload into the folder -o. Status 2 if the payload is not whole."""
    from semcom import Recording

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
    said = _delivered(played, out, keep_bad=keep_bad, force=opts.force)
    if played.payload is None:
        raise InputError("payload", got=played.reason, hint=f"the pictures are in {out}")
    return said


@verb(carrier, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def run(
    pictures: Pictures,
    payload: PayloadFile = None,
    *,
    channel: ChannelSpec = "awgn",
    snr: Snr = 6.0,
    link: Link,
    keep_bad: KeepBad = False,
    opts: Shared,
) -> dict[str, Any]:
    """Send, let a channel act, receive: how PICTURES and payload come through; -o keeps what arrives."""
    import numpy as np

    from semcom import Channel
    from semcom.evaluation import psnr

    over, (sender, receiver) = Channel.from_spec(channel), link.sides(snr)
    data, arrays = read_payload(payload), read_pictures(pictures)
    recording = sender(arrays, data)
    arrived = over.apply(recording.symbols, snr, np.random.default_rng(opts.seed))
    played = receiver(arrived, recording.sizes)
    quality = [float(psnr(a[None], b[None])[0]) for a, b in zip(played.pictures, arrays, strict=True)]
    said = _delivered(played, opts.out, keep_bad=keep_bad, force=opts.force)
    shown = _counts(recording) | {"pilot symbols": arrived.overhead}
    shown["symbols"] += arrived.overhead * len(recording.symbols)
    if "bandwidth ratio" in shown:
        shown["bandwidth ratio"] *= round(shown["symbols"] / recording.symbols.size, 6)
    return said | {"same payload": played.payload == data, "PSNR, dB": round(float(np.mean(quality)), 2), **shown}


def _counts(recording: Recording) -> dict[str, Any]:
    """All symbols; those by purpose are of a tile in the published form."""
    return counts(recording.about["report"]) | {"tiles": len(recording.symbols), "symbols": recording.symbols.size}


def _of_payload(data: bytes | None) -> dict[str, Any]:
    length, digest = (None, None) if data is None else (len(data), hashlib.sha256(data).hexdigest())
    return {"payload bytes": length, "payload sha256": digest}


def _delivered(played: Played, out: Path | None, *, keep_bad: bool, force: bool) -> dict[str, Any]:
    """Pictures, payload and checks as a folder, if there is a path, and what is said of them."""
    if out is not None:
        lines = [json.dumps({"part": part, "crc_ok": bool(ok)}) + "\n" for part, ok in enumerate(played.checks)]
        files = {"checks.jsonl": "".join(lines).encode()}
        if played.payload is not None:
            files["payload.bin"] = played.payload
        elif keep_bad:
            files["payload.unchecked"] = played.unchecked
        deliver(out, {"picture": played.pictures}, files, force=force)
    return {
        "pictures": len(played.pictures), **_of_payload(played.payload), "payload": played.reason or "whole",
        "parts": len(played.checks), "parts whose check held": int(played.checks.sum()),
        **({"written": str(out)} if out else {}),
    }  # fmt: skip
