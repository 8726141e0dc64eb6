"""Counts of cells summed by type and sample, tested with weights from the trend of spread over count (limma-voom).

The unit is the sample of a donor, never a cell. A type's share and its state are separated: sums are taken relative to
all counts of the type in the sample, so that more cells of a type are no change of its features.
"""

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import sparse

from proteus.data._data import ProteomicsData
from proteus.data._design import make_design
from proteus.differential._moderated_test import TestResult, moderated_test
from proteus.outcomes._cells import sample_table
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._lowess import lowess

_SPAN, _CHUNK = 0.5, 10_000


def pseudobulk(
    data: ProteomicsData, cluster: np.ndarray, sample: str = "sample_id", *, least_cells: int = 10, least: float = 10.0
) -> tuple[ProteomicsData, np.ndarray]:
    """Log2 counts per million of each feature in each type and sample.

    Args:
        data: raw counts by cell (`scale="counts"`).
        cluster: (cells,) type of each.
        sample: column that names each cell's sample.
        least_cells: cells of a type that a sample needs; else its values are missing.
        least: mean count over samples that a feature of a type needs.
    Returns:
        `type|feature` by samples, scaled within each type by the median over features; and log2 of the total that each
        value is relative to, of the same shape.
    Raises:
        InputError: values that are no counts, or no feature with enough of them.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import pseudobulk
        >>> cells = pd.DataFrame({"sample_id": ["a"] * 10 + ["b"] * 10}, index=[f"c{one}" for one in range(20)])
        >>> counts = ProteomicsData(np.full((2, 20), 3.0), pd.DataFrame(index=["g", "h"]), cells, "cell", "counts")
        >>> pseudobulk(counts, np.array(["T"] * 20))[0].features.index.tolist()
        ['T|g', 'T|h']
    """
    if data.scale != "counts":
        raise InputError("pseudobulk", got=f"a table on the {data.scale} scale", expected="raw counts")
    samples = sample_table(data, sample)
    where = samples.index.get_indexer(pd.Index(data.samples[sample]))
    types, code = np.unique(np.asarray(cluster).astype(str), return_inverse=True)
    parts, totals, rows = [], [], []
    group, every = code.ravel() * len(samples) + where, len(types) * len(samples)
    member = sparse.csc_matrix((np.ones(len(group)), (group, np.arange(len(group)))), shape=(every, len(group)))
    sums = np.zeros((every, data.shape[0]))
    for start in range(0, len(group), _CHUNK):
        part = slice(start, start + _CHUNK)
        sums += member[:, part] @ np.ascontiguousarray(data.values[:, part].T)
    sums = np.where(np.bincount(group, minlength=every) >= least_cells, sums.T, np.nan)
    for name, count in zip(types, np.split(sums, len(types), axis=1), strict=True):
        if np.isnan(count).all():
            continue
        known = np.asarray(np.isfinite(count).any(axis=0))
        kept = count[:, known].mean(axis=1) >= least
        total = _scaled(count, kept, known)
        parts.append(np.log2((count[kept] + 0.5) / (total + 1)) + np.log2(1e6))
        totals.append(np.broadcast_to(np.log2(total + 1) - np.log2(1e6), parts[-1].shape))
        rows += [(name, str(one)) for one in data.features.index[kept]]
    if not rows:
        raise InputError("counts", got=f"no feature with {least:g} in any type", expected="more cells or counts")
    index = pd.Index([f"{a}|{b}" for a, b in rows], name="id")
    features = pd.DataFrame({"cluster": [a for a, _ in rows], "gene": [b for _, b in rows]}, index=index)
    table = ProteomicsData(np.concatenate(parts), features, samples, "cell", "score", data.source, list(data.notes))
    return table, np.concatenate(totals)


def _scaled(count: np.ndarray, kept: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) total counts, scaled so that the median feature does not differ between samples."""
    total = count.sum(axis=0)
    full = kept & (count[:, known] > 0).all(axis=1)
    if full.sum() < 10:
        return total
    relative = np.log2(count[full] / total)
    off = np.full(len(total), np.nan)
    off[known] = np.median(relative[:, known] - relative[:, known].mean(axis=1, keepdims=True), axis=0)
    return total * np.exp2(off)


def diff_expression(
    data: ProteomicsData, cluster: np.ndarray, design: str, contrast: str, *, sample: str = "sample_id",
    least_cells: int = 10,
) -> TestResult:  # fmt: skip
    """Moderated test of features within types on sums over cells, one observation a type and sample.

    Weights are inverse variances by the trend of residual spread over log2 count (voom: Law, Chen, Shi & Smyth 2014).

    Args:
        data: raw counts by cell.
        cluster: (cells,) type of each.
        design, contrast: over the table of samples; put the donor into the design where paired.
        sample: column that names each cell's sample.
        least_cells: cells of a type that a sample needs.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import diff_expression
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"sample_id": np.repeat(list("abcdef"), 20), "group": np.repeat(["x", "y"], 60)})
        >>> counts = rng.poisson(5.0, (30, 120)) + 20 * np.outer(np.arange(30) < 1, np.arange(120) < 60)
        >>> features = pd.DataFrame(index=[f"g{one}" for one in range(30)])
        >>> table = ProteomicsData(counts, features, cells, "cell", "counts")
        >>> diff_expression(table, np.array(["T"] * 120), "~ group", "x-y").hits().index.tolist()
        ['T|g0']
    """
    table, total = pseudobulk(data, cluster, sample, least_cells=least_cells)
    made = make_design(table.samples, design)
    values, total = table.values[:, made.kept], total[:, made.kept]
    fit = fit_linear_model(values, made.matrix)
    count = np.nanmean(values + total, axis=1)  # log2
    used = np.flatnonzero(np.isfinite(fit.sigma) & (fit.df_residual > 0))
    weights = np.ones(table.shape)
    if len(used) >= 10:
        order = used[np.argsort(count[used], kind="stable")]
        smooth = np.maximum(lowess(count[order], np.sqrt(fit.sigma[order]), span=_SPAN), 1e-3)
        fitted = np.where(np.isnan(fit.coefficients), 0.0, fit.coefficients) @ made.matrix.T + total
        fitted = np.where(np.isnan(fitted), count[:, None], fitted)
        weights[:, made.kept] = np.interp(fitted, count[order], smooth) ** -4.0
    return moderated_test(table, design, contrast, lfc=0.0, trend=False, robust=True, missing="seen", weights=weights)
