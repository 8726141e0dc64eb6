"""Whole pictures by every link at the same bandwidth ratio: the baseline that a new coder is measured against."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import itertools
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table
from ninefold.run import Run

from semcom.baselines import BlockDct, SoftCast
from semcom.datasets import read_picture
from semcom.evaluation._figures import curves
from semcom.evaluation._metrics import psnr, ssim
from semcom.models import JsccCoder, load_coder
from semcom.phy import Channel, Mcs, mcs_table, resumed
from semcom.whole import (
    CODECS,
    PLUGINS,
    ChosenLink,
    CodecLink,
    CoderLink,
    JointLink,
    LayerDesign,
    LayeredLink,
    UserLink,
    WholeLink,
    carry_picture,
    load_user_coder,
    symbols_of_ratio,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SEPARATE = (*CODECS, *PLUGINS, "best")
WHOLE_ARMS = ("coder", "joint", "chosen", "softcast", "linear", "layered", *_SEPARATE)
_NAMES = {"coder": "your coder", "joint": "joint coder", "chosen": "chosen for each picture", "softcast": "SoftCast",
          "linear": "linear (block DCT)", "jpeg": "JPEG", "jpeg2000": "JPEG 2000", "webp": "WebP", "avif": "AVIF",
          "heif": "HEIF", "jxl": "JPEG XL", "best": "AVIF or HEIF",
          "layered": "JPEG 2000 in two layers"}  # fmt: skip
_POWERS = (0.6, 0.7, 0.8, 0.9)  # shares of the base layer that are tried


@dataclass(frozen=True)
class BaselineTask:
    """What is measured on each picture.

    Attributes:
        arms: of `WHOLE_ARMS`.
        ratio: bandwidth ratio of all arms.
        snrs: Es/N0 in dB.
        channel: specification of the channel.
        known: whether the sender knows the SNR. If not, or over a channel that fades, codecs send at each rate of the
            table, two layers at each pair of the SNRs, and the joint coder assumes `assumed_db`.
        assumed_db: see `known`.
        coder: of the arms joint and chosen, see `load_coder`; or `file.py:Class` of the arm coder.
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
            raise InputError("link or codec", got=got, expected=f"some of {', '.join(WHOLE_ARMS)}")
        Channel.from_spec(self.channel)

    @property
    def fixed_rates(self) -> bool:
        """Whether codecs cannot choose their rate by the SNR."""
        return not self.known or self.channel.partition(":")[0] != "awgn"

    def tries(self, arm: str) -> list[Mcs | LayerDesign | None]:
        """Fixed rates of which the best counts for this arm; [None] where it has none, or the SNR chooses."""
        if arm == "layered":
            low, high = min(self.snrs), max(self.snrs)
            if self.channel.partition(":")[0] != "awgn":  # it fades about the mean
                low, high = low - 15, high + 5
            steps = sorted({*np.arange(low, high + 0.1, 2.5), *(self.snrs if high - low < 15 else ())})
            pairs = list(itertools.combinations(map(float, steps), 2)) or [(low, low + 5)]
            return [LayerDesign(*pair, power) for pair in pairs for power in _POWERS]
        if arm not in _SEPARATE or not self.fixed_rates:
            return [None]
        above = 1 if self.channel.partition(":")[0] == "awgn" else 8  # dB that a fade may be above the mean
        return [row for row in mcs_table() if row.snr_db <= max(self.snrs) + above] or [mcs_table()[0]]


def make_whole_link(arm: str, ratio: float, coder: str = "picture-c16", mcs: Mcs | None = None) -> WholeLink:
    """The link of an arm of `WHOLE_ARMS`.

    Args:
        ratio: bandwidth ratio.
        coder: see `load_coder`; the ratio of a DeepJSCC or ADJSCC is that of its channels.
        mcs: fixed modulation and rate of a codec; chosen by the SNR if left out.
    """
    if arm == "coder":
        return UserLink(load_user_coder(coder), ratio)
    if arm in ("joint", "chosen"):
        model = load_coder("picture-c16" if ".py:" in coder else coder)
        if isinstance(model, JsccCoder):
            if arm == "chosen" or abs(model.config.channels / 96 - ratio) > 1e-6:
                expected = f"the arm joint at a ratio of {model.config.channels}/96"
                raise InputError("coder", got=f"{coder}, which has one ratio", expected=expected)
            return CoderLink(model)
        joint = JointLink(model, ratio)
        return joint if arm == "joint" else ChosenLink(joint, CodecLink("avif", ratio))
    if arm == "linear":
        return BlockDct(ratio)
    if arm == "softcast":
        return SoftCast(ratio)
    if arm == "layered":
        return LayeredLink(ratio)
    return CodecLink(arm, ratio, mcs)


