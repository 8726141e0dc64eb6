"""`channel apply|modulate|demodulate`, `inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb

from semcom.cli._app import ChannelSpec, Snr, Symbols, app, channel, counts


@verb(channel, uses=("seed", "force", "out"), out="folder", ours="semcom")
def apply(symbols: Symbols, *, channel: ChannelSpec = "awgn", snr: Snr = 6.0, opts: Shared) -> dict[str, Any]:
    """Let a channel act on a folder of symbols, as an antenna would receive them, into the folder -o."""
    import numpy as np

    from semcom import Channel, Recording

    out, over, recording = opts.need_out(), Channel.from_spec(channel), Recording.load(symbols)
    recording.symbols = over.distort(recording.rows(symbols), snr, np.random.default_rng(opts.seed))
    before = recording.about.get("channels")
    acted = {"channel": channel, "snr_db": snr if np.isfinite(snr) else str(snr)}
    recording.about["channels"] = [*(before if isinstance(before, list) else []), acted]
    recording.save(out, force=opts.force)
    return {"symbols": recording.symbols.size, "channel": channel, "SNR, dB": snr, "written": str(out)}


@verb(channel, uses=("force", "out"), out="folder", ours="semcom")
def modulate(
    symbols: Symbols,
    *,
    datatype: Annotated[
        str, typer.Option("--type", help="cf32_le, ci16_le, ci8 or cu8, as SigMF says; _be too.")
    ] = "cf32_le",
    rate: Annotated[float, typer.Option(help="Samples a second.")] = 1e6,
    opts: Shared,
) -> dict[str, Any]:
    """Make a folder of symbols the samples of a radio, four a symbol, into the folder -o (SigMF)."""
    from semcom.links import Recording, save_waveform

    recording = Recording.load(symbols)
    count = save_waveform(recording, opts.need_out(), datatype=datatype, rate=rate, force=opts.force)
    return {"symbols": recording.symbols.size, "samples": count, "seconds": count / rate, "written": str(opts.out)}


@verb(channel, uses=("force", "out"), out="folder", ours="semcom")
def demodulate(
    samples: Annotated[Path, typer.Argument(help="Folder of `channel modulate`, or a file that a receiver recorded.")],
    *,
    like: Annotated[Path | None, typer.Option(help="What was sent, for its header, if SAMPLES has none.")] = None,
    datatype: Annotated[
        str | None, typer.Option("--type", help="As of `channel modulate`.  [default: the file's ending]")
    ] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Find the symbols in recorded samples, wherever they begin, into the folder -o, for `carrier recv`, `mm recv`."""
    import numpy as np

    from semcom.links import load_waveform

    recording = load_waveform(samples, like, datatype)
    recording.save(opts.need_out(), force=opts.force)
    snr = round(-10 * float(np.log10(max(recording.about["waveform noise"], 1e-12))), 2)
    return {"symbols": recording.symbols.size, "SNR, dB": snr, "written": str(opts.out)}


@verb(app, uses=())
def inspect(
    path: Annotated[
        str, typer.Argument(help="A folder of symbols or of a link, a run, a model file, or a built-in name.")
    ],
) -> dict[str, Any]:
    """Show what a model, a link, a run or a folder of symbols holds."""
    from ninefold import artifacts
    from ninefold.files import MANIFEST

    from semcom import Recording
    from semcom.models import described

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
    about = described(path)
    return {**counts(about.pop("config")), **about, "recipe": json.dumps(about["recipe"])}
