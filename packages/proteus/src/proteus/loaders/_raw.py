"""What a reader hands over, and the repairs that all formats share: logs, zeros, decoys, duplicates, gene names."""

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import Level, ProteomicsData, Scale
from proteus.loaders._table import stem

_DECOY = re.compile(r"^(?:REV__|rev_|DECOY_|decoy_|XXX_|##?rev|reverse_)")
_CONTAMINANT = re.compile(r"^(?:CON__|contam_|Cont_|cRAP)")
_EXCEL = re.compile(r"^(?:\d{1,2}-(?:Sep|Mar|Dec|Oct|Nov|Apr|Feb)|(?:Sep|Mar|Dec|Oct|Nov|Apr|Feb)-\d{1,2})$", re.I)
_LOG_BELOW = 64.0  # no mass spectrometer reports linear intensities that are all under this


@dataclass
class Raw:
    """A matrix as its file has it.

    Attributes:
        values: (features, samples), on the file's scale.
        ids: feature ids, not yet unique.
        samples: sample names.
        features: columns known of the features.
        level, scale: `scale` None: intensities, linear or already log2, to be found out.
        drop: (features,) bool with its reason, rows that the file itself marks as decoys or contaminants.
        sheet: what the file says of its samples.
        notes: repairs, in words.
    """

    values: np.ndarray
    ids: pd.Series
    samples: list[str]
    features: dict[str, pd.Series] = field(default_factory=dict)
    level: Level = "protein"
    scale: Scale | None = None
    drop: dict[str, np.ndarray] = field(default_factory=dict)
    sheet: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)


