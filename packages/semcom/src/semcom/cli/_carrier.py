"""`carrier send|recv|run`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from semcom.cli._app import (
    ChannelSpec,
    Form,
    PaperLink,
    Pictures,
    Snr,
    Symbols,
    carrier,
    key_of,
    read_payload,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy as np

    from semcom.carrier import BesideLink, Played, PlayedBeside

PayloadFile = Annotated[Path | None, typer.Option("--payload", help="File whose bytes travel with the pictures.")]
Split = Annotated[bool, typer.Option("--split", help="paper: send the pictures again as often as needed.")]
PictureLink = Annotated[
    str | None,
    typer.Option("--picture", help="beside: joint, or chosen (AVIF where better).  [default: joint]"),
]
DesignSnr = Annotated[float | None, typer.Option("--snr", help="beside: Es/N0 that the sender assumes.  [default: 6]")]
KeepBad = Annotated[bool, typer.Option("--keep-bad", help="Write bytes whose check failed, as payload.unchecked.")]


def _read(pictures: list[Path]) -> tuple[list[Path], list[np.ndarray]]:
    from semcom.datasets import find_pictures, read_picture

    paths = find_pictures(pictures)
    return paths, [read_picture(path) for path in paths]


@verb(carrier, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def send(
    pictures: Pictures,
    payload: PayloadFile = None,
    *,
    form: Form = "beside",
    link: PaperLink,
    picture: PictureLink = None,
    snr: DesignSnr = None,
    pilots: Annotated[int, typer.Option(min=0, help="Pilots before each block, for channels that fade.")] = 0,
    pilot_block: Annotated[int, typer.Option(min=0, help="Data symbols of a block; 0 is a whole tile.")] = 0,
    stream: Annotated[int | None, typer.Option(min=0, max=65535, help="paper: number of the stream.")] = None,
    split: Split = False,
    opts: Shared,
) -> dict[str, Any]:
    """Write the symbols of PICTURES and a payload to the folder -o (SigMF, cf32_le)."""
    from semcom import record
    from semcom.carrier import record_beside
    from semcom.phy import PilotPattern

    out = opts.need_out()
    link.check_form(form, stream=stream, split=split)
    data = read_payload(payload)
    _, arrays = _read(pictures)
    pattern = PilotPattern(pilot_block, pilots)
    if form == "beside":
        beside = _beside(link, picture, snr)
        recording = record_beside(beside, arrays, data, pattern)
        recording.save(out, force=opts.force)
        return {
            "pictures": len(arrays), "payload bytes": len(data), "payload sha256": hashlib.sha256(data).hexdigest(),
            **_counts(recording.about["report"]), "written": str(out),
        }  # fmt: skip
    _refuse_beside_options(picture, snr)
    recording, sent = record(link.load(), arrays, data, pattern, stream=stream or 0, split=split)
    recording.save(out, force=opts.force)
    return {
        "pictures": len(arrays), "tiles": len(sent.symbols), "tiles with payload": sent.carrying,
        "payload bytes": len(data), "payload sha256": hashlib.sha256(data).hexdigest(),
        "symbols": recording.symbols.size, "mask symbols a tile": sent.report.mask_symbols,
        "latent symbols a tile": sent.report.latent_symbols, "pilot symbols a tile": sent.report.pilot_symbols,
        "energy a symbol": round(sent.report.energy, 6), "written": str(out),
    }  # fmt: skip


@verb(carrier, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def recv(
    symbols: Symbols,
    *,
    snr: Annotated[float | None, typer.Option("--snr", help="Es/N0 in dB; estimated if left out.")] = None,
    link: PaperLink,
    keep_bad: KeepBad = False,
    opts: Shared,
) -> dict[str, Any]:
    """Receive a folder of symbols: pictures and payload into the folder -o. Status 2 if the payload is not whole."""
    from semcom import Recording, link_of, play
    from semcom.carrier import SYSTEM, beside_link_of, play_beside

    out = opts.need_out()
    recording = Recording.load(symbols)
    if recording.link.get("system") == SYSTEM:
        link.check_form("beside", of_both=())
        beside = beside_link_of(recording, symbols, link.model or "picture-c16")
        got = play_beside(beside, recording, symbols, snr)
        _deliver(got, out, keep_bad=keep_bad, force=opts.force)
        return _said_beside(got, out, must_have=True)
    model, key, settings = link.model or "mae-32p4", key_of(link.key), link.settings()
    played = play(link_of(recording, symbols, model, key, settings, link.max_batch), recording, symbols, snr)
    _deliver(played, out, keep_bad=keep_bad, force=opts.force)
    return _said(played, out, must_have=True)


def _deliver(played: Played | PlayedBeside, out: Path, *, keep_bad: bool, force: bool) -> None:
    """Pictures, payload and checks as a folder, whole or not at all."""
    from ninefold.artifacts import write_folder
    from PIL import Image

    from semcom.carrier import PlayedBeside

    if isinstance(played, PlayedBeside):
        got, name = played, "blocks.jsonl"
        lines = [json.dumps({"block": place, "crc_ok": bool(ok)}) for place, ok in enumerate(played.blocks_ok)]
    else:
        got, name = played.frame, "tiles.jsonl"
        rows = zip(got.sequence.tolist(), got.crc_ok.tolist(), strict=True)
        lines = [json.dumps({"tile": tile, "sequence": s, "crc_ok": ok}) for tile, (s, ok) in enumerate(rows)]
    about = {"kind": "semcom.received", "format_version": 1, "package": "semcom"}
    with write_folder(out, **about, force=force) as folder:
        digits = max(3, len(str(len(played.pictures) - 1)))
        for number, picture in enumerate(played.pictures):
            Image.fromarray(picture).save(folder / f"picture-{number:0{digits}}.png")
        if got.payload is not None:
            (folder / "payload.bin").write_bytes(got.payload)
        elif keep_bad:
            (folder / "payload.unchecked").write_bytes(got.unchecked)
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _beside(link: PaperLink, picture: str | None, snr: float | None) -> BesideLink:
    from semcom.carrier import beside_link

    return beside_link(
        link.model or "picture-c16", picture=picture or "joint", snr_db=6.0 if snr is None else snr,
        fec=link.fec or "ldpc:1/2", modulation=link.modulation or "qpsk",
    )  # fmt: skip


def _refuse_beside_options(picture: str | None, snr: float | None) -> None:
    for name, value in (("--picture", picture), ("--snr", snr)):
        if value is not None:
            raise InputError(name, got="an option of --form beside", expected="it with that form, or left out")


def _counts(report: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " "): value for name, value in report.items() if name != "energy"}


def _said_beside(played: PlayedBeside, out: Path | None, *, must_have: bool) -> dict[str, Any]:
    if played.payload is None and must_have:
        raise InputError("payload", got=played.reason, hint=f"the pictures are in {out}")
    return {
        "pictures": len(played.pictures),
        "payload bytes": None if played.payload is None else len(played.payload),
        "payload sha256": None if played.payload is None else hashlib.sha256(played.payload).hexdigest(),
        "payload": played.reason or "whole", **({"written": str(out)} if out else {}),
    }  # fmt: skip


def _said(played: Played, out: Path | None, *, must_have: bool) -> dict[str, Any]:
    frame = played.frame
    if frame.payload is None and must_have:
        where = f"the pictures are in {out}"
        raise InputError("payload", got=frame.reason, expected="all that carry it", hint=where)
    return {
        "pictures": len(played.pictures), "tiles": len(frame.crc_ok), "tiles whose check held": int(frame.crc_ok.sum()),
        "payload bytes": None if frame.payload is None else len(frame.payload),
        "payload sha256": None if frame.payload is None else hashlib.sha256(frame.payload).hexdigest(),
        "payload": frame.reason or "whole", "missing": frame.missing[:50],
        **({"written": str(out)} if out else {}),
    }  # fmt: skip


@verb(carrier, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def run(
    pictures: Pictures,
    payload: PayloadFile = None,
    *,
    channel: ChannelSpec = "awgn",
    snr: Snr = 6.0,
    form: Form = "beside",
    link: PaperLink,
    split: Split = False,
    picture: PictureLink = None,
    keep_bad: KeepBad = False,
    opts: Shared,
) -> dict[str, Any]:
    """Send, let a channel act, receive: how PICTURES and payload come through; -o keeps what arrives."""
    import numpy as np

    from semcom import Channel, cut_tiles, join_tiles
    from semcom.carrier import Played
    from semcom.evaluation import psnr

    link.check_form(form, split=split)
    over = Channel.from_spec(channel)
    data = read_payload(payload)
    _, arrays = _read(pictures)
    if form == "beside":
        beside = _beside(link, picture, snr)
        symbols = beside.send(arrays, data)
        arrived = over.apply(symbols, snr, np.random.default_rng(opts.seed))
        got = beside.receive(arrived, [one.shape[:2] for one in arrays])
        if opts.out is not None:
            _deliver(got, opts.out, keep_bad=keep_bad, force=opts.force)
        scores = [float(psnr(a[None], b[None])[0]) for a, b in zip(got.pictures, arrays, strict=True)]
        return {
            **_said_beside(got, opts.out, must_have=False), "same payload": got.payload == data,
            "PSNR of a picture, dB": round(float(np.mean(scores)), 2), "symbols": symbols.size + arrived.overhead,
            "payload symbols": beside.payload_symbols(len(data)), "pilot symbols": arrived.overhead,
        }  # fmt: skip
    _refuse_beside_options(picture, None)
    loaded = link.load()
    tiles, sizes = cut_tiles(arrays, loaded.model.image_size)
    sent = loaded.transmit(tiles, data, split=split)
    received = over.apply(sent.symbols, snr, np.random.default_rng(opts.seed))
    frame = loaded.receive(received)
    played = Played(join_tiles(frame.images[: len(tiles)], sizes), frame)
    if opts.out is not None:
        _deliver(played, opts.out, keep_bad=keep_bad, force=opts.force)
    quality = psnr(frame.images[: len(tiles)], tiles)
    return {
        **_said(played, opts.out, must_have=False), "same payload": frame.payload == data,
        "PSNR of a tile, dB": round(float(quality.mean()), 2),
        "symbols a tile": sent.report.symbols + received.overhead, "mask symbols": sent.report.mask_symbols,
        "latent symbols": sent.report.latent_symbols, "pilot symbols": received.overhead,
        "energy a symbol": round(sent.report.energy, 6),
    }  # fmt: skip
