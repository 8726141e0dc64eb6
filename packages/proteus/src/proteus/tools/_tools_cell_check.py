"""Tool that refits tests of cells: do hits stand if cells are grouped otherwise, or a donor is missing?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.differential._measures import Q
from proteus.knowledge._describe import cell_annotation
from proteus.outcomes._cells import diff_abundance
from proteus.tools._context import Context
from proteus.tools._registry import Input, Output, Params, register_tool
from proteus.tools._tools_bulk import plain_id
from proteus.tools._tools_cells import CellContrast, clusters_of, grouped, state_test

_FEW_DONORS = 4


class CellCheck(Params):
    """Refits of the cell test read."""

    q: float = 0.10


@register_tool(
    "cell_check",
    params=CellCheck,
    tables={"refits": ("entity", "agree", "refits", "worst_p", "stable")},
    reads=("cell_state", "cell_abundance"),
    requires=("cells",),
)
def cell_check(context: Context, params: CellCheck, inputs: list[Input]) -> Output:
    """Refit a test of cells with other clusters and without each donor; stable hits keep sign and q <= 0.1 in each."""
    source = next(one for one in inputs if one.step.tool in ("cell_state", "cell_abundance"))
    asked = CellContrast.model_validate(source.step.params)
    first = source.tables["features"].set_index("id")
    hits = first[first["q"] <= Q]
    agree, worst, done = np.zeros(len(hits), int), np.zeros(len(hits)), []
    failed = []
    for name, data, label, kept in _variants(context, inputs):
        try:
            if source.step.tool == "cell_state":
                other = state_test(context, asked, data, label, kept).table
            else:
                other = diff_abundance(data, label, asked.design, asked.contrast, sample=asked.sample).table
        except InputError as error:
            failed.append(f"{name}: {error}")
            continue
        other = other.set_axis(other.index.astype(str)).reindex(hits.index)
        agree += ((np.sign(other["effect"]) == np.sign(hits["effect"])) & (other["q"] <= params.q)).to_numpy(int)
        worst = np.maximum(worst, other["p"].fillna(1.0).to_numpy())
        done.append(name)
    table = pd.DataFrame({"entity": hits["entity"], "agree": agree, "refits": len(done)}, index=hits.index)
    table["worst_p"], table["stable"] = worst, (agree == len(done)) & bool(done)
    metrics = {"refits": done, "stable": int(table["stable"].sum()), "hits": len(hits)}
    return Output({"refits": plain_id(table)}, metrics, notes=failed)


def _variants(
    context: Context, inputs: list[Input]
) -> Iterator[tuple[str, ProteomicsData, np.ndarray, np.ndarray | None]]:
    """(name, transformed cells, type of each, kept); nameless clusters cannot be told again in another clustering."""
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
        yield f"without {donor}", data.take(samples=kept), label[kept], kept
