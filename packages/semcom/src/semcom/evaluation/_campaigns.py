"""Measurements that a killed run goes on with: links on whole pictures, and coded blocks; with table and picture."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from ninefold.errors import InputError
from ninefold.report import Table
from ninefold.run import Run

from semcom.evaluation._figures import sweep_figure, sweep_table
from semcom.evaluation._whole import (
    BaselineTask,
    baseline_csv,
    baseline_figure,
    baseline_table,
    best_rates,
    check_pictures,
    measure_baseline,
)
from semcom.phy import Channel, CodedBlock, Point, sweep


def parse_ratio(text: str) -> float:
    """A bandwidth ratio from `1/12` or `0.0833`; InputError if it is not in (0, 1].

    Examples:
        >>> from semcom.evaluation._campaigns import parse_ratio

        >>> round(parse_ratio("1/12"), 4)
        0.0833
    """
    try:
        value = float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= 1:
        raise InputError("--ratio", got=repr(text), expected="a number in (0, 1] such as 1/12")
    return value


def words_of(text: str) -> list[str]:
    """Names between commas, `jpg` as `jpeg`."""
    return ["jpeg" if word == "jpg" else word for word in map(str.strip, text.split(",")) if word]


def run_baseline(paths: Sequence[Path], task: BaselineTask, out: Path | None = None, jobs: int = 1) -> Table:
    """Measure every link on pictures; into a run folder with scores.csv and psnr.png, if one is given.

    Args:
        paths: picture files. task: links, channel and SNRs. out: the folder. jobs: processes.
    Raises: InputError that names pictures which a link cannot send.
    """
    check_pictures(paths, task)
    about = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(task).items()}
    with _kept(out, {"verb": "baseline", **about, "pictures": [path.name for path in paths]}) as run:
        rows = measure_baseline(paths, task, run, jobs)
        if run is not None:
            (run.path / "scores.csv").write_text(baseline_csv(rows), "utf-8", "backslashreplace")
            with contextlib.suppress(ImportError):  # matplotlib
                baseline_figure(best_rates(rows, task), task).savefig(run.path / "psnr.png")
    return baseline_table(rows, task)


def run_sweep(
    channels: Sequence[str], modulations: Sequence[str], fecs: Sequence[str], snrs: Sequence[float], *, bits: int,
    blocks: int, errors: int, seed: int = 0, out: Path | None = None, jobs: int = 1,
) -> Table:  # fmt: skip
    """Measure error rates of coded blocks on a grid; into a run folder with bler.png, if one is given.

    Args:
        channels: specifications. modulations, fecs: names. snrs: Es/N0 in dB.
        bits: of a block, without its check. blocks: at most, for a point. errors: wrong blocks after which it ends.
        seed: random seed. out: the folder. jobs: processes.
    Raises: InputError for a combination that does not exist.
    """
    grid = list(itertools.product(channels, modulations, fecs, snrs))
    for spec, name, code, _ in grid:
        _ = Channel.from_spec(spec), CodedBlock(bits, code, name).symbols
    points = [
        Point(spec, one, bits, code, name, blocks, errors, seed * 100_003 + place)
        for place, (spec, name, code, one) in enumerate(grid)
    ]
    config = {"verb": "bench phy", "points": [list(point) for point in grid], "bits": bits, "blocks": blocks,
              "errors": errors, "seed": seed}  # fmt: skip
    with _kept(out, config) as run:
        rows = sweep(points, run, jobs)
        if run is not None:
            with contextlib.suppress(ImportError):  # matplotlib
                sweep_figure(rows).savefig(run.path / "bler.png")
    return sweep_table(rows)


def _kept(out: Path | None, config: dict[str, Any]) -> Any:
    """The run folder, or none."""
    return Run(out, config) if out else contextlib.nullcontext()
