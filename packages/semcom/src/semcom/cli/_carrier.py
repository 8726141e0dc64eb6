"""`carrier send|recv|run`, `channel apply`, `capacity`, `inspect`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import ArtifactError, InputError
from ninefold.report import Table

from semcom.cli._app import (
    Batch,
    ChannelSpec,
    Erasure,
    Fec,
    Force,
    Key,
    LatentBits,
    Mode,
    Model,
    Modulation,
    Pictures,
    Ratio,
    Select,
    Snr,
    Sparse,
    Tap,
    app,
    carrier,
    channel,
    key_of,
    read_payload,
    settings_of,
)

if TYPE_CHECKING:
    import numpy as np

    from semcom.carrier import Played

PayloadFile = Annotated[Path | None, typer.Option("--payload", help="File whose bytes the masks carry.")]
Split = Annotated[bool, typer.Option("--split", help="Send the pictures again as often as the payload needs.")]
Symbols = Annotated[Path, typer.Argument(help="Folder of symbols that `carrier send` wrote.")]
KeepBad = Annotated[bool, typer.Option("--keep-bad", help="Write bytes whose check failed, as payload.unchecked.")]


def _read(pictures: list[Path]) -> tuple[list[Path], list[np.ndarray]]:
    from semcom.datasets import find_pictures, read_picture

    paths = find_pictures(pictures)
    return paths, [read_picture(path) for path in paths]


@verb(carrier, uses=("threads", "quiet", "out"), out="folder", ours="semcom")
def send(
    pictures: Pictures,
    payload: PayloadFile = None,
    *,
    model: Model = "mae-32p4",
    key: Key = "0",
    ratio: Ratio = None,
    mode: Mode = None,
    sparse: Sparse = None,
    tap: Tap = None,
    fec: Fec = None,
    modulation: Modulation = None,
    select: Select = None,
    erasure: Erasure = None,
    latent_bits: LatentBits = None,
    pilots: Annotated[int, typer.Option(min=0, help="Pilots before each block, for channels that fade.")] = 0,
    pilot_block: Annotated[int, typer.Option(min=0, help="Data symbols of a block; 0 is a whole tile.")] = 0,
    stream: Annotated[int, typer.Option(min=0, max=65535, help="Number of the stream.")] = 0,
    split: Split = False,
    max_batch: Batch = 64,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Write the symbols of PICTURES and a payload to the folder -o (SigMF, cf32_le)."""
    from semcom import CarrierImageLink, record
    from semcom.phy import PilotPattern

    out = opts.need_out()
    settings = settings_of(
        ratio=ratio,
        mode=mode,
        sparse=sparse,
        tap=tap,
        fec=fec,
        modulation=modulation,
        select=select,
        erasure=erasure,
        latent_bits=latent_bits,
    )
    data = read_payload(payload)
    _, arrays = _read(pictures)
    link = CarrierImageLink.from_pretrained(model, key=key_of(key), max_batch=max_batch, **settings)
    recording, sent = record(link, arrays, data, PilotPattern(pilot_block, pilots), stream=stream, split=split)
    recording.save(out, force=force)
    return {
        "pictures": len(arrays), "tiles": len(sent.symbols), "tiles with payload": sent.carrying,
        "payload bytes": len(data), "payload sha256": hashlib.sha256(data).hexdigest(),
        "symbols": recording.symbols.size, "mask symbols a tile": sent.report.mask_symbols,
        "latent symbols a tile": sent.report.latent_symbols, "pilot symbols a tile": sent.report.pilot_symbols,
        "energy a symbol": round(sent.report.energy, 6), "written": str(out),
    }  # fmt: skip


