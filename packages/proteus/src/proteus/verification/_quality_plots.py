"""A picture of the table itself: what is missing, where, and how samples of a group scatter."""

from typing import Any

import numpy as np
import pandas as pd
from ninefold.report import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure

from proteus.data._data import ProteomicsData

COLORS = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
_CORRELATED, _NAMED = 150, 40  # samples that are drawn, and named
_BINS, _LEAST = 20, 3  # of features by level; values of a feature in a group that tell a spread


def picture_of_quality(data: ProteomicsData, groups: pd.Series | None) -> tuple[str, str, Any]:
    """(name, caption, figure): missing share by sample, missing share by level, spread within groups."""
    known = groups is not None and groups.nunique() <= len(COLORS)
    label = groups.to_numpy() if known and groups is not None else np.full(data.shape[1], "all samples")
    levels = sorted(set(label))
    missing = np.isnan(data.values)
    gaps = bool(missing.any())
    made, axes = figure(10.2 if gaps else 4.2, 3.0, columns=3 if gaps else 1)
    parts = np.atleast_1d(axes)
    if gaps:
        _by_sample(parts[0], 100 * missing.mean(0), label, levels)
        _by_level(parts[1], data.values, missing)
    unit = _spread(parts[-1], data, label, levels)
    for one in parts:
        one.tick_params(labelsize=7)
        one.xaxis.label.set_size(8)
        one.yaxis.label.set_size(8)
    handles = [parts[0].plot([], [], "o", color=color, markersize=4, label=one[:24])[0]
               for one, color in zip(levels, COLORS, strict=False)]  # fmt: skip
    made.legend(
        handles=handles, frameon=False, fontsize=7, ncols=min(len(levels), 6 if gaps else 3), loc="outside upper center"
    )
    first = "what is missing in each sample, and by the level of features (in twenty equal parts); " if gaps else ""
    caption = f"{first}{unit} of each feature within each group, as cumulative shares; dots: medians"
    return "quality", caption, made


def _by_sample(axes: Any, missing: np.ndarray, label: np.ndarray, levels: list[str]) -> None:
    order = np.argsort(label, kind="stable")
    for level, color in zip(levels, COLORS, strict=False):
        at = np.flatnonzero(label[order] == level)
        axes.vlines(at, 0, missing[order][at], color=color, linewidth=0.6, alpha=0.5)
        axes.plot(at, missing[order][at], "o", color=color, markersize=3)
    axes.set_ylim(0, max(1.1 * float(missing.max()), 1.0))
    axes.set_xticks([])
    axes.set_xlabel(f"{len(missing)} samples, by group")
    axes.set_ylabel("missing values (%)")


def _by_level(axes: Any, values: np.ndarray, missing: np.ndarray) -> None:
    kept = ~missing.all(1)
    mean = np.nanmean(values[kept], axis=1)
    share = 100 * missing[kept].mean(1)
    parts = np.array_split(np.argsort(mean, kind="stable"), min(_BINS, len(mean)))
    axes.plot([mean[one].mean() for one in parts], [share[one].mean() for one in parts], "o-", color=BLUE, markersize=3)
    axes.set_ylim(0, max(1.1 * float(max(share[one].mean() for one in parts)), 1.0))
    axes.set_xlabel("mean level of features")
    axes.set_ylabel("missing values (%)")


def _spread(axes: Any, data: ProteomicsData, label: np.ndarray, levels: list[str]) -> str:
    """Curves of the coefficient of variation, or of the sd where values are no logarithms; returns its name."""
    logarithm = data.scale == "log2"
    for level, color in zip(levels, COLORS, strict=False):
        values = data.values[:, label == level]
        enough = (~np.isnan(values)).sum(1) >= _LEAST
        if not enough.any():
            continue
        sd = np.nanstd(values[enough], axis=1, ddof=1)
        spread = np.sort(100 * np.sqrt(np.expm1((np.log(2) * sd) ** 2)) if logarithm else sd)
        axes.plot(spread, 100 * np.arange(1, len(spread) + 1) / len(spread), color=color, linewidth=1.4, linestyle="-")
        axes.plot(np.median(spread), 50, "o", color=color, markersize=4)
        axes.set_xlim(0, max(axes.get_xlim()[1] if axes.lines[2:] else 0.0, float(np.quantile(spread, 0.98))))
    axes.set_ylim(0, 100)
    axes.set_xlabel("coefficient of variation (%)" if logarithm else "standard deviation, the table's own units")
    axes.set_ylabel("features (%)")
    return "coefficient of variation" if logarithm else "standard deviation"


def picture_of_correlation(data: ProteomicsData, groups: pd.Series | None) -> tuple[str, str, Any] | None:
    """(name, caption, figure): Pearson's correlation of each two samples, over the features that both have."""
    count = data.shape[1]
    if not 3 <= count <= _CORRELATED:
        return None
    order = np.arange(count) if groups is None else np.argsort(groups.to_numpy(str), kind="stable")
    r = pd.DataFrame(data.values[:, order]).corr(min_periods=_LEAST).to_numpy()
    made, axes = figure(4.6, 3.8)
    low = float(np.nanmin(r, initial=1.0))
    mesh = axes.imshow(r, vmin=low, vmax=1, cmap="Blues")
    names = [str(one)[:14] for one in data.samples.index[order]]
    axes.set_xticks([])
    axes.set_yticks(
        range(count) if count <= _NAMED else [], names if count <= _NAMED else [], fontsize=6, parse_math=False
    )
    axes.grid(visible=False)
    made.colorbar(mesh, ax=axes, fraction=0.046, pad=0.04)
    return "correlation", "Pearson correlation of samples, in the order of their groups", made
