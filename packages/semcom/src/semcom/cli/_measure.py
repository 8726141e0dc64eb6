"""`baseline`: what a new coder is measured against; `bench phy`: error rates. The app's script, with the demos."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from ninefold.cli import Shared, run_app, verb
from ninefold.demo import demo_verb
from ninefold.errors import InputError, require
from ninefold.report import Table
from typer import Option

from semcom.cli._app import ChannelSpec, Jobs, Pictures, SnrRange, app, bench, mm

_ASSUMED = "SNR in dB that the joint coder assumes with `--unknown`; 5 if omitted."
_CODER = "Joint coder: trained model, DeepJSCC checkpoint, or file.py:Class, which runs that file."
_CODECS = "Image codecs, comma-separated: jpeg, jpeg2000, webp, avif, heif, jxl, best; all usual ones if omitted."
_ARMS = "Other links, comma-separated: joint, chosen, softcast, linear, layered; all that apply if omitted."


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def baseline(
    pictures: Pictures, *,
    codec: Annotated[str, Option(help=_CODECS)] = "", arms: Annotated[str, Option(help=_ARMS)] = "",
    ratio: Annotated[str, Option(help="Bandwidth ratio: complex symbols per source value.")] = "1/12",
    snr: SnrRange = "-2:14:2", channel: ChannelSpec = "awgn",
    unknown: Annotated[bool, Option("--unknown", help="Simulate a sender that does not know the SNR.")] = False,
    assumed: Annotated[float | None, Option(rich_help_panel="Advanced", help=_ASSUMED)] = None,
    coder: Annotated[str, Option(help=_CODER)] = "picture-c16", jobs: Jobs = 1, opts: Shared,
) -> Table:  # fmt: skip
    """Compare codecs with 5G NR LDPC, SoftCast, a linear link and a joint coder on PICTURES at equal symbols.

    With -o the run can be resumed, and writes scores.csv and the plot psnr.png (extra `plots`).

    Example: `semcom baseline pictures --codec jpeg,avif --ratio 1/12 --snr 0:10:5 -o run`
    """
    if opts.out is not None:
        require("matplotlib", "semcom", "plots")  # before the measurement, not after it
    from semcom.datasets import find_pictures
    from semcom.evaluation import BaselineTask
    from semcom.evaluation._campaigns import parse_ratio, run_baseline, words_of
    from semcom.phy import parse_range

    if not codec:
        codec = "jpeg,webp,avif" + (",heif,best" if find_spec("pillow_heif") else "")
    if not arms:
        arms = "joint,chosen,softcast,linear" + (",layered" if unknown else "")
    own = ["coder"] if ".py:" in coder else []
    names = tuple(dict.fromkeys([*own, *words_of(codec), *words_of(arms)]))
    over = (parse_ratio(ratio), tuple(parse_range(snr, "--snr")), channel)
    if assumed is not None and not unknown:
        raise InputError("--assumed", got=assumed, expected="--unknown with it: else the sender knows the SNR")
    task = BaselineTask(names, *over, not unknown, 5.0 if assumed is None else assumed, coder, opts.seed)
    return run_baseline(find_pictures(pictures), task, opts.out, jobs)


@verb(bench, uses=("seed", "threads", "quiet", "out"), out="run")
def phy(
    *, snr: SnrRange = "0:4:1",
    channel: Annotated[list[str], Option(help="Channel model; repeatable.")] = ["awgn"],  # noqa: B006
    modulations: Annotated[str, Option(help="Modulations, comma-separated: bpsk to 256qam.")] = "qpsk",
    fecs: Annotated[str, Option(help="Codes, separated by commas: none or ldpc:RATE.")] = "ldpc:1/2",
    bits: Annotated[int, Option(min=1, help="Information bits per block, without its CRC-16.")] = 155,
    blocks: Annotated[int, Option(min=1, help="Maximum number of blocks per point.")] = 2000,
    errors: Annotated[int, Option(min=1, help="Number of block errors after which a point ends.")] = 200,
    jobs: Jobs = 1, opts: Shared,
) -> Table:  # fmt: skip
    """Measure error rates of coded blocks with Clopper-Pearson intervals.

    With -o the run can be resumed, and writes the plot bler.png (extra `plots`).
    """
    if opts.out is not None:
        require("matplotlib", "semcom", "plots")
    from semcom.evaluation._campaigns import run_sweep, words_of
    from semcom.phy import parse_range

    return run_sweep(
        channel, words_of(modulations), words_of(fecs), parse_range(snr, "--snr"), bits=bits, blocks=blocks,
        errors=errors, seed=opts.seed, out=opts.out, jobs=jobs,
    )  # fmt: skip


demo_verb(app, "semcom-carrier")
demo_verb(mm, "semcom-mm")
main = run_app(app)