def pivot(
    ids: pd.Series, samples: pd.Series, quantity: np.ndarray, features: dict[str, pd.Series], *, add: bool = False
) -> tuple[np.ndarray, pd.Series, list[str], dict[str, pd.Series], int]:
    """Long rows to a matrix: (values, ids, samples, features, doubled rows). Doubled cells: the largest, or sum."""
    codes, names = pd.factorize(ids)
    place, runs = pd.factorize(samples, sort=True)
    values = np.full((len(names), len(runs)), -np.inf)
    known = np.isfinite(quantity) & (quantity > 0)
    if add:
        values = np.zeros(values.shape)
        np.add.at(values, (codes[known], place[known]), quantity[known])
    else:
        np.maximum.at(values, (codes[known], place[known]), quantity[known])
    cells = codes[known].astype(np.int64) * len(runs) + place[known]
    doubled = int(known.sum() - len(np.unique(cells)))
    values[~np.isfinite(values) | (values == 0)] = np.nan
    first = np.full(len(names), -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    kept = {name: column.iloc[first].reset_index(drop=True) for name, column in features.items()}
    return values, pd.Series(names.astype(str)), [str(run) for run in runs], kept, doubled


def finish(raw: Raw, path: Path, source: str) -> ProteomicsData:
    """Repair and check: drop decoys and contaminants, make ids unique, zeros missing, log2.

    Raises:
        InputError: by name: empty table, duplicate samples, nothing left.
    """
    notes = list(raw.notes)
    ids = raw.ids.reset_index(drop=True).fillna("").astype(str)
    drop = dict(raw.drop)
    drop["decoys"] = drop.get("decoys", np.zeros(len(ids), bool)) | ids.str.match(_DECOY).to_numpy()
    drop["contaminants"] = drop.get("contaminants", np.zeros(len(ids), bool)) | ids.str.match(_CONTAMINANT).to_numpy()
    drop["rows without an id"] = (ids == "").to_numpy()
    kept = np.ones(len(ids), bool)
    for reason, rows in drop.items():
        if (rows & kept).any():
            notes.append(f"{int((rows & kept).sum())} {reason} left out")
            kept &= ~rows
    if not kept.any():
        raise InputError("table", got="no feature after leaving out decoys and contaminants", where=path)
    values = np.array(raw.values, float)[kept]
    features = pd.DataFrame({name: column.to_numpy()[kept] for name, column in raw.features.items()})
    index = ids[kept].reset_index(drop=True)
    values, scale = _to_log2(values, raw, notes)
    empty = np.asarray(np.isnan(values).all(axis=1), dtype=bool)
    if empty.all():
        raise InputError("table", got="only missing or zero values", where=path)
    if empty.any():
        notes.append(
            f"{int(empty.sum())} features without any value left out, e.g. {index.iloc[int(np.argmax(empty))]!r}"
        )
        values, features, index = values[~empty], features.iloc[~empty], index.iloc[~empty]
    features.index = pd.Index(_unique(index, notes), name="id")
    if "gene" in features:
        _check_genes(features["gene"], notes)
    stems = [stem(one) for one in raw.samples]
    names = stems if len(set(stems)) == len(stems) and all(stems) else raw.samples
    doubled = pd.Series(raw.samples)
    if doubled.duplicated().any():
        name = doubled[doubled.duplicated()].iloc[0]
        raise InputError("sample names", got=f"{name!r} twice", expected="unique names", where=path)
    with np.errstate(invalid="ignore"):
        flat = np.nanmax(values, axis=1) == np.nanmin(values, axis=1)
    constant = flat & ((~np.isnan(values)).sum(1) >= 3)
    if constant.any():
        notes.append(f"{int(constant.sum())} features are constant, e.g. {features.index[constant][0]!r}")
    sheet = raw.sheet if raw.sheet is not None else pd.DataFrame(index=pd.Index(raw.samples, name="sample"))
    sheet = sheet.set_axis(pd.Index(names, name="sample"))
    return ProteomicsData(values, features, sheet, raw.level, scale, source, notes)


def _to_log2(values: np.ndarray, raw: Raw, notes: list[str]) -> tuple[np.ndarray, Scale]:
    if raw.scale is not None:
        return values, raw.scale
    finite = values[np.isfinite(values)]
    negative = int((finite < 0).sum())
    if negative and np.abs(finite).max() < _LOG_BELOW:
        notes.append("negative values: the table is taken for log ratios or scores and left as it is")
        return values, "log2" if raw.level == "precursor" else "score"
    if negative:  # as background subtraction leaves them
        notes.append(f"{negative} negative value{'s' * (negative > 1)} among intensities taken for missing")
    zeros = values == 0
    if zeros.any():
        notes.append(f"{zeros.sum() / zeros.size:.0%} of the values are zero and were taken for missing")
    values = np.where(values > 0, values, np.nan)
    positive = values[np.isfinite(values)]
    if positive.size and positive.max() < _LOG_BELOW:
        _refuse_log10(positive, values)
        notes.append("the largest value is below 64: the table is already on a log scale (taken for log2)")
        return values, "log2"
    return np.log2(values), "log2"


def _refuse_log10(positive: np.ndarray, values: np.ndarray) -> None:
    """Intensities span some six decades: log10 of them lies between 3 and 12.5, features' means less than 1.2 apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # features without any value
        spread = float(np.nanstd(np.nanmean(values, axis=1)))
    low, high = float(positive.min()), float(positive.max())
    if low > 3 and high < 12.5 and 0.2 < spread < 1.2 and len(values) >= 20:
        raise InputError(
            "values", got=f"{low:.3g} to {high:.3g}, features {spread:.2g} apart, as log10 intensities have",
            expected="intensities, or log2 of them",
            hint="multiply by log2(10) = 3.322; proteus.from_matrix takes values as they are",
        )  # fmt: skip


def _unique(index: pd.Series, notes: list[str]) -> list[str]:
    doubled = index.duplicated(keep=False)
    if not doubled.any():
        return index.tolist()
    notes.append(f"{int(index.duplicated().sum())} repeated ids were numbered, e.g. {index[doubled].iloc[0]!r}")
    count = index.groupby(index).cumcount()
    return [name if number == 0 else f"{name}.{number + 1}" for name, number in zip(index, count, strict=True)]


def _check_genes(genes: pd.Series, notes: list[str]) -> None:
    dates = genes.fillna("").astype(str).str.match(_EXCEL)
    if dates.any():
        example = genes[dates].iloc[0]
        notes.append(
            f"{int(dates.sum())} gene names look like dates, e.g. {example!r}: a spreadsheet has changed them "
            "(SEPTIN, MARCHF, DELEC1); they match no gene set"
        )
