"""Roll-up of precursors or peptides to proteins: the peptide model, Tukey's median polish, MaxLFQ."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError, require

from proteus.data._data import Precision, ProteomicsData
from proteus.data._peptide_model import summarise_peptides

_ENOUGH = 50  # peptides in all runs, or proteins, to align runs by
ROLL_UPS = ("peptide_model", "median_polish", "maxlfq")


def roll_up(data: ProteomicsData, method: str = "peptide_model") -> ProteomicsData:
    """Protein table from a precursor or peptide table whose features have a `protein` column.

    Args:
        data: log2 values by precursor or peptide.
        method: `peptide_model`: additive robust fit with a curve of P(seen | level) for each run, whose errors weigh
            values in tests, runs aligned on the way (see `data/_peptide_model`); `median_polish`; or `maxlfq`
            (directLFQ; needs the extra `lfq`).
    Returns:
        One row a protein in order of first appearance, with `n_peptides`, and the first feature's gene and organism.
    Raises:
        InputError: unknown method, or no `protein` column.

    Examples:
        >>> from proteus import ProteomicsData, roll_up
        >>> import pandas as pd
        >>> features = pd.DataFrame({"protein": ["P1", "P1"]}, index=["pep1", "pep2"])
        >>> peptides = ProteomicsData([[20.0, 21.0], [22.0, 23.0]], features, pd.DataFrame(index=["a", "b"]), "peptide")
        >>> roll_up(peptides, "median_polish").values.tolist()
        [[21.0, 22.0]]
    """
    if "protein" not in data.features:
        raise InputError("roll-up", got="features without a 'protein' column", expected="which protein each belongs to")
    if method not in ROLL_UPS:
        raise InputError("roll-up", got=repr(method), expected=f"one of: {', '.join(ROLL_UPS)}")
    kept = data.features["protein"].notna().to_numpy()
    if method == "peptide_model":
        kept &= ~np.isnan(data.values).all(axis=1)
    codes, proteins = pd.factorize(data.features["protein"][kept])
    values, precision = data.values[kept], None
    if method == "peptide_model":
        rolled, precision = model_levels(values, codes)
    else:
        rolled = median_polish(values, codes) if method == "median_polish" else _direct_lfq(values, codes)
    count = np.bincount(codes, minlength=len(proteins))
    features = pd.DataFrame({"n_peptides": count}, index=pd.Index(proteins.astype(str), name="id"))
    for name in ("gene", "organism", "description"):
        if name in data.features:
            features[name] = data.features.loc[kept, name].groupby(codes).first().to_numpy()
    note = f"rolled up {len(values)} {data.level}s to {len(proteins)} proteins: {method}"
    notes = [*data.notes, note]
    return ProteomicsData(rolled, features, data.samples, "protein", data.scale, data.source, notes, precision)


def model_levels(values: np.ndarray, codes: np.ndarray, *, single_curve: bool = False) -> tuple[np.ndarray, Precision]:
    """(G, N) levels, NaN where no peptide is seen, and how well they are known; runs aligned twice.

    First by the medians of peptides that all runs have. These are seen for being high by chance in runs of small load,
    so that runs are aligned again by what proteins known best deviate from their means.
    """
    complete = values[~np.isnan(values).any(axis=1)]
    if len(complete) >= _ENOUGH:
        centre = np.median(complete, axis=0)
        values = values - centre + np.median(centre)
    made = summarise_peptides(values, codes, single_curve=single_curve)
    size = made.errors.mean(1)
    off = made.levels - made.levels.mean(1, keepdims=True)
    levels = made.levels - np.median(off[size <= np.median(size)], axis=0) if len(size) >= _ENOUGH else made.levels
    seen = made.seen > 0
    shown = np.where(seen, levels, np.nan)
    unseen = np.where(seen, np.nan, levels - np.nanmean(shown, axis=1, keepdims=True))
    return shown, Precision(made.errors, unseen)


def median_polish(
    values: np.ndarray, codes: np.ndarray, *, iterations: int = 10, tolerance: float = 0.01
) -> np.ndarray:
    """Overall plus column effects of Tukey's two-way median fit, for each group of rows.

    Args:
        values: (rows, N) log2, NaN missing.
        codes: (rows,) group of each row, 0 .. G-1.
        iterations: rounds at most; a group stops once its absolute residuals change by less than `tolerance`.
    Returns:
        (G, N), NaN where all rows of a group miss the sample.
    """
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    result = np.full((len(counts), values.shape[1]), np.nan)
    for size in np.unique(counts[counts > 0]):  # groups of one size form one array (groups, rows, samples)
        groups = np.flatnonzero(counts == size)
        rows = order[starts[groups][:, None] + np.arange(size)]
        result[groups] = _polish(values[rows], iterations, tolerance)
    return result


def _polish(cube: np.ndarray, iterations: int, tolerance: float) -> np.ndarray:
    missing = np.isnan(cube).all(axis=1)
    residual = cube.copy()
    overall = np.zeros(len(cube))
    row, column = np.zeros(cube.shape[:2]), np.zeros((len(cube), cube.shape[2]))
    before = np.zeros(len(cube))
    going = np.ones(len(cube), bool)
    for _ in range(iterations):
        part = residual[going]
        step = np.nan_to_num(nan_median(part, 2))
        part = part - step[:, :, None]
        row[going] += step
        shift = np.nan_to_num(nan_median(column[going], 1))
        column[going] -= shift[:, None]
        overall[going] += shift
        step = np.nan_to_num(nan_median(part, 1))
        part = part - step[:, None, :]
        column[going] += step
        shift = np.nan_to_num(nan_median(row[going], 1))
        row[going] -= shift[:, None]
        overall[going] += shift
        residual[going] = part
        now = np.nansum(np.abs(residual), axis=(1, 2))
        going &= ~((now == 0) | (np.abs(now - before) < tolerance * now))
        before = now
        if not going.any():
            break
    return np.where(missing, np.nan, overall[:, None] + column)


def nan_median(values: np.ndarray, axis: int) -> np.ndarray:
    """Median over an axis, missing values left out; NaN where all are. Much faster than numpy's on small groups."""
    ordered = np.sort(values, axis=axis)
    count = (~np.isnan(values)).sum(axis=axis, keepdims=True)
    low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
    high = np.minimum(high, values.shape[axis] - 1)
    pair = np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis)
    return np.where(count > 0, pair / 2, np.nan).squeeze(axis)


def _direct_lfq(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    estimation = require("directlfq.protein_intensity_estimation", "proteus", "lfq")
    columns = [f"s{place}" for place in range(values.shape[1])]
    ions = pd.Index([f"ion{place}" for place in range(len(values))], name="ion")
    index = pd.MultiIndex.from_arrays([codes.astype(str), ions], names=["protein", "ion"])
    table = pd.DataFrame(values, index=index, columns=columns).sort_index()
    found, _ = estimation.estimate_protein_intensities(
        table, min_nonan=1, num_samples_quadratic=50, num_cores=1
    )  # linear intensities, 0 where unknown
    linear = found.set_index("protein")[columns].reindex([str(code) for code in range(codes.max() + 1)])
    linear = linear.to_numpy(float)
    return np.where(linear > 0, np.log2(np.where(linear > 0, linear, 1)), np.nan)
