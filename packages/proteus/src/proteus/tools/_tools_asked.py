"""Tools that answer what only a user asks: what stays the same, and what a sample or a level has of a feature."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from pydantic import Field
from scipy import stats

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
