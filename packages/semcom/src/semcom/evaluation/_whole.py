"""Whole pictures by every link at the same bandwidth ratio: the baseline that a new coder is measured against."""

from __future__ import annotations

import concurrent.futures
import contextlib
import csv
import io
import multiprocessing
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.run import Run

from semcom.baselines import BlockDct, SoftCast
from semcom.datasets import read_picture
from semcom.evaluation._figures import curves
from semcom.evaluation._metrics import psnr, ssim
from semcom.models import load_picture_coder
from semcom.phy import Channel, Mcs, mcs_table
from semcom.whole import CODECS, PLUGINS, ChosenLink, CodecLink, JointLink, WholeLink, carry_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE_ARMS = ("joint", "chosen", "softcast", "linear", *CODECS, *PLUGINS)
_NAMES = {"joint": "joint coder", "chosen": "chosen for each picture", "softcast": "SoftCast",
          "linear": "linear (block DCT)", "jpeg": "JPEG", "jpeg2000": "JPEG 2000", "webp": "WebP", "avif": "AVIF",
          "heif": "HEIF", "jxl": "JPEG XL"}  # fmt: skip
_ROWS = range(0, 29, 3)  # of the table of rates: what a sender without the SNR may fix


@dataclass(frozen=True)
class BaselineTask:
    """What is measured on each picture.

    Attributes:
        arms: of `WHOLE_ARMS`.
        ratio: bandwidth ratio of all arms.
        snrs: Es/N0 in dB.
        channel: specification of the channel.
        known: whether the sender knows the SNR. If not, or over a channel that fades, codecs send at each of ten fixed
            rates, and the joint coder assumes `assumed_db`.
        assumed_db: see `known`.
        coder: of the arms joint and chosen.
        seed: of the noise.
    """

    arms: tuple[str, ...]
    ratio: float
    snrs: tuple[float, ...]
    channel: str = "awgn"
    known: bool = True
    assumed_db: float = 5.0
    coder: str = "picture-c16"
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [arm for arm in self.arms if arm not in WHOLE_ARMS]
        if unknown or not self.arms:
            got = repr(unknown[0]) if unknown else "none"
            raise InputError("arm", got=got, expected=f"some of {', '.join(WHOLE_ARMS)}")
        Channel.from_spec(self.channel)

    @property
    def fixed_rates(self) -> bool:
        """Whether codecs cannot choose their rate by the SNR."""
        return not self.known or self.channel.partition(":")[0] != "awgn"


def make_whole_link(arm: str, ratio: float, coder: str = "picture-c16", mcs: Mcs | None = None) -> WholeLink:
    """The link of an arm of `WHOLE_ARMS`.

    Args:
        ratio: bandwidth ratio.
        coder: see `load_picture_coder`.
        mcs: fixed modulation and rate of a codec; chosen by the SNR if left out.
    """
    if arm in ("joint", "chosen"):
        joint = JointLink(load_picture_coder(coder), ratio)
        return joint if arm == "joint" else ChosenLink(joint, CodecLink("avif", ratio))
    if arm == "linear":
        return BlockDct(ratio)
    if arm == "softcast":
        return SoftCast(ratio)
    return CodecLink(arm, ratio, mcs)


def measure_picture(path: Path, task: BaselineTask) -> list[dict[str, Any]]:
    """Scores of all arms on one picture: rows with picture, arm, snr_db, rate, psnr, ssim, symbols."""
    picture, channel = read_picture(path), Channel.from_spec(task.channel)
    rows: list[dict[str, Any]] = []
    for arm in task.arms:
        codec = arm in (*CODECS, *PLUGINS)
        tries = [mcs_table()[place] for place in _ROWS] if codec and task.fixed_rates else [None]
        link = make_whole_link(arm, task.ratio, task.coder)
        for mcs in tries:
            if isinstance(link, CodecLink):
                link.mcs = mcs
            for snr in task.snrs:
                rng = np.random.default_rng([task.seed, zlib.crc32(path.name.encode()), round(100 * (snr + 100))])
                assumed = snr if task.known else task.assumed_db
                drawn = carry_picture(link, picture, channel, snr, rng, assumed)
                similar = float(ssim(drawn[None], picture[None])[0]) if min(picture.shape[:2]) >= 11 else None
                rows.append({
                    "picture": path.name, "arm": arm, "snr_db": snr, "rate": mcs.index if mcs else None,
                    "psnr": float(psnr(drawn[None], picture[None])[0]), "ssim": similar,
                    "symbols": link.symbols(*picture.shape[:2]),
                })  # fmt: skip
    return rows


