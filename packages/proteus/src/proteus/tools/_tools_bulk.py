"""Tools on tables of features by samples: quality, contrasts, trends, patterns, sensitivity, detectable effect."""
# ruff: noqa: RUF012  (pydantic copies defaults)

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.data._crossed import as_levels, few_values
from proteus.data._data import ProteomicsData
from proteus.data._design import crosstab, make_contrast
from proteus.differential._measures import Q, entity_names, measure_test, shares_peptides_with
from proteus.differential._moderated_test import blocked_design, contrast_groups, contrast_labels, fit_design
from proteus.differential._profile import eta_squared, find_outliers, principal_components
from proteus.record._cited import COLUMNS
from proteus.record._objects import Finding
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._moderated_t import fit_prior, moderated_f, moderated_t
from proteus.statistics._spread import spread_ratio
from proteus.tools._context import Context
from proteus.tools._prepare import Prepared, Tested, prepared, tested
from proteus.tools._registry import Input, Output, register_tool

MOST = 200  # findings of one table
_NOTHING: Mapping[str, Any] = {}
TEST = (
    "entity", "effect", "ci_low", "ci_high", "t", "p", "q", "n", "mean", "sigma", "only_in", "exact_p", "modelled",
    "n_peptides",
)  # fmt: skip
_SEEN = ("seen_first", "missing_first", "of_first", "seen_second", "missing_second", "of_second")  # samples of a group


def plain_id(frame: pd.DataFrame) -> pd.DataFrame:
    """The index as the first column `id`, as text."""
    result = frame.reset_index(drop=True)
    result.insert(0, "id", frame.index.astype(str).to_numpy())
    return result


def findings_of(
    table: pd.DataFrame, name: str, relation: str, target: str, *, chosen: np.ndarray | None = None, **more: Any
) -> list[Finding]:
    """Rows at q <= 0.05 (or `chosen`), smallest p first, as findings; columns that are not there stay None."""
    mask = (table["q"] <= Q).to_numpy() if chosen is None else chosen
    rows = table[mask].sort_values("p", kind="stable").head(MOST)

    def number(row: Any, column: str) -> float | None:
        value = row.get(column)
        return float(value) if value is not None and np.isfinite(value) else None

    result = []
    for _, row in rows.iterrows():
        effect, n = number(row, "effect"), number(row, "n")
        side = (
            (number(row, "t") or number(row, "only_in") or 0.0) if effect is None else effect or -1.0
        )  # a feature of one group has no effect
        numbers = {name: number(row, column) for name, column in COLUMNS.items() if name != "n"}
        result.append(Finding(
            id=f"{name}#{row['id']}", objective="O0", entity=str(row["entity"]), relation=relation, target=target,
            sign=_sign(side), **numbers, n=None if n is None else int(n), artifact=name, row=str(row["id"]),
            only_in=_sign(number(row, "only_in") or 0.0), modelled=int(number(row, "modelled") or 0), **more,
        ))  # fmt: skip
    return result


def answer(
    table: pd.DataFrame, relation: str, target: str, *, name: str = "features", metrics: Mapping[str, Any] = _NOTHING,
    notes: Sequence[str] = (), found: list[Finding] | None = None,
) -> Output:  # fmt: skip
    """The output of a test of each row: its table, counts of rows tested and passed, findings, and its family."""
    counts = {"tested": int(table["p"].notna().sum()), "hits": int((table["q"] <= Q).sum()), **metrics}
    found = findings_of(table, name, relation, target) if found is None else found
    return Output({name: table}, counts, found, (name, "p"), list(notes))


def _sign(value: float) -> Literal[-1, 0, 1]:
    return 1 if value > 0 else -1 if value < 0 else 0


