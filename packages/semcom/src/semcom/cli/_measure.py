"""`baseline`: what a new coder is measured against; `bench phy`: error rates. The app's script, with the demos."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, run_app, verb
from ninefold.demo import demo_verb
from ninefold.errors import InputError
from ninefold.report import Table

from semcom.cli._app import ChannelSpec, Jobs, Pictures, SnrRange, app, bench, mm


def parse_ratio(text: str) -> float:
    """A bandwidth ratio: `1/12` or `0.0833`."""
    try:
        value = float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= 1:
        raise InputError("--ratio", got=repr(text), expected="a number in (0, 1] such as 1/12")
    return value


def _words(text: str) -> list[str]:
    return ["jpeg" if word == "jpg" else word for word in map(str.strip, text.split(",")) if word]


def _kept(opts: Shared, config: dict[str, Any]) -> Any:
    """The run folder of -o, or none."""
    from ninefold.run import Run

    return Run(opts.out, config) if opts.out else contextlib.nullcontext()


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def baseline(
    pictures: Pictures,
    *,
    codec: Annotated[str, typer.Option("--codec", help="jpeg, jpeg2000, webp, avif, heif, jxl.")] = "jpeg,webp,avif",
    arms: Annotated[str, typer.Option(help="Links besides the codecs.")] = "joint,chosen,softcast,linear",
    ratio: Annotated[str, typer.Option(help="Bandwidth ratio: symbols by 3 * H * W.")] = "1/12",
    snr: SnrRange = "-2:14:2",
    channel: ChannelSpec = "awgn",
    unknown: Annotated[bool, typer.Option("--unknown", help="The sender does not know the SNR.")] = False,
    assumed: Annotated[
        float | None, typer.Option(help="Es/N0 that the joint coder's sender assumes then.  [default: 5]")
    ] = None,
    coder: Annotated[
        str, typer.Option(help="picture-c16, a file of `train picture` or `train jscc`, a DeepJSCC checkpoint.")
    ] = "picture-c16",
    jobs: Jobs = 1,
    opts: Shared,
) -> Table:
    """Codecs with 5G NR LDPC, SoftCast, a linear link and the joint coder on whole PICTURES at the same symbols.

    -o is a run that can be resumed, with scores.csv and the plot psnr.png.
    """
    from semcom import evaluation
    from semcom.datasets import find_pictures
    from semcom.phy import parse_range

    names = tuple(dict.fromkeys([*_words(codec), *_words(arms)]))
    over = (parse_ratio(ratio), tuple(parse_range(snr)), channel)
    if assumed is not None and not unknown:
        raise InputError("--assumed", got=assumed, expected="--unknown with it: else the sender knows the SNR")
    task = evaluation.BaselineTask(names, *over, not unknown, 5.0 if assumed is None else assumed, coder, opts.seed)
    paths = find_pictures(pictures)
    evaluation.check_pictures(paths, task)
    about = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(task).items()}
    with _kept(opts, {"verb": "baseline", **about, "pictures": [path.name for path in paths]}) as run:
        rows = evaluation.measure_baseline(paths, task, run, jobs)
        if run is not None:
            (run.path / "scores.csv").write_text(evaluation.baseline_csv(rows), "utf-8", "backslashreplace")
            with contextlib.suppress(ImportError):  # matplotlib
                evaluation.baseline_figure(evaluation.best_rates(rows, task), task).savefig(run.path / "psnr.png")
    return evaluation.baseline_table(rows, task)


@verb(bench, uses=("seed", "threads", "quiet", "out"), out="run")
def phy(
    *,
    snr: SnrRange = "0:4:1",
    channel: Annotated[list[str], typer.Option("--channel", help="Repeat for several.")] = ["awgn"],  # noqa: B006
    modulations: Annotated[str, typer.Option(help="Names, separated by commas.")] = "qpsk",
    fecs: Annotated[str, typer.Option(help="none or ldpc:RATE, separated by commas.")] = "ldpc:1/2",
    bits: Annotated[int, typer.Option(min=1, help="Information bits of a block, its CRC-16 apart.")] = 155,
    blocks: Annotated[int, typer.Option(min=1, help="At most so many blocks a point.")] = 2000,
    errors: Annotated[int, typer.Option(min=1, help="A point ends after so many wrong blocks.")] = 200,
    jobs: Jobs = 1,
    opts: Shared,
) -> Table:
    """Error rates of coded blocks with Clopper-Pearson intervals; -o is a run that resumes, with the plot bler.png."""
    import itertools

    from semcom.evaluation import sweep_figure, sweep_table
    from semcom.phy import Channel, CodedBlock, Point, parse_range, sweep

    grid = list(itertools.product(channel, _words(modulations), _words(fecs), parse_range(snr)))
    for spec, name, code, _ in grid:
        _ = Channel.from_spec(spec), CodedBlock(bits, code, name).symbols
    points = [
        Point(spec, one, bits, code, name, blocks, errors, opts.seed * 100_003 + place)
        for place, (spec, name, code, one) in enumerate(grid)
    ]
    config = {"verb": "bench phy", "points": [list(point) for point in grid], "bits": bits, "blocks": blocks,
              "errors": errors, "seed": opts.seed}  # fmt: skip
    with _kept(opts, config) as run:
        rows = sweep(points, run, jobs)
        if run is not None:
            with contextlib.suppress(ImportError):  # matplotlib
                sweep_figure(rows).savefig(run.path / "bler.png")
    return sweep_table(rows)


demo_verb(app, "semcom-carrier")
demo_verb(mm, "semcom-mm")
main = run_app(app)
