"""Preparation that every tool of bulk tables shares: roll-up, samples left out, normalisation."""

from __future__ import annotations

from typing import Literal

import numpy as np
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up
from proteus.differential._moderated_test import TestResult, moderated_test
from proteus.differential._normalise import normalise
from proteus.tools._context import Context
from proteus.tools._registry import Params


class Prepared(Params):
    """How the table is prepared before a test."""

    normalise: Literal["median", "mad", "quantile", "cyclic_loess", "none"] = "median"
    leave_out: list[str] = []  # noqa: RUF012  (pydantic copies defaults)
    """Samples left out, by name."""
    subset: dict[str, list[str]] = {}  # noqa: RUF012
    """Levels kept, by column of the sample sheet."""


class Tested(Prepared):
    """A contrast and how it is tested; see `moderated_test`."""

    design: str
    contrast: str
    lfc: float | Literal["auto"] = "auto"
    trend: bool = True
    robust: bool = True
    block: str | None = None
    on_off: bool = False
    empirical_null: bool = False


_PREPARED = tuple(Prepared.model_fields)


def prepared(context: Context, params: Prepared) -> ProteomicsData:
    """The table as `params` say: precursors rolled up, samples chosen, normalised; remembered."""
    key = {name: getattr(params, name) for name in _PREPARED}
    return context.remember("prepared", key, lambda: _prepare(context.data, params))


def _prepare(data: ProteomicsData, params: Prepared) -> ProteomicsData:
    if data.level == "precursor" and "protein" in data.features:
        data = roll_up(data)
    keep = ~data.samples.index.isin(params.leave_out)
    for name, levels in params.subset.items():
        keep &= data.factor(name).astype(str).isin(levels).to_numpy()
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
    return moderated_test(
        prepared(context, params), params.design, params.contrast, lfc=params.lfc, trend=params.trend,
        robust=params.robust, block=params.block, fill_on_off=params.on_off, refine=params.empirical_null,
        seed=context.seed,
    )  # fmt: skip
