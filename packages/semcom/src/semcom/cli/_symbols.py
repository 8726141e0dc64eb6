"""`channel apply`, `capacity`, `inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import ArtifactError, InputError
from ninefold.report import Table

from semcom.cli._app import ChannelSpec, Snr, Symbols, app, channel


@verb(channel, uses=("seed", "force", "out"), out="folder", ours="semcom")
def apply(
    symbols: Symbols,
    *,
    channel: ChannelSpec = "awgn",
    snr: Snr = 6.0,
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
    recording.save(out, force=opts.force)
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
    for kind in ("semcom.mae", "semcom.picture", "semcom.jscc", "semcom.clip", "semcom.diffusion", "semcom.judge"):
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
