"""`baseline`: what a new coder is measured against; `bench phy`: error rates. The app's script, with the demos."""

from __future__ import annotations

from typing import Annotated

from ninefold.cli import Shared, run_app, verb
from ninefold.demo import demo_verb
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Option

from semcom.cli._app import ChannelSpec, Jobs, Pictures, SnrRange, app, bench, mm

_ASSUMED = "Es/N0 that the joint coder's sender assumes then.  [default: 5]"
_CODER = "picture-c16, a file of `train picture` or `train jscc`, a DeepJSCC checkpoint."


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def baseline(
    pictures: Pictures, *,
    codec: Annotated[str, Option(help="jpeg, jpeg2000, webp, avif, heif, jxl.")] = "jpeg,webp,avif",
    arms: Annotated[str, Option(help="Links besides the codecs.")] = "joint,chosen,softcast,linear",
    ratio: Annotated[str, Option(help="Bandwidth ratio: symbols by 3 * H * W.")] = "1/12",
    snr: SnrRange = "-2:14:2", channel: ChannelSpec = "awgn",
    unknown: Annotated[bool, Option("--unknown", help="The sender does not know the SNR.")] = False,
    assumed: Annotated[float | None, Option(help=_ASSUMED)] = None,
    coder: Annotated[str, Option(help=_CODER)] = "picture-c16", jobs: Jobs = 1, opts: Shared,
) -> Table:  # fmt: skip
    """Codecs with 5G NR LDPC, SoftCast, a linear link and the joint coder on whole PICTURES at the same symbols.

    -o is a run that can be resumed, with scores.csv and the plot psnr.png.
    """
    from semcom.datasets import find_pictures
    from semcom.evaluation import BaselineTask
    from semcom.evaluation._campaigns import parse_ratio, run_baseline, words_of
    from semcom.phy import parse_range

    names = tuple(dict.fromkeys([*words_of(codec), *words_of(arms)]))
    over = (parse_ratio(ratio), tuple(parse_range(snr)), channel)
    if assumed is not None and not unknown:
        raise InputError("--assumed", got=assumed, expected="--unknown with it: else the sender knows the SNR")
    task = BaselineTask(names, *over, not unknown, 5.0 if assumed is None else assumed, coder, opts.seed)
    return run_baseline(find_pictures(pictures), task, opts.out, jobs)


@verb(bench, uses=("seed", "threads", "quiet", "out"), out="run")
def phy(
    *, snr: SnrRange = "0:4:1",
    channel: Annotated[list[str], Option(help="Repeat for several.")] = ["awgn"],  # noqa: B006
    modulations: Annotated[str, Option(help="Names, separated by commas.")] = "qpsk",
    fecs: Annotated[str, Option(help="none or ldpc:RATE, separated by commas.")] = "ldpc:1/2",
    bits: Annotated[int, Option(min=1, help="Information bits of a block, its CRC-16 apart.")] = 155,
    blocks: Annotated[int, Option(min=1, help="At most so many blocks a point.")] = 2000,
    errors: Annotated[int, Option(min=1, help="A point ends after so many wrong blocks.")] = 200,
    jobs: Jobs = 1, opts: Shared,
) -> Table:  # fmt: skip
    """Error rates of coded blocks with Clopper-Pearson intervals; -o is a run that resumes, with the plot bler.png."""
    from semcom.evaluation._campaigns import run_sweep, words_of
    from semcom.phy import parse_range

    return run_sweep(
        channel, words_of(modulations), words_of(fecs), parse_range(snr), bits=bits, blocks=blocks, errors=errors,
        seed=opts.seed, out=opts.out, jobs=jobs,
    )  # fmt: skip


demo_verb(app, "semcom-carrier")
demo_verb(mm, "semcom-mm")
main = run_app(app)
