"""Tools that answer what only a user asks: what stays the same, what goes with a feature, how far replicates vary, and
what a sample or a level has of a feature."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from pydantic import Field
from scipy import stats

from proteus.data._data import ProteomicsData
from proteus.differential._measures import entity_names
from proteus.statistics._error_control import benjamini_hochberg
from proteus.tools._context import Context
from proteus.tools._prepare import Prepared, Tested, prepared, tested
from proteus.tools._registry import Input, Output, Params, register_tool
from proteus.tools._tools_bulk import answer, findings_of, plain_id


class Equivalence(Params):
    """The margin within which a change is none.

    Attributes:
        margin: A ratio: 1.5 is 1.5-fold either way.
    """

    margin: float = Field(default=1.5, gt=1)


_SAME = ("entity", "effect", "ci_low", "ci_high", "margin", "p", "q", "n")


@register_tool(
    "equivalence", params=Equivalence, tables={"features": _SAME}, reads=("contrast",), requires=("bulk", "groups")
)
def equivalence(context: Context, params: Equivalence, inputs: list[Input]) -> Output:
    """Find features that change by less than a margin (two one-sided tests of the moderated t, Schuirmann 1987)."""
    source = next(one for one in inputs if one.step.tool == "contrast")
    asked = Tested.model_validate(source.step.params)
    result = tested(context, asked.model_copy(update={"lfc": 0.0}))
    table, df = result.table, result.tested.df
    bar, effect = float(np.log2(params.margin)), table["effect"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = (table["ci_high"] - table["ci_low"]).to_numpy(float) / 2 / stats.t.ppf(0.975, df)
        p = stats.t.sf((bar - np.abs(effect)) / error, df)  # the larger of the two
    frame = pd.DataFrame(
        {"entity": entity_names(prepared(context, asked)).to_numpy(), "margin": bar, "p": p,
         "q": benjamini_hochberg(p)}, index=table.index,
    )  # fmt: skip
    for column in ("effect", "ci_low", "ci_high", "n"):
        frame[column] = table[column].to_numpy()
    made = plain_id(frame)[["id", *_SAME]]
    found = [
        one.model_copy(update={"sign": 0}) for one in findings_of(made, "features", "unchanged_in", asked.contrast)
    ]
    return answer(made, "unchanged_in", asked.contrast, metrics={"margin": params.margin}, found=found)


class Lookup(Prepared):
    """Features, and the sample or the level to look at."""

    entities: list[str] = Field(min_length=1)
    sample: str | None = None
    factor: str | None = None
    level: str | None = None


@register_tool(
    "lookup", params=Lookup, tables={"values": ("entity", "where", "value", "seen", "of")}, requires=("bulk",)
)
def lookup(context: Context, params: Lookup, _inputs: list[Input]) -> Output:
    """Look up features in one sample, or in how many samples of a level they are seen; values as loaded."""
    data = context.data
    names = entity_names(data).astype(str).to_numpy()
    if params.sample is not None:
        inside, where = (data.samples.index.astype(str) == params.sample), params.sample
    elif params.factor is not None and params.level is not None:
        inside, where = (data.factor(params.factor).astype(str) == params.level).to_numpy(), params.level
    else:
        raise InputError("lookup", got="no sample, no level", expected="a sample, or a factor and a level")
    rows = np.flatnonzero(np.isin(names, params.entities))
    if not inside.any() or not len(rows):
        raise InputError("lookup", got=f"{where!r}, {', '.join(params.entities)}", expected="what the table has")
    values = data.values[np.ix_(rows, np.asarray(inside))]
    seen = (~np.isnan(values)).sum(1)
    mean = np.divide(np.nansum(values, 1), seen, out=np.full(len(rows), np.nan), where=seen > 0)
    frame = pd.DataFrame(
        {"id": data.features.index[rows].astype(str), "entity": names[rows], "where": where, "value": mean,
         "seen": seen, "of": values.shape[1]}
    )  # fmt: skip
    return Output({"values": frame})


class Correlated(Prepared):
    """A feature whose correlations are asked for.

    Attributes:
        entity: name of the feature.
        subject: column of subjects measured more than once; a subject's samples are averaged.
    """

    entity: str
    subject: str | None = None


_GOES = ("entity", "effect", "ci_low", "ci_high", "p", "q", "n")
_LEAST = 4  # samples that both features are seen in


@register_tool("correlation", params=Correlated, tables={"features": _GOES}, requires=("bulk",))
def correlation(context: Context, params: Correlated, _inputs: list[Input]) -> Output:
    """Correlate each feature with one of them over all samples (Pearson, log scale, 95 % interval by Fisher's z)."""
    data = prepared(context, params)
    names, values = entity_names(data).astype(str).to_numpy(), _of_subjects(data, params.subject)
    rows = np.flatnonzero(names == params.entity)
    if not len(rows):
        raise InputError("correlation", got=repr(params.entity), expected="a feature of the table")
    chosen = rows[np.isnan(values[rows]).sum(1).argmin()]  # of a gene's several features the one that is seen most
    both = ~np.isnan(values) & ~np.isnan(values[chosen])
    n = both.sum(1)
    x, y = (np.where(both, one, 0.0) for one in (np.broadcast_to(values[chosen], values.shape), values))
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (np.where(both, one - one.sum(1, keepdims=True) / n[:, None], 0.0) for one in (x, y))
        r = np.clip((x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1)), -1, 1)
        r = np.where((n >= _LEAST) & (names != params.entity), r, np.nan)
        p = 2 * stats.t.sf(np.abs(r) * np.sqrt((n - 2) / np.maximum(1 - r**2, 1e-300)), np.maximum(n - 2, 1))
        reach = 1.96 / np.sqrt(np.maximum(n - 3, 1))
        low, high = np.tanh(np.arctanh(r) - reach), np.tanh(np.arctanh(r) + reach)
    frame = pd.DataFrame(
        {"entity": names, "effect": r, "ci_low": low, "ci_high": high, "p": p, "q": benjamini_hochberg(p), "n": n},
        index=data.features.index,
    )  # fmt: skip
    table = plain_id(frame[names != params.entity])
    note = f"over {values.shape[1]} {'subjects' if params.subject else 'samples'}: groups that differ correlate, too"
    return answer(table, "correlates_with", params.entity, notes=[note])