@register_tool(
    "quality",
    params=Prepared,
    tables={
        "samples": ("missing", "median", "PC1", "PC2", "PC3", "outlying"),
        "factors": ("component", "eta2"),
        "components": ("share",),
    },
    requires=("bulk",),
)
def quality(context: Context, params: Prepared, _inputs: list[Input]) -> Output:
    """Look at runs: missingness, medians, principal components, outliers, and what factors explain of them."""
    data = prepared(context, params)
    scores = principal_components(data.values, data.shape[1])
    squares = (scores**2).sum(0)
    shares = squares[:3] / max(squares.sum(), 1e-300)
    share = pd.DataFrame({"id": [f"PC{place + 1}" for place in range(len(shares))], "share": shares})
    scores = scores[:, :3]
    outliers = find_outliers(data)
    samples = pd.DataFrame(
        {"missing": np.isnan(data.values).mean(0), "median": np.nanmedian(data.values, axis=0)},
        index=data.samples.index,
    )
    for place in range(3):
        samples[f"PC{place + 1}"] = scores[:, place] if scores.shape[1] > place else np.nan
    samples["outlying"] = data.samples.index.isin(outliers)
    rows, best = [], {}
    for factor in context.profile.factors:
        codes = pd.factorize(data.samples[factor.name])[0]
        eta = [eta_squared(scores[:, place], codes) for place in range(scores.shape[1])]
        rows += [(f"{factor.name}|PC{place + 1}", f"PC{place + 1}", value) for place, value in enumerate(eta)]
        best[factor.name] = round(max(eta, default=0.0), 4)
    factors = pd.DataFrame(rows, columns=["id", "component", "eta2"])
    batches = {name: best[name] for name in context.profile.batch if name in best}
    metrics = {"eta2": best, "batch_eta2": batches, "outliers": outliers, "samples": data.shape[1]}
    return Output({"samples": plain_id(samples), "factors": factors, "components": share}, metrics)


@register_tool(
    "contrast", params=Tested, tables={"features": (*TEST, *_SEEN)}, requires=("bulk", "groups"), confirms=True
)
def contrast(context: Context, params: Tested, _inputs: list[Input]) -> Output:
    """Test a contrast of groups feature by feature by the moderated t-test."""
    data, result = prepared(context, params), tested(context, params)
    kept = data.take(samples=result.made.kept)
    table = test_table(result.table, data)
    metrics = measure_test(result, kept)
    groups = contrast_groups(result.made, params.contrast)
    for name, inside in zip(("first", "second"), groups or (None, None), strict=True):
        seen = None if inside is None else (~np.isnan(kept.values[:, inside])).sum(1)
        size = np.nan if inside is None else int(inside.sum())
        table[f"seen_{name}"] = np.nan if seen is None else seen
        table[f"missing_{name}"] = np.nan if seen is None else size - seen
        table[f"of_{name}"] = size
    labels = contrast_labels(kept, result.made, params.contrast)
    if labels is not None:
        metrics["spread"] = round(spread_ratio(kept.values, result.made.matrix, labels), 3)
    if groups is not None:
        metrics["n"] = [int(one.sum()) for one in groups]
    hits = table[table["q"] <= Q]
    metrics["one_peptide"] = int((hits["n_peptides"] == 1).sum())
    others = shares_peptides_with(data)
    found = findings_of(table, "features", "changed_in", params.contrast)
    found = [one.model_copy(update={"also": others.get(one.row, [])}) for one in found]
    return answer(table, "changed_in", params.contrast, metrics=metrics, notes=result.notes, found=found)


def test_table(frame: pd.DataFrame, data: ProteomicsData) -> pd.DataFrame:
    table = plain_id(frame.drop(columns="gene"))
    table.insert(1, "entity", entity_names(data).to_numpy())
    known = "n_peptides" in data.features
    table["n_peptides"] = data.features["n_peptides"].to_numpy(float) if known else np.nan
    return table


class Trend(Prepared):
    """A slope over a number of the sample sheet, or over the order of a factor's levels.

    Attributes:
        order: levels in order, for a factor; their places 0, 1, 2 ... are the numbers.
        block: column of subjects met more than once, whose runs are no independent observations.
    """

    over: str
    adjust: list[str] = []
    order: list[str] = []
    block: str | None = None


