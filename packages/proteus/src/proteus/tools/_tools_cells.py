"""Tools on tables of cells: clusters, their abundance and their state. n is donors' samples, never cells."""
# ruff: noqa: RUF012  (pydantic copies defaults)

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.differential._moderated_test import TestResult
from proteus.knowledge._describe import cell_annotation
from proteus.outcomes._cells import annotate, arcsinh, cluster_cells, diff_abundance, diff_state
from proteus.outcomes._pseudobulk import diff_expression
from proteus.record._words import words
from proteus.tools._context import Context
from proteus.tools._registry import Input, Output, Params, register_tool
from proteus.tools._tools_bulk import answer, findings_of, plain_id

# Blood, by the markers that panels share; a rule is used if all its markers are in the table.


class Clusters(Params):
    """How cells are grouped.

    Attributes:
        markers: markers to cluster on; none: those of class `type`. By default an annotation that the table brings
            is used.
    """

    clusters: int = 20
    cofactor: float = 5.0
    markers: list[str] = []


def grouped(context: Context, params: Clusters, *, seed: int | None = None) -> tuple[ProteomicsData, np.ndarray]:
    """Transformed cells, and each cell's type (its cluster's number where no rule names it); remembered."""
    start = context.seed if seed is None else seed
    return context.remember("clusters", params.model_dump() | {"seed": start}, lambda: _group(context, params, start))


def _group(context: Context, params: Clusters, seed: int) -> tuple[ProteomicsData, np.ndarray]:
    data = context.data
    if data.scale == "counts":
        data = context.remember("arcsinh", {"by": params.cofactor}, lambda: arcsinh(context.data, params.cofactor))
    given = cell_annotation(data)
    if given is not None and params == Clusters(cofactor=params.cofactor):
        return data, data.samples[given].astype(str).to_numpy(object)
    markers = params.markers or [name for name, kind in context.markers.items() if kind == "type"]
    markers = [name for name in markers if name in data.features.index] or [str(name) for name in data.features.index]
    number = cluster_cells(data, markers, clusters=params.clusters, seed=seed)
    rules = context.rules or words("blood")
    rules = {name: rule for name, rule in rules.items() if set(rule) <= set(data.features.index)}
    if not rules:
        return data, np.array([f"cluster {one}" for one in number], object)
    names = annotate(data, number, rules)
    label = np.array([names[one] for one in number], object)
    return data, label


@register_tool(
    "cell_types", params=Clusters, tables={"types": ("entity", "cells", "share", "markers")}, requires=("cells",)
)
def cell_types(context: Context, params: Clusters, _inputs: list[Input]) -> Output:
    """The types that the table gives its cells; else cluster cells on type markers, and name clusters by rules."""
    return context.remember("cell_types", params.model_dump(), lambda: _types(*grouped(context, params)))


def _types(data: ProteomicsData, label: np.ndarray) -> Output:
    rows = []
    whole = np.median(data.values, axis=1)
    for name in sorted(set(label)):
        inside = label == name
        above = np.median(data.values[:, inside], axis=1) - whole
        top = [str(data.features.index[one]) for one in np.argsort(-above)[:3] if above[one] > 0]
        rows.append((name, name, int(inside.sum()), round(float(inside.mean()), 4), ";".join(top)))
    table = pd.DataFrame(rows, columns=["id", "entity", "cells", "share", "markers"])
    named = float((label != "unassigned").mean())
    return Output({"types": table}, {"types": len(table), "assigned": round(named, 4)})


class CellContrast(Params):
    """A contrast between donors' samples."""

    design: str
    contrast: str
    sample: str = "sample_id"


_TABLE = ("entity", "cell_type", "effect", "ci_low", "ci_high", "t", "p", "q", "n")


def _out(result: TestResult, entity: list[str], types: list[str], relation: str, contrast: str) -> Output:
    table = plain_id(result.table)
    table["entity"], table["cell_type"] = entity, types
    table = table[["id", *_TABLE]]
    kind = "cluster" if relation == "abundance_changed_in" else "feature"
    found = []
    for one in findings_of(table, "features", relation, contrast, kind=kind):
        where = str(table.set_index("id").loc[one.row, "cell_type"])
        found.append(one.model_copy(update={"target": f"{contrast} in {where}"} if kind == "feature" else {}))
    metrics = {"samples": int(result.made.kept.sum())}
    return answer(table, relation, contrast, metrics=metrics, notes=result.notes, found=found)


@register_tool(
    "cell_abundance", params=CellContrast, tables={"features": _TABLE}, reads=("cell_types",), requires=("cells",),
    confirms=True,
)  # fmt: skip
def cell_abundance(context: Context, params: CellContrast, inputs: list[Input]) -> Output:
    """Test whether cell types are more or less abundant, one observation a donor's sample (DA)."""
    data, label = grouped(context, clusters_of(inputs))
    result = diff_abundance(data, label, params.design, params.contrast, sample=params.sample)
    names = result.table.index.astype(str).tolist()
    return _out(result, names, names, "abundance_changed_in", params.contrast)


@register_tool(
    "cell_state", params=CellContrast, tables={"features": _TABLE}, reads=("cell_types",), requires=("cells",),
    confirms=True,
)  # fmt: skip
def cell_state(context: Context, params: CellContrast, inputs: list[Input]) -> Output:
    """Test state markers (medians) or counts (sums) within cell types, one observation a donor's sample (DS)."""
    data, label = grouped(context, clusters_of(inputs))
    result = state_test(context, params, data, label)
    pairs = [str(one).rsplit("|", 1) for one in result.table.index]
    return _out(result, [b for _, b in pairs], [a for a, _ in pairs], "state_changed_in", params.contrast)


def state_test(
    context: Context, params: CellContrast, data: ProteomicsData, label: np.ndarray, kept: np.ndarray | None = None
) -> TestResult:
    """Medians of state markers; where the table has counts and brings its annotation, and no panel, sums of counts.

    `kept` says which cells are tested; None: all.
    """
    label = label if kept is None else label[kept]
    if context.data.scale == "counts" and not context.markers and cell_annotation(context.data) is not None:
        counts = context.data if kept is None else context.data.take(samples=kept)
        return diff_expression(counts, label, params.design, params.contrast, sample=params.sample)
    data = data if kept is None else data.take(samples=kept)
    return diff_state(data, label, state_markers(context), params.design, params.contrast, sample=params.sample)


def state_markers(context: Context) -> list[str]:
    """Markers of class `state` that the table has."""
    known = context.data.features.index
    markers = [name for name, kind in context.markers.items() if kind == "state" and name in known]
    if not markers:
        raise InputError("state markers", got="none known", expected="a panel that says which markers are `state`")
    return markers


def clusters_of(inputs: list[Input]) -> Clusters:
    """How the cells that a step reads were grouped."""
    source = next((one for one in inputs if one.step.tool == "cell_types"), None)
    if source is None:
        raise InputError("inputs", got="no step of cell_types", expected="one, which says how the cells are grouped")
    return Clusters.model_validate(source.step.params)
