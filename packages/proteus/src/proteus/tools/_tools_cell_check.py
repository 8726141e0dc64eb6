"""Tool that refits tests of cells: do hits stand if cells are grouped otherwise, or a donor is missing?"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from proteus.data._data import ProteomicsData
from proteus.knowledge._describe import cell_annotation
from proteus.outcomes._cells import diff_abundance
from proteus.tools._context import Context
from proteus.tools._registry import Input, Output, Params, register_tool
from proteus.tools._tools_bulk import refits
from proteus.tools._tools_cells import CellContrast, clusters_of, grouped, state_test

_FEW_DONORS = 4


class CellCheck(Params):
    """Refits of the cell test read."""

    q: float = 0.10


@register_tool(
    "cell_check",
    params=CellCheck,
    tables={"refits": ("entity", "agree", "refits", "worst_p", "stable", "failed")},
    reads=("cell_state", "cell_abundance"),
    requires=("cells",),
)
def cell_check(context: Context, params: CellCheck, inputs: list[Input]) -> Output:
    """Refit a test of cells with other clusters and without each donor; stable hits keep sign and q <= 0.1 in each."""
    source = next(one for one in inputs if one.step.tool in ("cell_state", "cell_abundance"))
    asked = CellContrast.model_validate(source.step.params)

    def test(data: ProteomicsData, label: np.ndarray, kept: np.ndarray | None) -> pd.DataFrame:
        if source.step.tool == "cell_state":
            return state_test(context, asked, data, label, kept).table
        own, about = label if kept is None else label[kept], data.take(features=[0], samples=kept)
        return diff_abundance(about, own, asked.design, asked.contrast, sample=asked.sample).table

    variants = ((name, partial(test, *others)) for name, *others in _variants(context, inputs))
    return refits(source.tables["features"], variants, params.q)


def _variants(
    context: Context, inputs: list[Input]
) -> Iterator[tuple[str, ProteomicsData, np.ndarray, np.ndarray | None]]:
    """(name, transformed cells, type of each, kept; None: all); nameless clusters have no counterpart."""
    made = clusters_of(inputs)
    data, label = grouped(context, made)
    named = not any(str(one).startswith("cluster ") for one in np.unique(label))
    if named and cell_annotation(data) is None:
        yield "other clusters", *grouped(context, made.model_copy(update={"clusters": made.clusters * 3 // 2})), None
        yield "another start", *grouped(context, made, seed=context.seed + 1), None
    block = context.profile.block
    donors = sorted(data.samples[block].astype(str).unique()) if block else []
    for donor in donors if len(donors) >= _FEW_DONORS else []:
        kept = (data.samples[block].astype(str) != donor).to_numpy()
        yield f"without {donor}", data, label, kept
