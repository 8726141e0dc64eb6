"""Pictures of a run, from its artifacts alone: smallest p, p-values, samples; the page draws volcanoes itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from ninefold.files import atomic_file
from ninefold.report import BLUE, ORANGE, figure

from proteus.data._data import ProteomicsData
from proteus.knowledge._private import without_names
from proteus.planning._templates import main_factors
from proteus.record._journal import event_data, read_journal
from proteus.record._objects import DatasetProfile
from proteus.record._run_folder import Folder, read_frame, row_digests
from proteus.verification._quality_plots import COLORS
from proteus.verification._strips import pictures_of_samples

_MOST, _BARS = 24, 12


def draw(folder: Folder) -> list[tuple[str, str]]:
    """Write `plots/<artifact>.<what>.png` for each artifact that can be drawn; (file name, caption) in order.

    Objectives often look at the same runs, or test the same contrast: of equal artifacts only the first is drawn.
    """
    made: list[tuple[str, str]] = []
    groups, seen = _groups(folder), set()
    for what, caption, picture in pictures_of_samples(folder, groups):
        _save(folder, f"{what}.png", picture)
        made.append((f"{what}.png", caption))
    for path in sorted(folder.artifacts.glob("*.parquet")):
        frame = read_frame(path)
        values = (tuple(frame), row_digests(frame).tobytes())
        if values in seen:
            continue
        seen.add(values)
        beside = path.with_name(path.name.replace(".samples.", ".components."))
        share = read_frame(beside).set_index("id")["share"] if beside != path and beside.is_file() else None
        for what, caption, picture in _pictures(path.stem, frame, groups, share):
            if len(made) == _MOST:
                return made
            name = f"{path.stem}.{what}.png"
            _save(folder, name, picture)
            made.append((name, caption))
    return made


def _save(folder: Folder, name: str, picture: Any) -> None:
    with atomic_file(folder.plots / name) as temporary:
        picture.savefig(temporary, format="png", metadata={"Software": None})


def _groups(folder: Folder) -> pd.Series | None:
    """The main factor's level of each sample, as the journal's profile has it."""
    first = event_data(read_journal(folder.events), "run")
    profile = DatasetProfile.model_validate(first["profile"]) if "profile" in first else None
    factors = main_factors(profile) if profile is not None and profile.kind != "cell" else []
    if not factors:
        return None
    return without_names(ProteomicsData.open(folder.table)).samples[factors[0].name].astype(str)


def _pictures(
    name: str, frame: pd.DataFrame, groups: pd.Series | None, share: pd.Series | None = None
) -> Iterator[tuple[str, str, Any]]:
    columns = set(frame)
    if frame.empty:  # columns without entries have no type either
        return
    if {"effect", "p", "q"} <= columns and np.isfinite(frame["p"]).sum() >= 5:
        yield "bars", f"{name}: smallest p; higher orange, lower blue", _bars(frame)
        yield "p", f"{name}: p-values; flat but for the left end, if all is well", _histogram(frame)
    if {"PC1", "PC2"} <= columns:
        yield "samples", f"{name}: samples on the first two principal components", _samples(frame, groups, share)


def _histogram(frame: pd.DataFrame) -> Any:
    made, axes = figure(3.4, 2.6)
    axes.hist(frame["p"].dropna(), bins=np.linspace(0, 1, 21), color=BLUE)
    axes.set_xlabel("p")
    axes.set_ylabel("rows")
    return made


def _bars(frame: pd.DataFrame) -> Any:
    top = frame.sort_values("p", kind="stable").head(_BARS)[::-1]
    made, axes = figure(5.6, 0.4 + 0.26 * len(top))
    color = np.where(top["effect"] > 0, ORANGE, BLUE)
    axes.barh(range(len(top)), -np.log10(np.maximum(top["p"], 1e-300)), color=color)
    axes.set_yticks(
        range(len(top)),
        [str(one)[:48] for one in top["entity" if "entity" in top else "id"]],
        fontsize=7,
        parse_math=False,
    )
    axes.set_xlabel("-log10 p")
    return made


def _samples(frame: pd.DataFrame, groups: pd.Series | None, share: pd.Series | None) -> Any:
    """By group where there are few; outlying samples ringed."""
    made, axes = figure(3.8, 2.9)
    known = None if groups is None else groups.set_axis(groups.index.astype(str)).reindex(frame["id"])
    levels = [] if known is None else sorted(set(known.dropna()))
    if known is None or not 2 <= len(levels) <= len(COLORS):
        axes.scatter(frame["PC1"], frame["PC2"], s=14, color=BLUE, linewidths=0)
    else:
        for level, color in zip(levels, COLORS, strict=False):
            mask = (known == level).to_numpy()
            axes.scatter(frame["PC1"][mask], frame["PC2"][mask], s=14, color=color, linewidths=0, label=level[:24])
        axes.legend(frameon=False, fontsize=7)
    if "outlying" in frame:
        far = frame["outlying"].astype(bool)
        axes.scatter(frame["PC1"][far], frame["PC2"][far], s=60, facecolors="none", edgecolors="black", linewidths=0.8)
    for label, name, set_label in (("first", "PC1", axes.set_xlabel), ("second", "PC2", axes.set_ylabel)):
        percent = f" ({share[name]:.0%} of the variance)" if share is not None and name in share else ""
        set_label(f"{label} component{percent}")
    return made
