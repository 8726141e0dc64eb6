"""`channel apply|modulate|demodulate`, `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb
from typer import Argument, Option

from semcom.cli._app import ChannelSpec, Snr, Symbols, app, channel

_SENT = "SigMF sample type to write: cf32_le, ci16_le, ci8, cu8, or with _be."
_TYPE = "SigMF sample type of the file; derived from its ending if omitted."


@verb(channel, uses=("seed", "force", "out"), out="folder", ours="semcom")
def apply(symbols: Symbols, *, channel: ChannelSpec = "awgn", snr: Snr = 6.0, opts: Shared) -> dict[str, Any]:
    """Apply a simulated channel to a folder of symbols.

    Example: `semcom channel apply sent --channel awgn --snr 6 -o air`
    """
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
    symbols: Symbols, *, datatype: Annotated[str, Option("--type", help=_SENT)] = "cf32_le",
    rate: Annotated[float, Option(help="Sample rate in samples per second.")] = 1e6, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Convert a folder of symbols to radio samples, four per symbol (SigMF).

    Example: `semcom channel modulate sent --type ci16_le --rate 1e6 -o wave`
    """
    from semcom.links import Recording, save_waveform

    recording = Recording.load(symbols)
    count = save_waveform(recording, opts.need_out(), datatype=datatype, rate=rate, force=opts.force)
    return {"symbols": recording.symbols.size, "samples": count, "seconds": count / rate, "written": str(opts.out)}


@verb(channel, uses=("force", "out"), out="folder", ours="semcom")
def demodulate(
    samples: Annotated[Path, Argument(help="Folder of `channel modulate`, or a receiver's recording.")], *,
    like: Annotated[Path | None, Option(help="Folder that was sent, whose header describes SAMPLES.")] = None,
    datatype: Annotated[str | None, Option("--type", help=_TYPE)] = None, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Find the symbols in recorded samples; correct carrier, DC offset and echoes, and report them.

    Example: `semcom channel demodulate wave/symbols.sigmf-data --like sent --type ci16_le -o heard`
    """
    from semcom.links import load_waveform

    out, recording = opts.need_out(), load_waveform(samples, like, datatype)
    recording.save(out, force=opts.force)
    heard = recording.about["receiver"]
    for one in heard["warnings"]:
        typer.echo(f"warning: {one}", err=True)
    return {
        "symbols": recording.symbols.size, "SNR, dB": heard["snr_db"], "carrier offset, Hz": heard["offset_hz"],
        "carrier drift, Hz": heard["drift_hz"], "DC offset by RMS": heard["dc"], "strongest echo, dB": heard["echo_db"],
        "corrected": ", ".join(heard["corrected"]), "written": str(out),
    }  # fmt: skip


@verb(app, uses=())
def inspect(
    path: Annotated[str, Argument(help="Folder of symbols or of a link, run, model file, or built-in name.")],
) -> dict[str, Any]:
    """Show the contents of a model, a link, a run or a folder of symbols.

    Example: `semcom inspect sent`
    """
    from semcom.models._held import held_in

    return held_in(path)
