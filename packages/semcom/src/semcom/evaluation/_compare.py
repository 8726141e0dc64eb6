"""Coders of a user's own against the package's links, at equal symbols: rows, table, LaTeX, CSV and a figure."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table

from semcom.evaluation._figures import curves
from semcom.evaluation._whole import WHOLE_ARMS, BaselineTask, make_whole_link, picture_scores
from semcom.phy import Channel
from semcom.whole import CodecLink, LayerDesign, LayeredLink, UserLink, WholeLink, carry_picture, ratio_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Comparison:
    """Scores of every coder on every picture; made by `compare`.

    Attributes:
        rows: one for each picture, coder, SNR and seed: picture, coder, snr_db, seed, psnr, ssim, symbols.
        channel: its specification.
    """

    rows: list[dict[str, Any]]
    channel: str

    def mean(self, metric: str = "psnr") -> dict[str, dict[float, tuple[float, float]]]:
        """By coder and SNR: mean over pictures, and half of its 95 % interval (Student's t over pictures)."""
        from scipy.special import stdtrit

        found: dict[tuple[str, float], dict[int, list[float]]] = {}
        for row in self.rows:
            found.setdefault((row["coder"], row["snr_db"]), {}).setdefault(row["picture"], []).append(row[metric])
        result: dict[str, dict[float, tuple[float, float]]] = {}
        for (coder, snr), by_picture in found.items():
            each = np.array([np.mean(values) for values in by_picture.values()])
            half = stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
            result.setdefault(coder, {})[snr] = (float(each.mean()), float(half))
        return dict(sorted(result.items(), key=lambda one: -sum(mean for mean, _ in one[1].values())))

    def table(self, metric: str = "psnr") -> Table:
        """The means with half of their intervals; the best coder first."""
        means = self.mean(metric)
        snrs = list(next(iter(means.values())))
        table = Table(["coder", *(f"{snr:g} dB" for snr in snrs), "symbols"])
        count = float(np.mean([row["symbols"] for row in self.rows]))
        digits = 2 if metric == "psnr" else 3
        for coder, by_snr in means.items():
            cells = [f"{mean:.{digits}f} ± {half:.{digits}f}" for mean, half in by_snr.values()]
            table.rows.append([coder, *cells, f"{count:.0f}"])
        table.notes.append(f"{metric.upper()}, mean and 95 % interval over pictures, {self.channel}.")
        return table

    def to_latex(self, metric: str = "psnr") -> str:
        """The table for a paper: `booktabs`, the best of each column in bold.

        Examples:
            >>> from semcom.evaluation import Comparison

            >>> rows = [{"picture": at, "coder": "mine", "snr_db": 0.0, "seed": 0, "psnr": 20.0 + at, "ssim": 0.5,
            ...          "symbols": 64} for at in range(2)]
            >>> print(Comparison(rows, "awgn").to_latex())
            \\begin{tabular}{lr}
            \\toprule
            Coder & 0 dB \\\\
            \\midrule
            mine & $\\mathbf{20.50} \\pm 6.35$ \\\\
            \\bottomrule
            \\end{tabular}
        """
        means, digits = self.mean(metric), 2 if metric == "psnr" else 3
        snrs = list(next(iter(means.values())))
        best = {snr: max(by[snr][0] for by in means.values()) for snr in snrs}
        lines = [f"\\begin{{tabular}}{{l{'r' * len(snrs)}}}", "\\toprule"]
        lines += [" & ".join(["Coder", *(f"{snr:g} dB" for snr in snrs)]) + " \\\\", "\\midrule"]
        for coder, by in means.items():
            cells = []
            for snr in snrs:
                shown = f"{by[snr][0]:.{digits}f}"
                shown = f"\\mathbf{{{shown}}}" if by[snr][0] == best[snr] else shown
                cells.append(f"${shown} \\pm {by[snr][1]:.{digits}f}$")
            safe = coder.replace("_", "\\_").replace("&", "\\&").replace("%", "\\%")
            lines.append(" & ".join([safe, *cells]) + " \\\\")
        return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])

    def to_csv(self, path: str | Path) -> None:
        """Write all rows."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)

    def figure(self, metric: str = "psnr") -> Figure:
        """Means by SNR with 95 % bands, for a paper: `result.figure().savefig("psnr.pdf")`."""
        means = self.mean(metric)
        lines = {coder: (list(by), [mean for mean, _ in by.values()]) for coder, by in means.items()}
        bands = {coder: ([mean - half for mean, half in by.values()], [mean + half for mean, half in by.values()])
                 for coder, by in means.items()}  # fmt: skip
        return curves(lines, "Es/N0, dB", "PSNR, dB" if metric == "psnr" else metric.upper(), bands=bands)


def compare(
    coders: Mapping[str, Any], pictures: Sequence[np.ndarray], channel: str = "awgn", *,
    snrs: Iterable[float] = range(0, 11, 2), seeds: int = 1, ratio: float | None = None,
) -> Comparison:  # fmt: skip
    """Send pictures by every coder over the same channel, SNRs and number of symbols.

    Args:
        coders: by name: an object with `encode` and `decode` (see `semcom.whole.Coder`), a `WholeLink`, or the name of
            a link of the package such as `"avif"`, `"joint"` or `"softcast"`.
        pictures: (H, W, 3) uint8.
        channel: specification of a channel, such as `rayleigh:block=64`.
        snrs: Es/N0 in dB, known to every sender. Over fading channels it is the mean, and codecs send at the rate of
            the standard that is best on these pictures.
        seeds: draws of the channel for each picture.
        ratio: bandwidth ratio of all; that of the first coder of your own if omitted, else 1/12.
    Raises:
        InputError: if a coder sends another number of symbols than the others; it is named.

    Examples:
        >>> import torch
        >>> import semcom

        >>> class Thumbnail:
        ...     def encode(self, pictures):
        ...         return torch.nn.functional.avg_pool2d(pictures, 4) - 0.5
        ...
        ...     def decode(self, received, size, snr):
        ...         return torch.nn.functional.interpolate(received * 0.25 + 0.5, size)

        >>> pictures = list(semcom.datasets.embedded_photographs().values())
        >>> result = semcom.compare({"mine": Thumbnail(), "AVIF": "avif"}, pictures, snrs=[6])
        >>> [row[0] for row in result.table().rows]
        ['AVIF', 'mine']
    """
    if not coders or not len(pictures):
        raise InputError("coders and pictures", got="none", expected="at least one of each")
    own = [coder for coder in coders.values() if not isinstance(coder, str | WholeLink)]
    over, rows, points = Channel.from_spec(channel), [], tuple(map(float, snrs))
    for place, picture in enumerate(pictures):
        share = ratio or (ratio_of(own[0], picture) if own else 1 / 12)
        for name, coder in coders.items():
            link = _link(name, coder, share)
            count = link.symbols(*picture.shape[:2])
            for rate in (
                BaselineTask((coder,), share, points, channel).tries(coder) if isinstance(coder, str) else [None]
            ):
                if isinstance(link, CodecLink) and not isinstance(rate, LayerDesign):
                    link.mcs = rate
                elif isinstance(link, LayeredLink) and isinstance(rate, LayerDesign):
                    link.design = rate
                for snr, seed in itertools.product(points, range(seeds)):
                    rng = np.random.default_rng([seed, place, round(10 * snr) + 10_000])
                    drawn = carry_picture(link, picture, over, snr, rng)
                    rows.append({
                        "picture": place, "coder": name, "snr_db": snr, "seed": seed, **picture_scores(drawn, picture),
                        "symbols": count + over.overhead(count), "rate": rate.name if rate else None,
                    })  # fmt: skip
    return Comparison(_of_best_rates(rows), channel)


def _rates(coder: Any, ratio: float, snrs: tuple[float, ...], channel: str) -> list[Any]:
    """Fixed rates that are tried over a channel that fades; [None] where the SNR chooses, or there are none."""
    return BaselineTask((coder,), ratio, snrs, channel).tries(coder) if isinstance(coder, str) else [None]


def _of_best_rates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the fixed rate that has the best mean PSNR, for each coder and SNR: what a sender may choose."""
    groups: dict[tuple[str, float], dict[Any, list[dict[str, Any]]]] = {}
    for row in rows:
        groups.setdefault((row["coder"], row["snr_db"]), {}).setdefault(row["rate"], []).append(row)
    return [
        row
        for rates in groups.values()
        for row in max(rates.values(), key=lambda one: np.mean([x["psnr"] for x in one]))
    ]


def _link(name: str, coder: Any, ratio: float) -> WholeLink:
    if isinstance(coder, WholeLink):
        return coder
    if isinstance(coder, str):
        if coder not in WHOLE_ARMS:
            raise InputError(name, got=repr(coder), expected=f"an object, or one of {', '.join(WHOLE_ARMS)}")
        return make_whole_link(coder, ratio)
    link = UserLink(coder, ratio)
    link.name = name  # type: ignore[misc]
    return link
