"""Pictures of a run, from its artifacts alone: volcano, p-values, sets, samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from ninefold.files import atomic_file
from ninefold.report import BLUE, GREY, ORANGE, figure

from proteus.data._data import ProteomicsData
from proteus.planning._headline import unit_of
from proteus.planning._templates import main_factors
from proteus.record._journal import event_data, read_journal
from proteus.record._objects import DatasetProfile
from proteus.record._run_folder import Folder, read_frame, row_digests
from proteus.verification._quality_plots import COLORS
from proteus.verification._strips import pictures_of_samples

_MOST, _LABELS, _BARS = 24, 8, 12
_APART = 0.2, 0.045  # of the picture's width and height, between labels
_Q = 0.05
_RELATIONS = {
    "trend": "follows",
    "survival": "predicts",
    "cell_state": "state_changed_in",
    "cell_abundance": "abundance_changed_in",
    "presence": "detected_in",
    "module_trait": "moves_with",
    "module_outcome": "predicts",
    "coupling": "coupled_with",
}  # fmt: skip  (of tools' effects; others are changes)


def draw(folder: Folder) -> list[tuple[str, str]]:
    """Write `plots/<artifact>.<what>.png` for each artifact that can be drawn; (file name, caption) in order.

    Objectives often look at the same runs, or test the same contrast: of equal artifacts only the first is drawn.
    """
    made: list[tuple[str, str]] = []
    units = _units(folder)
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
        for what, caption, picture in _pictures(path.stem, frame, groups, units.get(path.stem, "effect"), share):
            if len(made) == _MOST:
                return made
            name = f"{path.stem}.{what}.png"
            _save(folder, name, picture)
            made.append((name, caption))
    return made


def _save(folder: Folder, name: str, picture: Any) -> None:
    with atomic_file(folder.plots / name) as temporary:
        picture.savefig(temporary, format="png", metadata={"Software": None})


def _units(folder: Folder) -> dict[str, str]:
    """What effects of each artifact are measured in, and of which contrast, as the journal's steps say."""
    events = read_journal(folder.events)
    first = event_data(events, "run")
    if "profile" not in first:
        return {}
    profile, made = DatasetProfile.model_validate(first["profile"]), {}
    for step in (one.data for one in events if one.kind == "step"):
        params = step["step"]["params"]
        about = str(params.get("contrast") or params.get("over") or "")
        unit = unit_of(_RELATIONS.get(step["step"]["tool"], "changed_in"), about, profile)
        text = f"{unit}, {about}" if "contrast" in params else unit
        made |= dict.fromkeys(step["result"]["artifacts"].values(), text)
    return made


def _groups(folder: Folder) -> pd.Series | None:
    """The main factor's level of each sample, as the journal's profile has it."""
    first = event_data(read_journal(folder.events), "run")
    profile = DatasetProfile.model_validate(first["profile"]) if "profile" in first else None
    factors = main_factors(profile) if profile is not None and profile.kind != "cell" else []
    if not factors:
        return None
    return ProteomicsData.open(folder.table).samples[factors[0].name].astype(str)


def _pictures(
    name: str, frame: pd.DataFrame, groups: pd.Series | None, unit: str, share: pd.Series | None = None
) -> Iterator[tuple[str, str, Any]]:
    columns = set(frame)
    if frame.empty:  # columns without entries have no type either
        return
    if {"effect", "p", "q"} <= columns and np.isfinite(frame["p"]).sum() >= 5:
        many = len(frame) > 40 or "ci_low" in columns
        coloured = "higher orange, lower blue, where q is 0.05 at most"
        if "modelled" in columns and (frame["modelled"] > 0).any():
            coloured += (
                "; ringed where missing values are modelled; triangles at the edge: seen in one group alone, "
                "with no fold change"
            )
        what, picture = ("volcano", _volcano(frame, unit)) if many else ("bars", _bars(frame))
        yield what, f"{name}: {'effect against p' if many else 'smallest p'}; {coloured}", picture
        yield "p", f"{name}: p-values; flat but for the left end, if all is well", _histogram(frame)
    if {"PC1", "PC2"} <= columns:
        yield "samples", f"{name}: samples on the first two principal components", _samples(frame, groups, share)


def _volcano(frame: pd.DataFrame, unit: str) -> Any:
    made, axes = figure(5.0, 3.6)
    effect, strength = frame["effect"].to_numpy(float), -np.log10(np.maximum(frame["p"].to_numpy(float), 1e-300))
    hit = (frame["q"] <= _Q).to_numpy()
    none = np.zeros(len(frame))
    only, modelled = (frame[name].to_numpy(float) if name in frame else none for name in ("only_in", "modelled"))
    edge = 1.12 * float(np.nanmax(np.abs(effect), initial=1.0))
    effect = np.where(only != 0, edge * only, effect)
    for mask, color in ((~hit, GREY), (hit & (effect > 0), ORANGE), (hit & (effect <= 0), BLUE)):
        for marker, part in (("o", mask & (only == 0)), ("<", mask & (only < 0)), (">", mask & (only > 0))):
            axes.scatter(
                effect[part], strength[part], s=8 if marker == "o" else 14, marker=marker, color=color, linewidths=0
            )
    ringed = (modelled > 0) & (only == 0)
    axes.scatter(effect[ringed], strength[ringed], s=22, facecolors="none", edgecolors="#57606a", linewidths=0.5)
    names = frame["entity" if "entity" in frame else "gene" if "gene" in frame else "id"].astype(str).to_numpy()
    placed: list[tuple[float, float]] = []
    width, height = 2.3 * edge, max(float(np.nanmax(strength, initial=1.0)), 1.0)

    def crowd(x: float, y: float, side: int) -> int:
        """Points where a label on this side would lie."""
        beside = side * (effect - x)
        return int(((beside > 0) & (beside < 0.11 * width) & (np.abs(strength - y) < 0.03 * height)).sum())

    for place in np.argsort(-np.nan_to_num(strength), kind="stable"):
        x, y = float(effect[place]), float(strength[place])
        if not hit[place] or len(placed) == _LABELS:
            break
        if any(abs(x - a) < _APART[0] * width and abs(y - b) < _APART[1] * height for a, b in placed):
            continue  # it would lie on another
        left = x > 0.6 * edge or (x > -0.6 * edge and crowd(x, y, -1) < crowd(x, y, 1))
        if crowd(x, y, -1 if left else 1) > 1:
            continue
        axes.annotate(names[place][:16], (x, y), xytext=(-3 if left else 3, 2), textcoords="offset points",
                      ha="right" if left else "left", fontsize=7, parse_math=False)  # fmt: skip
        placed.append((x, y))
    axes.set_xlabel(unit[:64], fontsize=9, parse_math=False)
    axes.set_ylabel("-log10 p", fontsize=9)
    return made


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
    axes.set_yticks(range(len(top)), [str(one)[:48] for one in top["id"]], fontsize=7, parse_math=False)
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
