"""What is measured on a test's result, for refinement rules to look at."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from proteus.data._data import ProteomicsData
from proteus.differential._moderated_test import TestResult
from proteus.statistics._detection import missing_falls_with_intensity

Q = 0.05
_POWER = 0.8


def _group_names(data: ProteomicsData) -> pd.Series:
    """Genes of a feature's protein group (peptides: of their proteins), else its proteins, `;` between them."""
    genes = data.genes.astype(str)
    if data.level in ("peptide", "precursor", "site") and "protein" in data.features:
        protein = data.features["protein"].astype(str)
        named = genes.where(genes != genes.index.astype(str), "")
        genes = named.where(named != "", protein)
    return genes


def entity_names(data: ProteomicsData) -> pd.Series:
    """What a feature stands for: the protein's gene (peptides: their protein's), its id where nothing is known."""
    first = _group_names(data).str.split(";").str[0].str.strip()
    return first.where(first != "", data.features.index.to_series().astype(str))


def names_of_proteins(data: ProteomicsData) -> dict[str, str]:
    """Protein name by what a feature stands for, where the table has a column `description`."""
    if "description" not in data.features:
        return {}
    return dict(zip(entity_names(data).astype(str), data.features["description"].fillna("").astype(str), strict=True))


def shares_peptides_with(data: ProteomicsData) -> dict[str, list[str]]:
    """By feature the other genes (proteins) of its group, such as paralogs, that all its peptides fit too."""
    groups = _group_names(data)
    several = groups[groups.str.contains(";", regex=False)]
    parts = {str(row): list(dict.fromkeys(one.strip() for one in text.split(";"))) for row, text in several.items()}
    return {row: [one for one in names[1:] if one] for row, names in parts.items() if len(names) > 1}


def mode_of(z: np.ndarray) -> float:
    """The mode of z between -5 and 5, of a kernel density on a grid of 0.05; few values are smoothed more."""
    inside = z[np.isfinite(z) & (np.abs(z) < 5)]
    if inside.size < 50:
        return float(np.median(inside)) if inside.size else 0.0
    counts, edges = np.histogram(inside, np.linspace(-5, 5, 201))
    width = max(0.3, 2.5 * inside.size**-0.2)
    kernel = stats.norm.pdf(np.arange(-60, 61) * 0.05, scale=width)
    smooth = np.convolve(counts, kernel, mode="same")
    best = int(np.argmax(smooth))
    return float((edges[best] + edges[best + 1]) / 2)


def p_shape(p: np.ndarray) -> tuple[str, float]:
    """(shape, density right of one half): `decreasing`, `flat`, or `odd`: neither, more than 4 sd beyond chance."""
    p = p[np.isfinite(p)]
    n = p.size
    if n < 50:
        return "flat", 1.0
    counts = np.histogram(p, np.linspace(0, 1, 11))[0]
    right = 2 * float((p > 0.5).mean())
    error = np.sqrt(n / 10 * 0.9)
    rises = (counts[1:] - counts[:-1]).max() / (error * np.sqrt(2))
    if rises > 4 and counts[1:].max() > n / 10 + 4 * error:
        return "odd", right
    return ("decreasing" if counts[0] > n / 10 + 3 * error else "flat"), right


def detectable(result: TestResult) -> float:
    """Median over features of the log2 change found with 80 % power at alpha 0.05 without correction."""
    df = float(np.nanmedian(result.tested.df))
    factor = float(stats.t.ppf(0.975, df) + stats.t.ppf(_POWER, df))
    return result.lfc + factor * float(np.nanmedian(result.tested.error))


def measure_test(result: TestResult, data: ProteomicsData) -> dict[str, Any]:
    """Metrics of a contrast's test; all plain numbers and words."""
    table = result.table
    hit = (table["q"] <= Q).to_numpy()
    total = int(table["p"].notna().sum())
    z = result.z
    shape, right = p_shape(2 * stats.norm.sf(np.abs(z[np.isfinite(z)])))
    values: dict[str, Any] = {
        "tested": total,
        "hits": int(hit.sum()),
        "up": int((hit & (table["t"] > 0)).sum()),
        "share": round(float(hit.sum() / max(total, 1)), 4),
        "z_mode": round(mode := mode_of(z), 3),
        "near_mode": round(float((np.abs(z[np.isfinite(z)] - mode) < 2).mean()), 4) if np.isfinite(z).any() else 0.0,
        "p_shape": shape,
        "p_right": round(right, 3),
        "residual_sd": round(result.residual_sd, 4),
        "lfc": round(result.lfc, 4),
        "detectable": round(detectable(result), 3),
        "only_in_one": int((table["only_in"] != 0).sum()),
        "modelled": int((table["modelled"] > 0).sum()),
        "curve_slope": round(result.curve.slope, 4),
    }
    falls = missing_falls_with_intensity(data.values)
    if np.isfinite(falls):
        values["missing_by_intensity"] = round(falls, 3)
    return values
