"""Tidy tables: a row for each measurement, with columns named by what they hold; the refusal of other such tables."""

import re

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import Level
from proteus.loaders._layouts import measured
from proteus.loaders._raw import Raw
from proteus.loaders._table import Table, bare, need
from proteus.record._words import named

_SAMPLE = named("sample")
_FEATURE = named("feature")
_VALUE = named("value")


def tidy_columns(columns: list[str]) -> tuple[str, str, str] | None:
    """(sample, feature, value) of a tidy long table: one column is each."""
    found = [[name for name in columns if kind.match(name)] for kind in (_SAMPLE, _FEATURE, _VALUE)]
    if not all(found) or len(found[0]) > 1 or len(found[2]) > 1:
        return None
    return found[0][0], found[1][0], found[2][0]


def read_tidy(table: Table) -> Raw:
    """A tidy table: a row for each feature in each sample; what is constant in samples describes them."""
    found = tidy_columns(table.columns)
    if found is None:
        raise InputError("columns", got=", ".join(table.columns[:8]), expected="sample, protein and intensity",
                         where=table.path)  # fmt: skip
    sample, feature, value = found
    rows, names = need(table, feature), need(table, sample)
    doubled = pd.DataFrame({"a": rows, "b": names}).duplicated()
    if doubled.any():
        row = int(np.flatnonzero(doubled)[0])
        raise InputError(f"column {value!r}", got=f"two values of {rows[row]} in {names[row]}", expected="one",
                         where=table.path)  # fmt: skip
    others = [one for one in table.columns if one not in found]
    level: Level = "peptide" if feature.lower() == "peptide" else "protein"
    of_features = {one.lower(): need(table, one) for one in others if _constant(table, one, rows)}
    features = {"protein": of_features.pop("protein", rows)}
    features |= {"gene" if one.startswith("gene") and _FEATURE.match(one) else one: of_features[one]
                 for one in of_features}  # fmt: skip
    raw = measured(table, rows, names, value, features, level, scale="guess")
    assert raw.sheet is not None
    for one in others:
        if one.lower() not in of_features and _constant(table, one, names):
            raw.sheet[one] = need(table, one).groupby(names).first().reindex(raw.samples).to_numpy()
    return raw


def _constant(table: Table, name: str, groups: pd.Series) -> bool:
    return bool((need(table, name).groupby(groups).nunique() <= 1).all())


def refuse_long(table: Table) -> None:
    """Refuse a long table of an unknown kind, whose numbers would be taken for samples.

    Raises:
        InputError: naming the column of runs.
    """
    wanted = re.compile(r"(?i)^(?:run|raw.?file|spectrum.?file|file.?name|filename|r\.filename|raw\.name|scannr|scan|"
                        r"sample.?id|first.?scan)$")  # fmt: skip
    for name in table.columns:
        entries = table.frame[name].astype(str)
        if wanted.match(name) and len(entries) > 3 and entries.map(bare).duplicated().mean() > 0.3:
            raise InputError(f"column {name!r}", got="a row for each measurement, in a layout that is not known",
                             expected="one of the formats of `proteus.sniff`, or one column a sample",
                             where=table.path)  # fmt: skip
