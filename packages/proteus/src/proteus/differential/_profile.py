"""What is in a table: size, factors and their aliasing, missingness, spread, identifiers, batch effects, outliers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from proteus.data._data import ProteomicsData
from proteus.data._design import aliasing, count_pairs, crosstab
from proteus.record._words import named
from proteus.statistics._detection import missing_falls_with_intensity

_UNIPROT = re.compile(r"^(?:[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2})(?:-\d+)?")
_FOLLOW_UP = named("follow_up", "")  # `timepoint` is no follow-up
_COMPONENTS = 3


@dataclass(frozen=True)
class Profile:
    """Facts of a table, none of them decided manually.

    Attributes:
        kind: protein, peptide, precursor, site or cell.
        scale: of the values.
        features, samples: counts.
        factors: by text column of 2 to 20 levels, samples in each level.
        numbers: numeric columns with more than two values.
        outcome: (time, event) columns if there are such.
        aliasing: Cramer's V of each pair of factors; 1 cannot be separated.
        missing: share of missing values.
        missing_by_intensity: Spearman correlation of missingness and intensity; under -0.2 weak features are missing.
        residual_sd: median sd around the means of the factor with most levels (of all samples without factors).
        id_type: uniprot, symbol or other.
        variance_explained: eta^2 of each factor on the first three principal components, (factor, component).
        outliers: samples whose correlation with the others is far below the rest.
        warnings: what a reader should know.

    Examples:
        >>> from proteus import datasets, profile
        >>> found = profile(datasets.ups1_peptides())
        >>> found.kind, found.scale, found.samples
        ('peptide', 'log2', 12)
    """

    kind: str
    scale: str
    features: int
    samples: int
    factors: dict[str, dict[str, int]]
    numbers: list[str]
    outcome: tuple[str, str] | None
    aliasing: pd.DataFrame
    missing: float
    missing_by_intensity: float
    residual_sd: float
    id_type: str
    variance_explained: pd.DataFrame
    outliers: list[str]
    warnings: list[str] = field(default_factory=list)


GAP = 0.1  # shares of missing values of two groups this far apart: their runs differ in depth, or in what they hold
DEPTH = "what one group misses is called as changed in summed proteins: read peptides or precursors (`peptide_model`)"


def missing_gap(data: ProteomicsData, column: str, levels: Sequence[str]) -> tuple[float, str]:
    """Largest difference between levels of a column in the share of missing values, and both shares in words.

    It is 0 of ratios and scores, of cells, and of tables that the peptide model made, which has a curve for each run.
    """
    if data.scale != "log2" or data.level == "cell" or data.precision is not None:
        return 0.0, ""
    labels, missing = data.samples[column].astype(str).to_numpy(), np.isnan(data.values).mean(axis=0)
    shares = sorted((float(missing[labels == one].mean()), str(one)) for one in levels if (labels == one).any())
    (low, least), (high, most) = shares[0], shares[-1]
    return high - low, f"{low:.0%} of {least}, {high:.0%} of {most}"


def profile(data: ProteomicsData) -> Profile:
    """Look at a table; nothing is changed.

    Examples:
        >>> from proteus import profile
        >>> from proteus import datasets
        >>> profile(datasets.ups1_peptides()).factors
        {'group': {'fmol100': 4, 'fmol25': 4, 'fmol50': 4}}
    """
    sheet = data.samples
    factors = {}
    numbers = []
    for name in sheet.columns:
        column = sheet[name].dropna()
        levels = column.nunique()
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            if levels > 2:
                numbers.append(str(name))
            continue
        if 2 <= levels <= 20:
            factors[str(name)] = {str(level): int(n) for level, n in column.value_counts().sort_index().items()}
    warnings = list(data.notes)
    table = aliasing(sheet, list(factors))
    cramer = table.to_numpy(float)
    for place, first in enumerate(factors):
        for other, second in enumerate(list(factors)[place + 1 :], place + 1):
            if cramer[place, other] > 0.999:
                warnings.append(f"{first} and {second} cannot be told apart: {crosstab(sheet, [first, second])}")
            elif (count_pairs(sheet[first], sheet[second]) == 0).any():
                warnings.append(f"not every combination occurs, {crosstab(sheet, [first, second])}")
    summarised = data.level == "precursor" and "protein" in data.features  # by the peptide model
    for name, levels in factors.items():
        gap, said = missing_gap(data, name, list(levels))
        if gap >= GAP and not summarised:
            warnings.append(f"missing values differ between levels of {name}, {said}: {DEPTH}")
        alone = [level for level, n in levels.items() if n == 1]
        if alone:
            warnings.append(f"one replicate only: {name} {', '.join(alone)}")
    outcome = profile_outcome(sheet)
    warnings += [
        f"column {name!r} holds two numbers; a study compares them as two groups if each has two samples"
        for name in _two_numbers(sheet, outcome)
    ]
    missing = float(np.isnan(data.values).mean())
    cells = data.level == "cell"
    return Profile(
        data.level, data.scale, *data.shape, factors, numbers, outcome, table, missing,
        missing_falls_with_intensity(data.values), float("nan") if cells else _residual_sd(data, factors),
        _id_type(data), pd.DataFrame() if cells else _explained(data, factors),
        [] if cells else find_outliers(data), warnings,
    )  # fmt: skip


def profile_outcome(sheet: pd.DataFrame) -> tuple[str, str] | None:
    """(time, event) columns of follow-up, if a sheet has them."""
    times = [name for name in sheet.columns if _FOLLOW_UP.match(str(name))]
    events = [name for name in sheet.columns if re.match(r"(?i)(event|status|death|dead|os_event)", str(name))]
    good = [
        name for name in events if pd.api.types.is_numeric_dtype(sheet[name]) and set(sheet[name].dropna()) <= {0, 1}
    ]
    times = [name for name in times if pd.api.types.is_numeric_dtype(sheet[name])]
    return (str(times[0]), str(good[0])) if times and good else None


def _two_numbers(sheet: pd.DataFrame, outcome: tuple[str, str] | None) -> list[str]:
    return [
        str(name) for name in sheet.columns
        if pd.api.types.is_numeric_dtype(sheet[name]) and sheet[name].dtype != bool
        and sheet[name].dropna().nunique() == 2 and str(name) not in (outcome or ())
    ]  # fmt: skip


def _residual_sd(data: ProteomicsData, factors: dict[str, dict[str, int]]) -> float:
    """Median over features of the pooled sd within levels of the factor that has most."""
    name = max(factors, key=lambda one: len(factors[one]), default=None)
    codes = np.zeros(data.shape[1], int) if name is None else pd.factorize(data.samples[name])[0]
    groups = pd.DataFrame(data.values.T[codes >= 0]).groupby(codes[codes >= 0])
    df = np.maximum(groups.count().to_numpy() - 1, 0)
    squares = np.where(df > 0, groups.var().to_numpy() * df, 0.0).sum(0)
    known = df.sum(0) > 0
    return float(np.median(np.sqrt(squares[known] / df.sum(0)[known]))) if known.any() else float("nan")


def _id_type(data: ProteomicsData) -> str:
    column = data.features["protein"] if "protein" in data.features else data.features.index.to_series()
    ids = column.astype(str).str.split(";").str[0]
    ids = ids.where(~ids.str.contains("|", regex=False), ids.str.split("|").str[1]).iloc[:500]
    if ids.str.match(_UNIPROT).mean() > 0.5:
        return "uniprot"
    return "symbol" if ids.str.fullmatch(r"[A-Z][A-Z0-9-]{1,9}").mean() > 0.5 else "other"


def _centred(values: np.ndarray) -> np.ndarray:
    """Features seen in at least 80 % of samples, less their means; gaps are 0."""
    part = values[(~np.isnan(values)).mean(1) >= 0.8]
    return np.nan_to_num(part - np.nanmean(part, axis=1, keepdims=True))


def principal_components(values: np.ndarray, count: int = _COMPONENTS) -> np.ndarray:
    """(N, count) scores of samples from features seen in at least 80 % of them, gaps at the mean."""
    centred = _centred(values)
    if len(centred) < 3:
        return np.zeros((values.shape[1], 0))
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    return (singular[:, None] * right)[:count].T


def eta_squared(score: np.ndarray, codes: np.ndarray) -> float:
    """Share of a score's variance between groups (codes below 0 left out)."""
    kept = codes >= 0
    score, codes = score[kept], codes[kept]
    total = ((score - score.mean()) ** 2).sum()
    if total == 0:
        return 0.0
    n = np.bincount(codes)
    mean = np.bincount(codes, weights=score) / np.maximum(n, 1)
    return float((n * (mean - score.mean()) ** 2).sum() / total)


def _explained(data: ProteomicsData, factors: dict[str, dict[str, int]]) -> pd.DataFrame:
    scores = principal_components(data.values)
    rows = {
        name: [eta_squared(scores[:, one], pd.factorize(data.samples[name])[0]) for one in range(scores.shape[1])]
        for name in factors
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[f"PC{one + 1}" for one in range(scores.shape[1])])


def find_outliers(data: ProteomicsData) -> list[str]:
    """Median correlation with the other samples more than 5 robust deviations under the median of all."""
    centred = _centred(data.values)
    if len(centred) < 10 or data.shape[1] < 4:
        return []
    spread = np.median(np.abs(centred), axis=0)
    middle = np.median(spread)
    scale = 1.4826 * np.median(np.abs(spread - middle))
    far = (spread - middle) / max(scale, 1e-9) > 5
    return [str(name) for name in data.samples.index[far]]
