"""Pictures of results in the house style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.report import Table, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLES = ("-", "--", "-.", ":")
_MARKS = "osD^vPX*<>dh"


def picture_strip(rows: Sequence[tuple[str, np.ndarray]], shown: int = 8) -> Figure:
    """Pictures in rows under their names: (name, (n, H, W, 3) uint8)."""
    from PIL import Image

    made, axes = figure(1.05 * shown + 1.7, 1.05 * len(rows), rows=len(rows))
    for (name, pictures), one in zip(rows, np.atleast_1d(axes), strict=True):
        joined = np.concatenate(list(pictures[:shown]), axis=1)
        large = Image.fromarray(joined).resize((joined.shape[1] * 3, joined.shape[0] * 3), Image.Resampling.NEAREST)
        one.imshow(np.asarray(large), aspect="auto")
        one.set_xticks([])
        one.set_yticks([])
        one.grid(visible=False)
        one.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        one.spines[:].set_visible(False)
    return made


def picture_grid(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], columns: Sequence[str], width: float = 5.0
) -> Figure:
    """Pictures (H, W, 3) in a grid with large labels, for a narrow screen: (name, one picture for each column)."""
    height = width / len(columns) * rows[0][1][0].shape[0] / rows[0][1][0].shape[1] + 0.1
    made, axes = figure(width, height * len(rows) + 0.3, columns=len(columns), rows=len(rows))
    for place, (name, pictures) in enumerate(rows):
        for column, picture in enumerate(pictures):
            one = np.atleast_2d(axes)[place, column]
            one.imshow(picture, interpolation="nearest")
            one.set_xticks([])
            one.set_yticks([])
            one.grid(visible=False)
            one.spines[:].set_visible(False)
            if not place:
                one.set_title(columns[column], fontsize=14)
            if not column:
                one.set_ylabel(name, fontsize=13)
    return made


def masked_view(pictures: np.ndarray, masks: np.ndarray, patch: int) -> np.ndarray:
    """Pictures with masked patches in grey."""
    grid = pictures.shape[1] // patch
    hidden = masks.reshape(-1, grid, grid).repeat(patch, axis=1).repeat(patch, axis=2)
    return np.where(hidden[..., None], np.uint8(200), pictures)


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_label: str, y_label: str, *, log: bool = False,
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> Figure:  # fmt: skip
    """Lines by name, (x, y) each, with intervals (low, high) where there are some."""
    made, axes = figure(7.2, 4.2)
    from matplotlib.ticker import MaxNLocator

    for place, (name, (x, y)) in enumerate(lines.items()):
        style = {"linestyle": _STYLES[place // 6 % 4], "marker": _MARKS[place % len(_MARKS)], "markersize": 4}
        (drawn,) = axes.plot(x, y, label=name, linewidth=1.6, **style)
        if bands and name in bands:
            axes.fill_between(x, *bands[name], color=drawn.get_color(), alpha=0.15, linewidth=0)
    if log:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made


def sweep_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Block error rates with their intervals, of rows of `sweep`."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    bands: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        name = f"{row['channel']}, {row['modulation']}, {row['fec']}, {row['bits']} bits"
        x, y = lines.setdefault(name, ([], []))
        low, high = bands.setdefault(name, ([], []))
        x.append(row["snr_db"])
        y.append(max(row["bler"], 1e-6))
        low.append(max(row["low"], 1e-6))
        high.append(max(row["high"], 1e-6))
    return curves(lines, "Es/N0, dB", "Block error rate", log=True, bands=bands)


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The same as a table, with the wrong blocks whose check held."""
    table = Table(["block", "channel", "SNR, dB", "block error rate", "95 % interval", "blocks"])
    for row in rows:
        interval = f"[{row['low']:.2g}, {row['high']:.2g}]"
        name = f"{row['bits']} bits, {row['fec']}, {row['modulation']}"
        table.rows.append([name, row["channel"], row["snr_db"], row["bler"], interval, row["blocks"]])
    table.notes.append(f"Wrong blocks whose check held: {sum(row['undetected'] for row in rows)}.")
    return table
