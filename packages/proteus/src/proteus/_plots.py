"""Pictures of a run, from its artifacts alone: volcano, p-values, sets, samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from ninefold.files import atomic_file
from ninefold.report import BLUE, GREY, ORANGE, figure

from ._run_folder import Folder, read_frame

_MOST, _LABELS, _BARS = 24, 8, 12
_Q = 0.05


def draw(folder: Folder) -> list[tuple[str, str]]:
    """Write `plots/<artifact>.<what>.png` for each artifact that can be drawn; (file name, caption) in order."""
    made = []
    for path in sorted(folder.artifacts.glob("*.parquet")):
        frame = read_frame(path)
        for what, caption, picture in _pictures(path.stem, frame):
            if len(made) == _MOST:
                return made
            name = f"{path.stem}.{what}.png"
            with atomic_file(folder.plots / name) as temporary:
                picture.savefig(temporary, format="png", metadata={"Software": None})
            made.append((name, caption))
    return made


def _pictures(name: str, frame: pd.DataFrame) -> Iterator[tuple[str, str, Any]]:
    columns = set(frame)
    if {"effect", "p", "q"} <= columns and np.isfinite(frame["p"]).sum() >= 5:
        few = len(frame) > 40 or "ci_low" in columns
        yield ("volcano", f"{name}: effect against p", _volcano(frame)) if few else ("bars", name, _bars(frame))
        yield "p", f"{name}: p-values; flat but for the left end, if all is well", _histogram(frame)
    if {"PC1", "PC2"} <= columns:
        yield "samples", f"{name}: samples on the first two principal components", _samples(frame)


def _volcano(frame: pd.DataFrame) -> Any:
    made, axes = figure(5.0, 3.6)
    effect, strength = frame["effect"].to_numpy(float), -np.log10(np.maximum(frame["p"].to_numpy(float), 1e-300))
    hit = (frame["q"] <= _Q).to_numpy()
    for mask, color in ((~hit, GREY), (hit & (effect > 0), ORANGE), (hit & (effect <= 0), BLUE)):
        axes.scatter(effect[mask], strength[mask], s=8, color=color, linewidths=0)
    names = frame["entity" if "entity" in frame else "gene" if "gene" in frame else "id"].astype(str).to_numpy()
    for place in np.argsort(-np.nan_to_num(strength))[:_LABELS]:
        if hit[place]:
            axes.annotate(names[place][:16], (effect[place], strength[place]), fontsize=7, parse_math=False)
    axes.set_xlabel("effect")
    axes.set_ylabel("-log10 p")
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


def _samples(frame: pd.DataFrame) -> Any:
    made, axes = figure(3.4, 2.8)
    far = frame["outlying"].astype(bool).to_numpy() if "outlying" in frame else np.zeros(len(frame), bool)
    for mask, color in ((~far, BLUE), (far, ORANGE)):
        axes.scatter(frame["PC1"][mask], frame["PC2"][mask], s=14, color=color, linewidths=0)
    axes.set_xlabel("first component")
    axes.set_ylabel("second component")
    return made
