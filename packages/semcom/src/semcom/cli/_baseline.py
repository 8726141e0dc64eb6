"""`baseline`: what a new coder is measured against, on whole pictures of a folder."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from ninefold.report import Table

from semcom.cli._app import ChannelSpec, Pictures, app


def parse_ratio(text: str) -> float:
    """A bandwidth ratio: `1/12` or `0.0833`."""
    try:
        value = float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError):
        raise InputError("--ratio", got=repr(text), expected="a number in (0, 1] such as 1/12") from None
    if not 0 < value <= 1:
        raise InputError("--ratio", got=text, expected="a number in (0, 1] such as 1/12")
    return value


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def baseline(
    pictures: Pictures,
    *,
    codec: Annotated[str, typer.Option("--codec", help="jpeg, jpeg2000, webp, avif, heif, jxl.")] = "jpeg,webp,avif",
    arms: Annotated[str, typer.Option(help="Links beside the codecs.")] = "joint,chosen,softcast,linear",
    ratio: Annotated[str, typer.Option(help="Bandwidth ratio: symbols by 3 * H * W.")] = "1/12",
    snr: Annotated[str, typer.Option("--snr", help="Es/N0 in dB: 1,4,7 or first:last:step.")] = "-2:14:2",
    channel: ChannelSpec = "awgn",
    unknown: Annotated[bool, typer.Option("--unknown", help="The sender does not know the SNR.")] = False,
    assumed: Annotated[float, typer.Option(help="Es/N0 that the joint coder's sender assumes then.")] = 5.0,
    coder: Annotated[str, typer.Option(help="picture-c16, or a file of `train picture`.")] = "picture-c16",
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    opts: Shared,
) -> Table:
    """Codecs with 5G NR LDPC, SoftCast, a linear link and the joint coder on whole PICTURES at the same symbols.

    -o is a run that can be resumed, with scores.csv and the plot psnr.png.
    """
    import contextlib

    from ninefold.run import Run

    from semcom.datasets import find_pictures
    from semcom.evaluation import BaselineTask, baseline_csv, baseline_table, best_rates, measure_baseline
    from semcom.phy import parse_range

    names = [name.strip() for text in (codec, arms) for name in text.split(",") if name.strip()]
    task = BaselineTask(tuple(dict.fromkeys(names)), parse_ratio(ratio), tuple(parse_range(snr)), channel, not unknown,
                        assumed, coder, opts.seed)  # fmt: skip
    paths = find_pictures(pictures)
    config = {"verb": "baseline", **vars(task), "pictures": [path.name for path in paths]}
    config = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
    with Run(opts.out, config) if opts.out else contextlib.nullcontext() as run:
        rows = measure_baseline(paths, task, run, jobs)
        if run is not None:
            (run.path / "scores.csv").write_text(baseline_csv(rows), encoding="utf-8")
            with contextlib.suppress(ImportError):
                from semcom.evaluation import baseline_figure

                baseline_figure(best_rates(rows, task), task).savefig(run.path / "psnr.png")
    return baseline_table(rows, task)
