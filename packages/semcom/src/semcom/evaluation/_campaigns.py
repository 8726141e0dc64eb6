"""Measurements: one transmission; and resumable runs with table and picture: links on whole
pictures, and coded blocks.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table
from ninefold.run import Run

from semcom.evaluation import _whole
from semcom.evaluation._figures import sweep_figure, sweep_table
from semcom.evaluation._metrics import psnr
from semcom.evaluation._whole import BaselineTask
from semcom.links import Played, Recording
from semcom.links._received import recording_facts
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


def over_channel(
    sender: Callable[..., Recording], receiver: Callable[..., Played], pictures: Sequence[np.ndarray], payload: bytes,
    channel: Channel, snr_db: float, seed: int = 0,
) -> tuple[Played, dict[str, Any]]:  # fmt: skip
    """One whole transmission.

    Args:
        sender: (pictures, payload) -> recording. receiver: (received symbols, sizes) -> what arrives.
        pictures: (H, W, 3) uint8. payload: bytes that travel with them.
        channel: what acts on the symbols. snr_db: Es/N0. seed: of channel and noise.
    Returns: what arrives; whether the payload is the same, mean PSNR, and counts of symbols with the pilots.
    """
    recording = sender(pictures, payload)
    arrived = channel.apply(recording.symbols, snr_db, np.random.default_rng(seed))
    played = receiver(arrived, recording.sizes)
    quality = [float(psnr(a[None], b[None])[0]) for a, b in zip(played.pictures, pictures, strict=True)]
    shown = {"same payload": played.payload == payload, "PSNR, dB": round(float(np.mean(quality)), 2),
             **recording_facts(recording), "pilot symbols": arrived.overhead}  # fmt: skip
    shown["symbols"] += arrived.overhead * len(recording.symbols)
    if "bandwidth ratio" in shown:
        shown["bandwidth ratio"] *= round(shown["symbols"] / recording.symbols.size, 6)
    return played, shown


def run_baseline(paths: Sequence[Path], task: BaselineTask, out: Path | None = None, jobs: int = 1) -> Table:
    """Measure every link on pictures; into a run folder with scores.csv and psnr.png, if one is given.

    Args:
        paths: picture files. task: links, channel and SNRs. out: the folder. jobs: processes.
    Raises: InputError that names pictures which a link cannot send.
    """
    _whole.check_pictures(paths, task)
    about = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(task).items()}
    config = {"verb": "baseline", **about, "pictures": [path.name for path in paths]}
    with Run(out, config) if out else contextlib.nullcontext() as run:
        rows = _whole.measure_baseline(paths, task, run, jobs)
        if run is not None:
            (run.path / "scores.csv").write_text(_whole.baseline_csv(rows), "utf-8", "backslashreplace")
            with contextlib.suppress(ImportError):  # matplotlib
                _whole.baseline_figure(_whole.best_rates(rows, task), task).savefig(run.path / "psnr.png")
    return _whole.baseline_table(rows, task)


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
    with Run(out, config) if out else contextlib.nullcontext() as run:
        rows = sweep(points, run, jobs)
        if run is not None:
            with contextlib.suppress(ImportError):  # matplotlib
                sweep_figure(rows).savefig(run.path / "bler.png")
    return sweep_table(rows)