@register_tool("trend", params=Trend, tables={"features": TEST}, requires=("bulk",), confirms=True)
def trend(context: Context, params: Trend, _inputs: list[Input]) -> Output:
    """Test each feature's slope over a dose, a time, or another number of the sample sheet."""
    data = prepared(context, params)
    column = data.factor(params.over)
    if params.order:
        place = {level: float(number) for number, level in enumerate(params.order)}
        column = column.astype(str).map(place)
    elif not pd.api.types.is_numeric_dtype(column):
        raise InputError(
            "trend", got=f"{params.over!r}, which is text", expected="a number, or the order of its levels"
        )
    sheet = data.samples.assign(proteus_slope=column.astype(float))
    data = ProteomicsData(data.values, data.features, sheet, data.level, data.scale, data.source, data.notes)
    inner = Context(data, context.profile, seed=context.seed)
    formula = " + ".join([f"~ {name}" if place == 0 else name for place, name in enumerate([*params.adjust, ""])][:-1])
    formula = f"{formula} + proteus_slope" if formula else "~ proteus_slope"
    asked = Tested(design=formula, contrast="proteus_slope", normalise="none", lfc=0.0, block=params.block)
    result = tested(inner, asked)
    table = test_table(result.table, data)
    return answer(table, "follows", params.over, metrics=measure_test(result, data), notes=result.notes)


class Groups(Prepared):
    """All levels of a factor against its first, or all values of a number that has few.

    Attributes:
        block: column of subjects met more than once.
    """

    design: str
    factor: str
    block: str | None = None


@register_tool(
    "groups", params=Groups, tables={"features": ("entity", "highest", "F", "p", "q", "n")}, requires=("bulk",)
)
def groups(context: Context, params: Groups, _inputs: list[Input]) -> Output:
    """Find features that differ between any levels of a factor (moderated F over differences, not the intercept)."""
    data = prepared(context, params)
    column, sheet = data.factor(params.factor), data.samples
    if pd.api.types.is_numeric_dtype(column) and few_values(column):
        sheet = sheet.assign(**{params.factor: as_levels(column)})
    made = blocked_design(sheet, params.design, params.block)
    kept = data.take(samples=made.kept)
    if params.factor not in made.levels:
        raise InputError("factor", got=repr(params.factor), expected=f"one of the design's: {', '.join(made.levels)}")
    levels = made.levels[params.factor]
    vectors = [make_contrast(made, f"{params.factor}[{one}]-{params.factor}[{levels[0]}]") for one in levels[1:]]
    fit, _ = fit_design(kept.values, made, kept, params.block, None)
    prior = fit_prior(fit, trend=True, robust=True)
    f, p, rank = moderated_f(fit, np.stack(vectors, 1), prior)
    effects = np.stack([np.zeros(len(f)), *(moderated_t(fit, one, prior).effect for one in vectors)], 1)
    highest = np.array(levels, object)[np.argmax(np.nan_to_num(effects, nan=-np.inf), axis=1)]
    frame = pd.DataFrame(
        {"entity": entity_names(kept).to_numpy(), "highest": highest, "F": f, "p": p, "q": benjamini_hochberg(p)},
        index=kept.features.index,
    )
    frame["n"] = (~np.isnan(kept.values)).sum(1)
    return answer(plain_id(frame), "differs_between", params.factor, metrics={"rank": rank}, notes=made.notes)


FLOORS = (0.005, 0.15)  # quantiles of a run at which features of one group alone are taken to be in the other


class Sensitivity(Prepared):
    """Refits of the contrast read: other normalisation, plain prior, other curves and floors for what is missing,
    samples left out one at a time.

    Attributes:
        drop: samples whose absence is one refit each.
    """

    drop: list[str] = []
    q: float = 0.10


def _variants(base: Tested, scale: str, metrics: Mapping[str, Any], drop: list[str]) -> dict[str, Tested]:
    """The refits by name; those of missing values where some enter the test."""
    changes: dict[str, dict[str, Any]] = {"quantile": {"normalise": "quantile"}} if scale == "log2" else {}
    changes["plain prior"] = {"trend": False, "robust": False}
    if metrics.get("modelled"):
        changes["flatter curve"] = {"slope": 0.5}
        if "n" in metrics:  # a contrast of two groups
            changes |= {f"curve of the {one} group": {"curve_of": one} for one in ("first", "second")}
        changes |= {f"floor at the {one:.1%} quantile": {"missing": "floor", "floor": one} for one in FLOORS}
    changes |= {f"without {name}": {"leave_out": [*base.leave_out, name]} for name in drop}
    return {name: base.model_copy(update=change) for name, change in changes.items()}


