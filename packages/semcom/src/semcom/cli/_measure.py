"""`compare carrier`, `bench phy`, `bench speed`, `plot`."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, run_app, verb
from ninefold.demo import demo_verb
from ninefold.errors import ArtifactError, InputError
from ninefold.report import Table

from semcom.cli._app import Model, app, bench, compare, mm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ninefold.run import Run

Channels = Annotated[list[str] | None, typer.Option("--channel", help="Repeat for several.  [default: awgn]")]
SnrRange = Annotated[str, typer.Option("--snr", help="Es/N0 in dB: 1,4,7 or first:last:step.")]


@contextlib.contextmanager
def _kept(out: Path | None, config: dict[str, Any]) -> Iterator[Run | None]:
    """The run folder of -o, or none."""
    from ninefold.run import Run

    if out is None:
        yield None
        return
    with Run(out, config) as run:
        yield run


@verb(compare, uses=("seed", "threads", "quiet", "out"), out="run")
def carrier(
    *,
    data: Annotated[
        str, typer.Option("--data", help="cifar10 or embedded (its own validation: the last third).")
    ] = "cifar10",
    arms: Annotated[str | None, typer.Option(help="Names, separated by commas.  [default: all]")] = None,
    snr: SnrRange = "1,4,7,10",
    channel: Channels = None,
    ratio: Annotated[float, typer.Option(help="Share of masked patches.")] = 0.75,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of bits and noise.")] = 1,
    pictures: Annotated[int, typer.Option(min=1, help="Test pictures.")] = 200,
    model: Model = "mae-32p4",
    coder: Annotated[str, typer.Option(help="adjscc-c8, or a file of `train jscc`.")] = "adjscc-c8",
    opts: Shared,
) -> Table:
    """The carrier link and its rivals on the same pictures, bits and symbols; -o is a run that can be resumed."""
    from semcom.carrier import LinkConfig
    from semcom.datasets import load
    from semcom.evaluation import ARMS, BOUND, compare_arms, compare_table
    from semcom.models import load_jscc, load_mae
    from semcom.phy import parse_range

    known = [*ARMS, BOUND]
    names = known if arms is None else [name.strip() for name in arms.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError("--arms", got=unknown[0], expected=f"some of {', '.join(known)}")
    if data == "embedded":
        whole = load("embedded")
        cut = len(whole) * 2 // 3
        sets = {"test": whole[:cut][:pictures], "validation": whole[cut:]}
    else:
        sets = {"test": load(data, "test", pictures), "validation": load(data, "validation", 60)}
    specs, snrs = channel or ["awgn"], parse_range(snr)
    config = {"verb": "compare carrier", "data": data, "arms": names, "channels": specs, "snrs": snrs, "ratio": ratio,
              "seeds": seeds, "seed": opts.seed, "pictures": len(sets["test"]),
              "model": model, "coder": coder}  # fmt: skip
    with _kept(opts.out, config) as run:
        rows = compare_arms(
            names,
            load_mae(model),
            load_jscc(coder),
            LinkConfig(mask_ratio=ratio),
            sets,
            specs,
            snrs,
            seeds,
            run,
            opts.seed,
        )
    return compare_table(rows)


@verb(bench, uses=("seed", "threads", "quiet", "out"), out="run")
def phy(
    *,
    snr: SnrRange = "0:4:1",
    channel: Channels = None,
    modulations: Annotated[str, typer.Option(help="Names, separated by commas.")] = "qpsk",
    fecs: Annotated[str, typer.Option(help="none or ldpc:RATE, separated by commas.")] = "ldpc:1/2",
    bits: Annotated[int, typer.Option(min=1, help="Information bits of a block, its CRC-16 apart.")] = 155,
    method: Annotated[str, typer.Option(help="min-sum or sum-product.")] = "min-sum",
    blocks: Annotated[int, typer.Option(min=1, help="At most so many blocks a point.")] = 2000,
    errors: Annotated[int, typer.Option(min=1, help="A point ends after so many wrong blocks.")] = 200,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    opts: Shared,
) -> Table:
    """Error rates of coded blocks with Clopper-Pearson intervals; -o is a run that can be resumed."""
    from semcom.phy import Channel, CodedBlock, Point, parse_range, sweep

    specs, snrs = channel or ["awgn"], parse_range(snr)
    names, codes = modulations.split(","), fecs.split(",")
    for spec in specs:
        Channel.from_spec(spec)
    for name in names:
        for code in codes:
            _ = CodedBlock(bits, code, name).symbols
    grid = [(spec, name, code, one) for spec in specs for name in names for code in codes for one in snrs]
    points = [
        Point(spec, one, bits, code, name, method, blocks, errors, opts.seed * 100_003 + place)
        for place, (spec, name, code, one) in enumerate(grid)
    ]
    config = {"verb": "bench phy", "snrs": snrs, "channels": specs, "modulations": names, "fecs": codes, "bits": bits,
              "method": method, "blocks": blocks, "errors": errors, "seed": opts.seed}  # fmt: skip
    with _kept(opts.out, config) as run:
        rows = sweep(points, run, jobs)
    table = Table(["block", "channel", "SNR, dB", "block error rate", "95 % interval", "blocks"])
    for row in rows:
        interval = f"[{row['low']:.2g}, {row['high']:.2g}]"
        name = f"{row['bits']} bits, {row['fec']}, {row['modulation']}"
        table.rows.append([name, row["channel"], row["snr_db"], row["bler"], interval, row["blocks"]])
    silent = sum(row["undetected"] for row in rows)
    table.notes.append(f"Wrong blocks whose check held: {silent}.")
    return table


@verb(bench, uses=("threads",))
def speed(*, opts: Shared) -> Table:  # noqa: ARG001  (its threads are set before)
    """Speed of mask codec, decoder and channel in one process."""
    from ninefold.measure import compare as timed

    from semcom.evaluation import channel_calls, codec_calls, decoder_call

    table = Table(["part", "what", "figure", "unit"])
    for mode in ("enumerative", "blocks:3,4"):
        for what, one in timed(codec_calls(mode)).items():
            table.rows.append([f"mask codec, {mode}, 196 patches", what, 20_000 / one.seconds, "masks a second"])
    call, bits = decoder_call()
    one = timed({"decode": call}, repeats=5)["decode"]
    table.rows.append(["LDPC (171, 342), 3 dB", "min-sum, early stop", bits / one.seconds / 1e6, "Mbit/s of payload"])
    for spec in ("awgn", "rayleigh:block=64", "rayleigh:symbol"):
        both = timed(channel_calls(spec))
        ratio = both["channel and equaliser"].seconds / both["noise draw"].seconds
        table.rows.append([f"channel {spec}", "with equaliser, by noise draw alone", ratio, "times"])
    return table


@verb(app, uses=("force", "out"), out="file", ours="semcom.plot")
def plot(
    run: Annotated[Path, typer.Argument(help="Run folder of `bench phy`, `compare carrier` or a training.")],
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Draw what a run measured, as a PNG at -o."""
    from ninefold.files import atomic_file, mark

    from semcom.evaluation import compare_figure, curves, sweep_figure

    out = opts.need_out()
    file = run / "metrics.jsonl"
    if not file.is_file():
        raise ArtifactError(run, "is no run folder: it has no metrics.jsonl")
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except ValueError:
        raise ArtifactError(file, "is damaged: a line is no JSON") from None
    if not rows:
        raise ArtifactError(run, "has measured nothing yet")
    if "bler" in rows[0]:
        made = sweep_figure(rows)
    elif "arm" in rows[0]:
        made = compare_figure(rows)
    else:
        steps = [row["step"] for row in rows]
        names = [name for name in rows[0] if name != "step"]
        made = curves({name: (steps, [row[name] for row in rows]) for name in names[:2]}, "Steps", "Mean since last")
    with atomic_file(out, force=opts.force, ours="semcom.plot") as temporary:
        made.savefig(temporary, format="png", metadata={"Software": mark("semcom.plot")})
    return {"points": len(rows), "picture": str(out)}


demo_verb(app, "semcom-carrier")
demo_verb(mm, "semcom-mm")
main = run_app(app)