def _of_subjects(data: ProteomicsData, subject: str | None) -> np.ndarray:
    """(P, N) values; of repeated subjects their means."""
    if subject is None:
        return data.values
    codes, known = pd.factorize(data.factor(subject).astype(str))
    seen = ~np.isnan(data.values)
    belongs = np.eye(len(known))[codes]
    with np.errstate(invalid="ignore"):
        return (np.where(seen, data.values, 0.0) @ belongs) / (seen @ belongs)


class Level(Prepared):
    """A level of a factor, and features in it; all if none are named."""

    factor: str
    level: str
    entities: list[str] = []  # noqa: RUF012  (pydantic copies defaults)


def _inside(data: ProteomicsData, params: Level) -> np.ndarray:
    """(P, n) values of the level's samples."""
    inside = (data.factor(params.factor).astype(str) == params.level).to_numpy()
    if not inside.any():
        raise InputError("level", got=repr(params.level), expected=f"a level of {params.factor}")
    return data.values[:, inside]


@register_tool(
    "spread", params=Level, tables={"features": ("entity", "cv", "n"), "summary": ("value",)}, requires=("bulk",)
)
def spread(context: Context, params: Level, _inputs: list[Input]) -> Output:
    """Measure coefficients of variation within a level, in percent, on the linear scale after normalisation."""
    data = prepared(context, params)
    if data.scale != "log2":
        raise InputError("cv", got=f"values on the scale {data.scale}", expected="intensities")
    values = np.exp2(_inside(data, params))
    n = (~np.isnan(values)).sum(1)
    solid = np.flatnonzero(n >= 2)
    if not len(solid):
        raise InputError("cv", got=f"no feature seen twice in {params.level}", expected="two values or more")
    cv = 100 * np.nanstd(values[solid], axis=1, ddof=1) / np.nanmean(values[solid], axis=1)
    names = entity_names(data).astype(str).to_numpy()[solid]
    frame = pd.DataFrame({"entity": names, "cv": cv, "n": n[solid]}, index=data.features.index[solid])
    about = frame[np.isin(names, params.entities)] if params.entities else frame
    summary = pd.DataFrame({"id": ["median", "features"], "value": [np.median(cv), len(cv)]})
    return Output({"features": plain_id(about.sort_values("cv", ascending=False, kind="stable")), "summary": summary})


@register_tool("detected", params=Level, tables={"counts": ("n",)}, requires=("bulk",))
def detected(context: Context, params: Level, _inputs: list[Input]) -> Output:
    """Count the features that are seen in any, in half and in each of a level's samples; values as loaded."""
    seen = ~np.isnan(_inside(context.data, params))
    share = seen.mean(1)
    counts = [int((share > 0).sum()), int((share >= 0.5).sum()), int((share == 1).sum()), *seen.shape]
    names = ["any", "half", "each", "features", "samples"]
    return Output({"counts": pd.DataFrame({"id": names, "n": counts})})