@register_tool(
    "sensitivity",
    params=Sensitivity,
    tables={"refits": ("entity", "agree", "refits", "worst_p", "stable", "failed")},
    reads=("contrast",),
    requires=("bulk",),
)
def sensitivity(context: Context, params: Sensitivity, inputs: list[Input]) -> Output:
    """Refit a contrast in other ways; a hit is stable if it keeps its side and q <= 0.1 in each of them."""
    source = next(one for one in inputs if one.step.tool == "contrast")
    base = Tested.model_validate(source.step.params)
    variants = _variants(base, context.data.scale, source.metrics, params.drop)
    others = ((name, partial(_table_of, context, one)) for name, one in variants.items())
    return refits(source.tables["features"], others, params.q)


def _table_of(context: Context, params: Tested) -> pd.DataFrame:
    return tested(context, params).table


def refits(features: pd.DataFrame, variants: Iterable[tuple[str, Callable[[], pd.DataFrame]]], q: float) -> Output:
    """Hits of a test under other choices: in how many they keep their side and q, the largest p, where they fail."""
    first = features.set_index("id")
    hits = first[first["q"] <= Q]
    table = hits[["entity"]].assign(agree=0, refits=0, worst_p=0.0, stable=False, failed="")
    names, failed = [], []
    for name, variant in variants:  # each is made when its turn comes: of many cells, one at a time is held
        names.append(name)
        try:
            other = variant()
        except InputError as error:
            failed.append(f"{name}: {error}")
            continue
        other = other.set_axis(other.index.astype(str)).reindex(hits.index)
        same = (np.sign(other["t"]) == np.sign(hits["t"])) & (other["q"] <= q)
        table["agree"] += same.astype(int)
        table["failed"] += np.where(same, "", f"{name}; ")
        table["worst_p"] = np.maximum(table["worst_p"], other["p"].fillna(1.0))
    table["refits"] = done = len(names) - len(failed)
    table["stable"], table["failed"] = (table["agree"] == done) & (done > 0), table["failed"].str.removesuffix("; ")
    metrics = {"refits": names, "stable": int(table["stable"].sum()), "hits": len(hits)}
    return Output({"refits": plain_id(table)}, metrics, notes=failed)


@register_tool(
    "detectable_effect", params=Prepared, tables={"effects": ("effect",)}, reads=("contrast",), requires=("bulk",)
)
def detectable_effect(_context: Context, _params: Prepared, inputs: list[Input]) -> Output:
    """Say how large a change has 80 % power at p 0.05, before correction for many tests, by quantile of features."""
    source = next(one for one in inputs if one.step.tool == "contrast")
    table = source.tables["features"]
    error = ((table["ci_high"] - table["ci_low"]) / 2 / 1.96).dropna()
    factor = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    shares = [0.1, 0.25, 0.5, 0.75, 0.9]
    effects = [float(source.metrics.get("lfc", 0)) + factor * float(error.quantile(one)) for one in shares]
    frame = pd.DataFrame({"id": [f"{one:.0%} of features" for one in shares], "effect": effects})
    return Output({"effects": frame}, {"median": round(effects[2], 3)})


class Crosstab(Prepared):
    """Two factors laid over each other."""

    first: str
    second: str


@register_tool("crosstab", params=Crosstab, tables={"counts": ("first", "second", "n")})
def count_levels(context: Context, params: Crosstab, _inputs: list[Input]) -> Output:
    """Count samples in each combination of two factors, and say whether they can be separated."""
    sheet = context.data.samples
    for name in (params.first, params.second):
        context.data.factor(name)
    if params.first == params.second:
        raise InputError("crosstab", got=f"{params.first!r} twice", expected="two columns")
    counts = pd.crosstab(sheet[params.first], sheet[params.second]).stack().reset_index()
    counts.columns = ["first", "second", "n"]
    counts.insert(0, "id", counts["first"].astype(str) + "|" + counts["second"].astype(str))
    v = context.profile.aliasing.get(params.first, {}).get(params.second)
    aliased = v is not None and v > 0.999
    text = crosstab(sheet, [params.first, params.second])
    return Output({"counts": counts}, {"cramers_v": v, "aliased": aliased, "crosstab": text})