def measure_baseline(
    paths: Sequence[Path], task: BaselineTask, run: Run | None = None, jobs: int = 1
) -> list[dict[str, Any]]:
    """`measure_picture` of each picture, logged as each is finished; what `run` has is not measured again.

    Args:
        paths: picture files of different names.
        jobs: processes.
    """
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError("pictures", got=f"two files named {twice}", expected="different names")
    done = run.metrics() if run is not None else []
    size = len(done) // max(1, _rows_of(task))
    done = done[: size * _rows_of(task)]
    if run is not None:
        run.rewind(len(done))
    with progress(len(paths), "pictures") as bar, _mapped(paths[size:], task, jobs) as results:
        bar.advance(size)
        for rows in results:
            for row in rows:
                if run is not None:
                    run.log(**row)
            done += rows
            bar.advance(note=rows[0]["picture"])
    return done


def _rows_of(task: BaselineTask) -> int:
    fixed = len(_ROWS) if task.fixed_rates else 1
    return len(task.snrs) * sum(fixed if arm in (*CODECS, *PLUGINS) else 1 for arm in task.arms)


@contextlib.contextmanager
def _mapped(paths: Sequence[Path], task: BaselineTask, jobs: int) -> Iterator[Iterator[list[dict[str, Any]]]]:
    tasks = [task] * len(paths)
    if jobs <= 1 or len(paths) <= 1:
        yield map(measure_picture, paths, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            yield pool.map(measure_picture, paths, tasks)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def best_rates(rows: Sequence[Mapping[str, Any]], task: BaselineTask) -> list[Mapping[str, Any]]:
    """Of each arm's fixed rates the one of best mean PSNR: at each SNR if the sender knows it, else over all of them.

    The rate is chosen on the pictures that are measured, which favours the codecs.
    """
    groups: dict[tuple[Any, ...], dict[Any, list[Mapping[str, Any]]]] = {}
    for row in rows:
        key = (row["arm"], row["snr_db"] if task.known else None)
        groups.setdefault(key, {}).setdefault(row["rate"], []).append(row)
    return [
        row for rates in groups.values() for row in max(rates.values(), key=lambda r: np.mean([x["psnr"] for x in r]))
    ]


def baseline_table(rows: Sequence[Mapping[str, Any]], task: BaselineTask) -> Table:
    """Mean PSNR (SSIM) of each arm at each SNR; the best in the mean comes first."""
    kept = best_rates(rows, task)
    arms = sorted(task.arms, key=lambda arm: -np.mean([row["psnr"] for row in kept if row["arm"] == arm]))
    shown = list(task.snrs) if len(task.snrs) <= 5 else [task.snrs[round(at)] for at in np.linspace(
        0, len(task.snrs) - 1, 5)]  # fmt: skip
    table = Table(["link", *(f"{snr:g} dB" for snr in shown)])
    for arm in arms:
        cells = []
        for snr in shown:
            found = [row for row in kept if row["arm"] == arm and row["snr_db"] == snr]
            similar = [row["ssim"] for row in found if row["ssim"] is not None]
            text = f"{np.mean([row['psnr'] for row in found]):.2f}"
            cells.append(text + (f" ({np.mean(similar):.3f})" if similar else ""))
        table.rows.append([arm_name(arm), *cells])
    pictures = len({row["picture"] for row in rows})
    first = {snr: max(arms, key=lambda arm: np.mean([r["psnr"] for r in kept if (r["arm"], r["snr_db"]) == (arm, snr)]))
             for snr in task.snrs}  # fmt: skip
    leads = {arm: [f"{snr:g}" for snr in task.snrs if first[snr] == arm] for arm in arms}
    said = "; ".join(f"{arm_name(arm)} leads at {', '.join(snrs)} dB" for arm, snrs in leads.items() if snrs)
    table.title = said
    table.notes.append(
        f"PSNR in dB (SSIM), means over {pictures} pictures, bandwidth ratio {task.ratio:.4g}, {task.channel}."
    )
    if task.fixed_rates:
        table.notes.append("Codecs: the best of ten fixed rates, chosen on these pictures.")
    return table


def baseline_figure(rows: Sequence[Mapping[str, Any]], task: BaselineTask) -> Figure:
    """Mean PSNR of each arm by SNR, of `best_rates`."""
    lines = {}
    for arm in task.arms:
        means = [
            np.mean([row["psnr"] for row in rows if (row["arm"], row["snr_db"]) == (arm, snr)]) for snr in task.snrs
        ]
        lines[arm_name(arm)] = (list(task.snrs), [float(mean) for mean in means])
    return curves(lines, "Es/N0, dB", "Mean PSNR, dB")


def arm_name(arm: str) -> str:
    """As tables call an arm."""
    return _NAMES[arm] + (" + LDPC" if arm in (*CODECS, *PLUGINS) else "")


def baseline_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """All rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
