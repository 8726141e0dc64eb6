# ruff: noqa: RUF012  (pydantic copies defaults)
"""The tool on crossed designs: does the effect of one column depend on another, and in which cell does it stand out?"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._crossed import as_levels
from proteus.data._data import ProteomicsData
from proteus.data._design import Design, make_contrast
from proteus.differential._measures import Q
from proteus.differential._moderated_test import blocked_design, fit_design
from proteus.differential._precision import weighted_levels
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import LinearFit
from proteus.statistics._moderated_t import fit_prior, moderated_f, moderated_t
from proteus.tools._context import Context
from proteus.tools._prepare import Prepared, prepared
from proteus.tools._registry import Input, Output, register_tool
from proteus.tools._tools_bulk import answer, findings_of, refits, test_table

_TIE, _STABLE = 1e-9, 0.1
_FIRST, _SECOND = "proteus_first", "proteus_second"  # columns of a model, so that any name can be in a formula


class Interaction(Prepared):
    """Two crossed columns.

    Attributes:
        first: factor. second: factor or number.
        linear: take `second` as a number with a slope, not by its levels.
        first_order, second_order: levels in order, base first.
        adjust: further columns of the model.
        block: column of subjects met more than once (consensus correlation).
        trend, robust: of the variance prior; see `moderated_test`.
    """

    first: str
    second: str
    linear: bool = False
    first_order: list[str] = []
    second_order: list[str] = []
    adjust: list[str] = []
    block: str | None = None
    trend: bool = True
    robust: bool = True


@dataclass(frozen=True)
class _Cells:
    """Contrasts that say how far each cell departs from what the others add up to.

    Attributes:
        names: `group[AD]:day[d7]`, of slopes `group[AD]:time`.
        vectors: (cells, coefficients) departures.
        means: (rows, columns, coefficients) cell means; None for slopes.
    """

    names: list[str]
    vectors: np.ndarray
    means: np.ndarray | None


@register_tool(
    "interaction", params=Interaction,
    tables={"features": ("entity", "cell", "effect", "ci_low", "ci_high", "F", "p", "q", "n", "mean", "n_peptides")},
    requires=("bulk", "crossed"), confirms=True,
)  # fmt: skip
def interaction(context: Context, params: Interaction, _inputs: list[Input]) -> Output:
    """Test whether the effect of one column depends on another (moderated F), and name the cell that stands out."""
    data = prepared(context, params)
    if params.first == params.second:
        raise InputError("interaction", got=f"{params.first!r} twice", expected="two columns")
    sheet = _sheet(data, params)
    formula = "~ " + " + ".join([*params.adjust, f"{_FIRST} * {_SECOND}"])
    made = blocked_design(sheet, formula, params.block)
    kept = data.take(samples=made.kept)
    values, weights, sigma, notes = kept.values, None, None, list(made.notes)
    if kept.precision is not None:
        values, weights, sigma = weighted_levels(kept, made.matrix, None)
    fit, correlation = fit_design(values, made, kept, params.block, weights)
    if correlation is not None:
        notes.append(f"consensus correlation within {params.block}: {correlation:.3f}")
    prior = fit_prior(fit, trend=params.trend, robust=params.robust)
    joint = np.array([":" in name for name in made.names])
    if not joint.any():
        raise InputError("interaction", got=formula, expected="two columns that cross")
    f, p, rank = moderated_f(fit, np.eye(len(joint))[:, joint], prior)
    cells = _cells(made, params)
    place = _standing_out(fit, cells)
    tests = [moderated_t(fit, vector, prior) for vector in cells.vectors]
    chosen = place, np.arange(len(place))
    effect = np.stack([one.effect for one in tests])[chosen]
    low, high = (np.stack(side)[chosen] for side in zip(*(one.interval() for one in tests), strict=True))
    frame = pd.DataFrame(
        {
            "gene": kept.genes, "cell": np.array(cells.names, object)[place], "effect": effect, "ci_low": low,
            "ci_high": high, "F": f, "p": p, "q": benjamini_hochberg(p), "n": (~np.isnan(kept.values)).sum(1),
            "mean": fit.mean,
        },
        index=kept.features.index,
    )  # fmt: skip
    table = test_table(frame, kept)
    relation = "slope_differs_in" if params.linear else "departs_in"
    found = findings_of(table, "features", relation, "", chosen=(table["q"] <= Q).to_numpy())
    where = dict(zip(table["id"], table["cell"], strict=True))
    found = [one.model_copy(update={"target": str(where[one.row])}) for one in found]
    spread = fit.sigma if sigma is None else sigma
    notes.append(f"moderated F over {rank} difference{'s' * (rank > 1)} of differences; no fold bar")
    metrics = {"rank": rank, "residual_sd": round(float(np.nanmedian(spread)), 4), "cells": len(cells.names)}
    return answer(table, relation, "", metrics=metrics, notes=notes, found=found)


@register_tool(
    "interaction_check", params=Prepared, reads=("interaction",), requires=("bulk",),
    tables={"refits": ("entity", "agree", "refits", "worst_p", "stable", "failed")},
)  # fmt: skip
def interaction_check(context: Context, _params: Prepared, inputs: list[Input]) -> Output:
    """Refit an interaction with another normalisation and a plain prior; stable hits keep their side and q <= 0.1."""
    source = next(one for one in inputs if one.step.tool == "interaction")
    base = Interaction.model_validate(source.step.params)
    changes: dict[str, dict[str, object]] = (
        {"quantile": {"normalise": "quantile"}} if context.data.scale == "log2" else {}
    )
    changes["plain prior"] = {"trend": False, "robust": False}

    def again(change: dict[str, object]) -> pd.DataFrame:
        frame = interaction(context, base.model_copy(update=change), []).tables["features"].set_index("id")
        return frame.assign(t=frame["effect"])

    features = source.tables["features"].assign(t=source.tables["features"]["effect"])
    return refits(features, ((name, partial(again, change)) for name, change in changes.items()), _STABLE)


def _sheet(data: ProteomicsData, params: Interaction) -> pd.DataFrame:
    first = as_levels(data.factor(params.first), params.first_order)
    second = data.factor(params.second)
    if params.linear:
        if not pd.api.types.is_numeric_dtype(second):
            raise InputError("interaction", got=f"{params.second!r}, which is text", expected="a number for a slope")
        second = second.astype(float)
    else:
        second = as_levels(second, params.second_order)
    return data.samples.assign(**{_FIRST: first, _SECOND: second})


def _cells(made: Design, params: Interaction) -> _Cells:
    rows = made.levels[_FIRST]
    if params.linear:
        slopes = np.array([_slope(made, level, rows[0]) for level in rows])
        vectors = np.array([one - np.delete(slopes, k, 0).mean(0) for k, one in enumerate(slopes)])
        return _Cells([f"{params.first}[{level}]:{params.second}" for level in rows], vectors, None)
    columns = made.levels[_SECOND]
    means = np.array([[made.codes[f"{_FIRST}[{a}]:{_SECOND}[{b}]"] for b in columns] for a in rows])
    names, vectors = [], []
    for i, a in enumerate(rows):
        for j, b in enumerate(columns):
            others = np.delete(means, i, 0)
            alone = means[i, j] - np.delete(means[i], j, 0).mean(0)
            vectors.append(alone - others[:, j].mean(0) + np.delete(others, j, 1).mean((0, 1)))
            names.append(f"{params.first}[{a}]:{params.second}[{b}]")
    return _Cells(names, np.array(vectors), means)


def _slope(made: Design, level: str, base: str) -> np.ndarray:
    slope = make_contrast(made, _SECOND)
    return slope if level == base else slope + make_contrast(made, f"{_FIRST}{level}:{_SECOND}")


def _standing_out(fit: LinearFit, cells: _Cells) -> np.ndarray:
    """(P,) index of the cell without which the others agree best.

    The others agree where both effects add up in them. Two cells of a column of two say the same of that; of these the
    one stands out without which the others are closest to one another.
    """
    if cells.means is None:
        return np.nan_to_num(np.stack([np.abs(fit.contrast(one)[0][:, 0]) for one in cells.vectors])).argmax(0)
    rows, columns, size = cells.means.shape
    means = fit.contrast(cells.means.reshape(-1, size).T)[0]
    means = np.where(np.isfinite(means), means, np.nanmean(means, axis=1, keepdims=True))
    row, column = np.indices((rows, columns)).reshape(2, -1)
    ones = np.ones((rows * columns, 1))
    sums = np.column_stack([ones, *(row == k for k in range(1, rows)), *(column == k for k in range(1, columns))])
    added, level = (np.stack([_rest(means, model, cell) for cell in range(len(ones))], 1) for model in (sums, ones))
    tied = added <= added.min(1, keepdims=True) + _TIE * level.max(1, keepdims=True)
    return np.where(tied, level, np.inf).argmin(1)


def _rest(means: np.ndarray, model: np.ndarray, cell: int) -> np.ndarray:
    """(P,) what a model of the cells leaves of all but one of them, as a sum of squares."""
    others = np.arange(len(model)) != cell
    values, basis = means[:, others], np.linalg.qr(model[others])[0]
    return ((values - values @ basis @ basis.T) ** 2).sum(1)
