"""Pictures of follow-up and of cells: Kaplan-Meier curves; a heat map of markers by cell type."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ninefold.report import BLUE, ORANGE, figure

from proteus.data._data import ProteomicsData
from proteus.outcomes._survival import survival_curve
from proteus.record._journal import event_data, read_journal
from proteus.record._objects import Finding
from proteus.record._run_folder import Folder
from proteus.study._study import open_study
from proteus.tools._tools_cells import Clusters, grouped

_CURVES = 3


def picture_of_survival(data: ProteomicsData, leads: Sequence[Finding]) -> tuple[str, str, Any] | None:
    """(name, caption, figure): Kaplan-Meier curves above and below the median of features that predict the outcome."""
    chosen = [one for one in leads if one.relation == "predicts" and one.kind == "feature"]
    if not chosen or chosen[0].target.count("/") != 1:
        return None
    time_name, event_name = chosen[0].target.split("/")
    time, event = (data.samples[name].to_numpy(float) for name in (time_name, event_name))
    first = {one.row: one.entity for one in chosen if one.row in data.features.index and one.target == chosen[0].target}
    names = list(first.items())[:_CURVES]
    made, axes = figure(3.0 * len(names) + 0.6, 3.1, columns=len(names))
    for part, (row, entity) in zip(np.atleast_1d(axes), names, strict=True):
        values = data.values[data.features.index.get_loc(row)]
        known = np.isfinite(values) & np.isfinite(time) & np.isfinite(event)
        above = values > np.median(values[known])
        for side, inside, color in (("above", known & above, ORANGE), ("below", known & ~above, BLUE)):
            if inside.any():
                label = f"{side} (n {inside.sum()}, {int(event[inside].sum())} events)"
                _curve(part, time[inside], event[inside], color, label)
        part.set_ylim(0, 1.25)  # room for the legend
        part.set_yticks(np.linspace(0, 1, 6))
        part.set_xlim(left=0)
        part.set_title(entity[:24], fontsize=8, parse_math=False)
        part.set_xlabel(time_name[:30], fontsize=8, parse_math=False)
        part.tick_params(labelsize=7)
        part.legend(frameon=False, fontsize=6.5, loc="upper right", ncols=1)
    np.atleast_1d(axes)[0].set_ylabel("share without the event", fontsize=8)
    caption = (
        "Kaplan-Meier curves above and below each feature's median, with 95 % bands; ticks: censored. "
        "The hypotheses rest on a Cox regression of the values themselves, not on this split"
    )
    return "survival", caption, made


def _curve(axes: Any, time: np.ndarray, event: np.ndarray, color: str, label: str) -> None:
    found = survival_curve(time, event)
    at, height = np.r_[0.0, found.time], np.r_[1.0, found.survival]
    reach = 1.96 * np.r_[0.0, found.error]
    axes.step(at, height, where="post", color=color, linewidth=1.4, linestyle="-", label=label)
    low, high = np.clip([height - reach, height + reach], 0, 1)
    axes.fill_between(at, low, high, step="post", color=color, alpha=0.15, linewidth=0)
    left = np.sort(time[event == 0])
    axes.plot(left, height[np.searchsorted(at, left, side="right") - 1], "|", color=color, markersize=5)


def pictures_of_cells(folder: Folder) -> Iterator[tuple[str, str, Any]]:
    """(name, caption, figure) of cell types: medians of markers."""
    events = read_journal(folder.events)
    steps = [one.data for one in events if one.kind == "step" and one.data["step"]["tool"] == "cell_types"]
    done = next((one for one in steps if one["result"]["status"] == "ok"), None)
    if done is None:
        return
    seed = event_data(events, "run")["seed"]
    context = open_study(folder.root).context(seed)
    params = Clusters.model_validate(done["step"]["params"])
    data, label = grouped(context, params)
    names = sorted(set(label), key=lambda one: (one == "unassigned", -int((label == one).sum())))
    kinds = context.markers
    markers = sorted(map(str, data.features.index), key=lambda one: {"type": 0, "state": 1}.get(kinds.get(one, ""), 2))
    rows = data.features.index.get_indexer(pd.Index(markers))
    caption = (
        "median of each marker in each cell type, from its lowest type (white) to its highest (blue); markers of "
        f"types first, then of states; {data.shape[1]} cells"
    )
    yield "markers", caption, _marker_map(data.values[rows], markers, label, names)


def _marker_map(values: np.ndarray, markers: list[str], label: np.ndarray, names: list[str]) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    medians = np.stack([np.median(values[:, label == one], axis=1) for one in names])
    low, high = medians.min(0), medians.max(0)
    scaled = (medians - low) / np.where(high > low, high - low, 1)
    made, axes = figure(max(2.6 + 0.27 * len(markers), 4.0), 1.5 + 0.24 * len(names))
    shades = LinearSegmentedColormap.from_list("low-high", ["#f7f8fa", BLUE])
    mesh = axes.imshow(scaled, cmap=shades, vmin=0, vmax=1, aspect="auto")
    sizes = [f"{one[:24]} ({int((label == one).sum())})" for one in names]
    axes.set_yticks(range(len(names)), sizes, fontsize=7, parse_math=False)
    axes.set_xticks(range(len(markers)), [one[:14] for one in markers], fontsize=7, rotation=90, parse_math=False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    bar = made.colorbar(mesh, ax=axes, fraction=0.03, pad=0.02, ticks=[0, 1])
    bar.ax.set_yticklabels(["lowest type", "highest type"], fontsize=6)
    return made
