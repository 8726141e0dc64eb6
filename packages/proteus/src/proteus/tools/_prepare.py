"""Preparation that every tool of bulk tables shares: roll-up, samples left out, normalisation."""

from typing import Literal

import numpy as np
from ninefold.errors import InputError
from pydantic import Field

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up
from proteus.differential._measures import mode_of
from proteus.differential._missing import MissingModel
from proteus.differential._moderated_test import TestResult, moderated_test
from proteus.differential._normalise import normalise
from proteus.tools._context import Context
from proteus.tools._registry import Params


class Prepared(Params):
    """How the table is prepared before a test.

    Attributes:
        leave_out: samples left out, by name.
    """

    normalise: Literal["median", "mad", "quantile", "cyclic_loess", "none"] = "median"
    leave_out: list[str] = []  # noqa: RUF012  (pydantic copies defaults)


class Tested(Prepared):
    """A contrast and how it is tested; see `moderated_test`.

    Attributes:
        spread: weigh samples by the spread of their group.
        recentre: normalise again, on the features near the mode of z.
        missing: what missing values say; see `MissingModel`.
        slope: share of the curve's slope that is believed.
    """

    design: str
    contrast: str
    lfc: float | Literal["auto"] = "auto"
    trend: bool = True
    robust: bool = True
    block: str | None = None
    spread: Literal["equal", "groups"] = "equal"
    recentre: bool = False
    missing: Literal["modelled", "seen", "floor"] = "modelled"
    slope: float = Field(default=1.0, ge=0, le=1)
    curve_of: Literal["all", "first", "second"] = "all"
    floor: float = Field(default=0.01, gt=0, lt=1)


_NEAR = 1.0
_PREPARED = tuple(Prepared.model_fields)


def prepared(context: Context, params: Prepared) -> ProteomicsData:
    """The table as `params` say: precursors rolled up, samples chosen, normalised; remembered."""
    key = {name: getattr(params, name) for name in _PREPARED}
    return context.remember("prepared", key, lambda: _prepare(context.data, params))


def _prepare(data: ProteomicsData, params: Prepared) -> ProteomicsData:
    if data.level == "precursor" and "protein" in data.features:
        data = roll_up(data)
    keep = ~data.samples.index.isin(params.leave_out)
    if not keep.all():
        if not keep.any():
            raise InputError("samples", got="none left", expected="at least some")
        data = data.take(samples=keep)
        data = data.take(features=~np.isnan(data.values).all(axis=1))
    return normalise(data, params.normalise) if params.normalise != "none" and data.scale == "log2" else data


def tested(context: Context, params: Tested) -> TestResult:
    """The moderated test that `params` ask for; remembered."""
    return context.remember("tested", params.model_dump(), lambda: _test(context, params))


def _test(context: Context, params: Tested) -> TestResult:
    model = MissingModel(kind=params.missing, slope=params.slope, curve_of=params.curve_of, floor=params.floor)

    def test(data: ProteomicsData, lfc: float | Literal["auto"]) -> TestResult:
        return moderated_test(
            data, params.design, params.contrast, lfc=lfc, trend=params.trend, robust=params.robust,
            block=params.block, spread=params.spread, missing=model,
        )  # fmt: skip

    data = prepared(context, params)
    if not params.recentre or data.scale != "log2":
        return test(data, params.lfc)
    first = test(data, 0.0)
    near = np.abs(first.z - mode_of(first.z)) < _NEAR
    found = test(normalise(data, "median", stable=near), params.lfc)
    found.notes.append(f"normalised again on the {int(near.sum())} features within {_NEAR:g} of the mode of z")
    return found