def measure_picture(path: Path, task: BaselineTask) -> list[dict[str, Any]]:
    """Scores of all arms on one picture: rows with picture, arm, snr_db, rate, psnr, ssim, symbols."""
    picture, channel = read_picture(path), Channel.from_spec(task.channel)
    rows: list[dict[str, Any]] = []
    scores: dict[bytes, dict[str, float | None]] = {}  # a codec's picture is the same at many SNRs
    for arm in task.arms:
        link = make_whole_link(arm, task.ratio, task.coder)
        own = link.symbols(*picture.shape[:2])
        if own != symbols_of_ratio(task.ratio, *picture.shape[:2]):
            raise InputError(arm, got=f"{own} symbols", expected="as many as all other links")
        for one in task.tries(arm):
            if isinstance(link, CodecLink) and not isinstance(one, LayerDesign):
                link.mcs = one
            elif isinstance(link, LayeredLink) and isinstance(one, LayerDesign):
                link.design = one
            for snr in task.snrs:
                place = round(100 * (float(np.clip(snr, -100, 1000)) + 100))
                rng = np.random.default_rng([task.seed, zlib.crc32(os.fsencode(path.name)), place])
                assumed = snr if task.known else task.assumed_db
                drawn = carry_picture(link, picture, channel, snr, rng, assumed)
                key = hashlib.sha256(drawn.tobytes()).digest()
                if key not in scores:
                    scores[key] = picture_scores(drawn, picture)
                rows.append({
                    "picture": path.name, "arm": arm, "snr_db": snr, "rate": one.name if one else None,
                    **scores[key], "symbols": own + channel.overhead(own),
                })  # fmt: skip
    return rows


def picture_scores(drawn: np.ndarray, picture: np.ndarray) -> dict[str, float | None]:
    """PSNR and SSIM (None below 11 pixels) of a received picture (H, W, 3)."""
    similar = float(ssim(drawn[None], picture[None])[0]) if min(picture.shape[:2]) >= 11 else None
    return {"psnr": float(psnr(drawn[None], picture[None])[0]), "ssim": similar}


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
    size = len(task.snrs) * sum(len(task.tries(arm)) for arm in task.arms)
    return resumed(functools.partial(measure_picture, task=task), paths, run, jobs, size)


def check_pictures(paths: Sequence[Path], task: BaselineTask) -> None:
    """InputError that names each picture that cannot be read, or that a link of the task cannot send."""
    links, bad = [make_whole_link(arm, task.ratio, task.coder) for arm in task.arms], []
    for path in paths:
        try:
            size = read_picture(path).shape[:2]
            _ = [link.symbols(*size) for link in links]
        except InputError as error:
            bad.append(f"{path.name} ({error.got})")
    if bad:
        hint = "move them out of the folder, or name the others"
        raise InputError("pictures", got=f"{len(bad)} of {len(paths)} unusable: {'; '.join(bad)}", hint=hint)


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


def _means(rows: Sequence[Mapping[str, Any]], task: BaselineTask, key: str = "psnr") -> dict[tuple[str, float], float]:
    """Mean score of each arm and SNR; NaN where no picture has one."""
    found: dict[tuple[str, float], list[float]] = {(arm, snr): [] for arm in task.arms for snr in task.snrs}
    for row in rows:
        if row[key] is not None:
            found[row["arm"], row["snr_db"]].append(row[key])
    return {place: float(np.mean(values)) if values else float("nan") for place, values in found.items()}


def baseline_table(rows: Sequence[Mapping[str, Any]], task: BaselineTask) -> Table:
    """Mean PSNR (SSIM) of each arm at each SNR; the best in the mean comes first."""
    kept = best_rates(rows, task)
    mean, similar = _means(kept, task), _means(kept, task, "ssim")
    arms = sorted(task.arms, key=lambda arm: -sum(mean[arm, snr] for snr in task.snrs))
    places = np.linspace(0, len(task.snrs) - 1, min(5, len(task.snrs)))
    shown = [task.snrs[round(at)] for at in places]
    table = Table(["link", *(f"{snr:g} dB" for snr in shown), "symbols"])
    count = float(np.mean([row["symbols"] for row in rows]))
    for arm in arms:
        cells = [f"{mean[arm, snr]:.2f}" + f" ({similar[arm, snr]:.3f})" * (similar[arm, snr] > -1) for snr in shown]
        table.rows.append([arm_name(arm), *cells, f"{count:.0f}"])
    first = {snr: max(arms, key=lambda arm: mean[arm, snr]) for snr in task.snrs}
    leads = {arm: ", ".join(f"{snr:g}" for snr in task.snrs if first[snr] == arm) for arm in arms}
    table.title = "; ".join(f"{arm_name(arm)} is best at {snrs} dB" for arm, snrs in leads.items() if snrs)
    pictures = f"means over {len({row['picture'] for row in rows})} pictures"
    table.notes.append(f"PSNR in dB (SSIM), {pictures}, bandwidth ratio {task.ratio:.4g}, {task.channel}.")
    if Channel.from_spec(task.channel).overhead(1):
        table.notes.append("Pilots and prefixes come on top, as many for each link; scores.csv counts them.")
    if task.fixed_rates:
        table.notes.append("Codecs: the best of all fixed rates that can work, chosen on these pictures.")
    return table


def baseline_figure(rows: Sequence[Mapping[str, Any]], task: BaselineTask) -> Figure:
    """Mean PSNR of each arm by SNR, of `best_rates`."""
    mean = _means(rows, task)
    lines = {arm_name(arm): (list(task.snrs), [mean[arm, snr] for snr in task.snrs]) for arm in task.arms}
    return curves(lines, "Es/N0, dB", "Mean PSNR, dB")


def arm_name(arm: str) -> str:
    """As tables call an arm."""
    return _NAMES[arm] + (" + LDPC" if arm in (*_SEPARATE, "layered") else "")


def baseline_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """All rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