@verb(carrier, uses=("threads", "quiet", "out"), out="folder", ours="semcom")
def recv(
    symbols: Symbols,
    *,
    model: Model = "mae-32p4",
    key: Key = "0",
    snr: Annotated[float | None, typer.Option("--snr", help="Es/N0 in dB; estimated if left out.")] = None,
    ratio: Ratio = None,
    mode: Mode = None,
    sparse: Sparse = None,
    tap: Tap = None,
    fec: Fec = None,
    modulation: Modulation = None,
    select: Select = None,
    erasure: Erasure = None,
    latent_bits: LatentBits = None,
    keep_bad: KeepBad = False,
    max_batch: Batch = 64,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Receive a folder of symbols: pictures and payload into the folder -o. Status 2 if the payload is not whole."""
    from semcom import Recording, link_of, play

    out = opts.need_out()
    settings = settings_of(
        ratio=ratio,
        mode=mode,
        sparse=sparse,
        tap=tap,
        fec=fec,
        modulation=modulation,
        select=select,
        erasure=erasure,
        latent_bits=latent_bits,
    )
    recording = Recording.load(symbols)
    link = link_of(recording, symbols, model, key_of(key), settings, max_batch)
    played = play(link, recording, symbols, snr)
    _deliver(played, out, keep_bad=keep_bad, force=force)
    return _said(played, out, must_have=True)


def _deliver(played: Played, out: Path, *, keep_bad: bool, force: bool) -> None:
    """Pictures, payload and checks as a folder, whole or not at all."""
    from ninefold.artifacts import write_folder
    from PIL import Image

    frame = played.frame
    about = {"kind": "semcom.received", "format_version": 1, "package": "semcom"}
    with write_folder(out, **about, force=force) as folder:
        digits = max(3, len(str(len(played.pictures) - 1)))
        for number, picture in enumerate(played.pictures):
            Image.fromarray(picture).save(folder / f"picture-{number:0{digits}}.png")
        if frame.payload is not None:
            (folder / "payload.bin").write_bytes(frame.payload)
        elif keep_bad:
            (folder / "payload.unchecked").write_bytes(frame.unchecked)
        rows = zip(frame.sequence.tolist(), frame.crc_ok.tolist(), strict=True)
        lines = [json.dumps({"tile": tile, "sequence": s, "crc_ok": ok}) for tile, (s, ok) in enumerate(rows)]
        (folder / "tiles.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


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


@verb(carrier, uses=("seed", "threads", "quiet", "out"), out="folder", ours="semcom")
def run(
    pictures: Pictures,
    payload: PayloadFile = None,
    *,
    channel: ChannelSpec = "awgn",
    snr: Snr = 6.0,
    model: Model = "mae-32p4",
    key: Key = "0",
    ratio: Ratio = None,
    mode: Mode = None,
    sparse: Sparse = None,
    tap: Tap = None,
    fec: Fec = None,
    modulation: Modulation = None,
    select: Select = None,
    erasure: Erasure = None,
    latent_bits: LatentBits = None,
    split: Split = False,
    keep_bad: KeepBad = False,
    max_batch: Batch = 64,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Send, let a channel act, receive: how PICTURES and payload come through; -o keeps what arrives."""
    import numpy as np

    from semcom import CarrierImageLink, Channel, cut_tiles, join_tiles
    from semcom.carrier import Played
    from semcom.evaluation import psnr

    settings = settings_of(
        ratio=ratio,
        mode=mode,
        sparse=sparse,
        tap=tap,
        fec=fec,
        modulation=modulation,
        select=select,
        erasure=erasure,
        latent_bits=latent_bits,
    )
    over = Channel.from_spec(channel)
    data = read_payload(payload)
    _, arrays = _read(pictures)
    link = CarrierImageLink.from_pretrained(model, key=key_of(key), max_batch=max_batch, **settings)
    tiles, sizes = cut_tiles(arrays, link.model.image_size)
    sent = link.transmit(tiles, data, split=split)
    received = over.apply(sent.symbols, snr, np.random.default_rng(opts.seed))
    frame = link.receive(received)
    played = Played(join_tiles(frame.images[: len(tiles)], sizes), frame)
    if opts.out is not None:
        _deliver(played, opts.out, keep_bad=keep_bad, force=force)
    quality = psnr(frame.images[: len(tiles)], tiles)
    return {
        **_said(played, opts.out, must_have=False), "same payload": frame.payload == data,
        "PSNR of a tile, dB": round(float(quality.mean()), 2),
        "symbols a tile": sent.report.symbols + received.overhead, "mask symbols": sent.report.mask_symbols,
        "latent symbols": sent.report.latent_symbols, "pilot symbols": received.overhead,
        "energy a symbol": round(sent.report.energy, 6),
    }  # fmt: skip


@verb(channel, uses=("seed", "out"), out="folder", ours="semcom")
def apply(
    symbols: Symbols,
    *,
    channel: ChannelSpec = "awgn",
    snr: Snr = 6.0,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Let a channel act on a folder of symbols, as an antenna would receive them, into the folder -o."""
    import numpy as np

    from semcom import Channel, Recording

    out = opts.need_out()
    over = Channel.from_spec(channel)
    recording = Recording.load(symbols)
    rng = np.random.default_rng(opts.seed)
    recording.symbols = over.distort(recording.rows(symbols), snr, rng)
    before = recording.about.get("channels")
    before = before if isinstance(before, list) else []
    recording.about["channels"] = [*before, {"channel": channel, "snr_db": snr if np.isfinite(snr) else str(snr)}]
    recording.save(out, force=force)
    return {"symbols": recording.symbols.size, "channel": channel, "SNR, dB": snr, "written": str(out)}


@verb(app, uses=())
def capacity(
    *,
    image: Annotated[int, typer.Option(min=2, help="Height and width of a picture in pixels.")] = 32,
    patch: Annotated[int, typer.Option(min=1, help="Height and width of a patch.")] = 4,
    mode: Annotated[str, typer.Option(help="enumerative, bitmap or blocks:A,B.")] = "enumerative",
    ratios: Annotated[str, typer.Option(help="Mask ratios.")] = "0.5,0.6,0.75,0.8,0.9",
    fec: Annotated[str, typer.Option(help="Of the coded block.")] = "ldpc:1/2",
    modulation: Annotated[str, typer.Option(help="Of the coded block.")] = "qpsk",
) -> Table:
    """How many payload bits a picture's mask carries, and how many symbols that takes."""
    from semcom import CodedBlock, MaskCodec
    from semcom.phy import parse_range

    if image % patch:
        raise InputError("--patch", got=patch, expected=f"a divisor of {image}")
    table = Table(["mask ratio", "kept patches", "payload bits", "mask symbols"])
    count = (image // patch) ** 2
    table.title = f"{count} patches of a {image} x {image} picture, {mode}"
    for ratio in parse_range(ratios):
        codec = MaskCodec(count, ratio, mode)
        block = CodedBlock(codec.capacity_bits + 16, fec, modulation)
        table.rows.append([ratio, codec.kept, codec.capacity_bits, block.symbols])
    table.notes.append(f"Mask symbols: payload, 16-bit sequence number and CRC-16, {fec}, {modulation}.")
    return table


@verb(app, uses=())
def inspect(
    path: Annotated[
        str, typer.Argument(help="A folder of symbols or of a link, a run, a model file, or a built-in name.")
    ],
) -> dict[str, Any]:
    """Show what a model, a link, a run or a folder of symbols holds."""
    from ninefold import artifacts
    from ninefold.files import MANIFEST

    from semcom.carrier import Recording
    from semcom.models import BUILT_IN, built_in_path

    folder = Path(path)
    if any(folder.glob("*.sigmf-meta")) if folder.is_dir() else folder.name.endswith((".sigmf-meta", ".sigmf-data")):
        kept = Recording.load(folder)
        about = {key: value for key, value in kept.about.items() if key != "report"}
        return {"kind": "symbols", "pictures": len(kept.sizes), "model": kept.model, "symbols": kept.symbols.size,
                "pilots a block": kept.pilots.count, **kept.link, **about, **kept.about.get("report", {})}  # fmt: skip
    if (folder / MANIFEST).is_file():
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        held = artifacts.FolderArtifact(folder, kind=str(manifest.get("kind")), format_version=1)
        held.verify()
        return {"kind": held.about["kind"], "files": ", ".join(held.names), **held.meta.get("link", {})}
    if (folder / "metrics.jsonl").is_file():
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return {"kind": "run", "lines": len(lines), **(json.loads(lines[-1]) if lines else {})}
    file = built_in_path(path) if path in BUILT_IN else folder
    for kind in ("semcom.mae", "semcom.jscc", "semcom.clip", "semcom.diffusion", "semcom.judge"):
        try:
            held_file = artifacts.Artifact(file, kind=kind, format_version=1)
        except ArtifactError as error:
            if "not a semcom." not in str(error):
                raise
            continue
        held_file.verify()
        size = sum(held_file.bytes_of(name).size for name in held_file.names)
        return {**held_file.meta["config"], "kind": kind, "bytes": size, "tensors": len(held_file.names),
                "recipe": json.dumps(held_file.meta["recipe"])}  # fmt: skip
    raise InputError("path", got=path, expected="a model, a link, a run or symbols of semcom")
