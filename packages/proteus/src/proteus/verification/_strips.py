"""Pictures with every sample in them: strips of the foremost features, in addition to those of the table itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from ninefold.report import figure

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up
from proteus.differential._normalise import normalise
from proteus.knowledge._private import without_names
from proteus.record._documents import read_documents
from proteus.record._objects import Finding, Hypothesis
from proteus.record._run_folder import Folder
from proteus.verification._outcome_plots import picture_of_survival, pictures_of_cells
from proteus.verification._quality_plots import COLORS, picture_of_correlation, picture_of_quality

_STRIPS = 6
_RELATIONS = ("changed_in", "detected_in")


def pictures_of_samples(folder: Folder, groups: pd.Series | None) -> Iterator[tuple[str, str, Any]]:
    """(name, caption, figure) of the features that hypotheses lead with; for cells those of their types."""
    if not folder.hypotheses.is_file():
        return
    data = without_names(ProteomicsData.open(folder.table))
    if data.level == "cell":
        del data  # it may be large, and is read again
        yield from pictures_of_cells(folder)
        return
    if data.level == "precursor" and "protein" in data.features:
        data = roll_up(data, "median_polish")
    if data.scale == "log2":
        data = normalise(data, "median")
    findings = {one.id: one for one in read_documents(folder.graph, "graph", Finding)}
    hypotheses = read_documents(folder.hypotheses, "hypotheses", Hypothesis)
    leads = [findings[one.evidence[0]] for one in hypotheses if one.evidence[0] in findings]
    yield picture_of_quality(data, groups)
    correlation = picture_of_correlation(data, groups)
    if correlation is not None:
        yield correlation
    survival = picture_of_survival(data, leads)
    if survival is not None:
        yield survival
    rows = {one.row: one.entity for one in leads if one.relation in _RELATIONS and one.row in data.features.index}
    if not rows or groups is None or groups.nunique() > len(COLORS):
        return
    unit = "log2 intensity, median-normalised" if data.scale == "log2" else "the table's own units"
    names = list(rows.items())
    yield (
        "strips", f"every sample of the foremost features ({unit}); open triangles at the foot: not seen",
        _strips(data, names[:_STRIPS], groups, unit),
    )  # fmt: skip


def _strips(data: ProteomicsData, names: list[tuple[str, str]], groups: pd.Series, unit: str) -> Any:
    wide, high = min(len(names), 3), -(-len(names) // 3)
    made, axes = figure(max(2.55 * wide, 3.2), 2.3 * high, columns=wide, rows=high)
    parts = np.atleast_1d(axes).ravel()
    for part in parts[len(names) :]:
        part.set_axis_off()
    levels = sorted(set(groups))
    for part, (row, entity) in zip(parts, names, strict=False):
        values = data.values[data.features.index.get_loc(row)]
        foot = float(np.nanmin(values)) - 0.12 * max(float(np.ptp(values[~np.isnan(values)])), 0.5)
        for at, (level, color) in enumerate(zip(levels, COLORS, strict=False)):
            inside = (groups == level).to_numpy()
            own = values[inside]
            spread = at + (np.arange(inside.sum()) - (inside.sum() - 1) / 2) * min(0.12, 0.6 / max(inside.sum(), 1))
            seen = ~np.isnan(own)
            part.scatter(spread[seen], own[seen], s=11, color=color, linewidths=0)
            part.scatter(spread[~seen], np.full((~seen).sum(), foot), s=14, marker="v", facecolors="none",
                         edgecolors=color, linewidths=0.7)  # fmt: skip
        part.set_xticks(range(len(levels)), [one[:10] for one in levels], fontsize=6, parse_math=False)
        part.tick_params(axis="y", labelsize=6)
        part.set_xlim(-0.6, len(levels) - 0.4)
        part.set_title(entity[:24], fontsize=7, parse_math=False)
    made.supylabel(unit, fontsize=8)
    return made
