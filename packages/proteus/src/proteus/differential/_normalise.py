"""Normalisation of log2 matrices: differences between runs that hold for (nearly) all features are taken out."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.data._data import ProteomicsData
from proteus.statistics._detection import row_mean
from proteus.statistics._lowess import lowess

_ENOUGH = 50


def normalise(data: ProteomicsData, method: str = "median", *, stable: np.ndarray | None = None) -> ProteomicsData:
    """Normalise a log2 table.

    Args:
        data: on the log2 scale.
        method: `median`, `mad`, `quantile` or `cyclic_loess`.
        stable: (P,) bool, features believed unchanged; `median` and `mad` then look at only these. Of a table rolled
            up by the peptide model they look at the half that is known best.
    Raises:
        InputError: unknown method, other scale, or a sample without values.

    Examples:
        >>> import numpy as np
        >>> from proteus import normalise
        >>> from proteus import datasets
        >>> data = normalise(datasets.ups1_peptides())
        >>> complete = data.values[~np.isnan(data.values).any(axis=1)]
        >>> bool(np.ptp(np.median(complete, axis=0)) < 1e-9)
        True
    """
    if method not in METHODS:
        raise InputError("normalisation", got=repr(method), expected=f"one of: {', '.join(METHODS)}")
    if data.scale != "log2":
        raise InputError("normalisation", got=f"a table on the {data.scale} scale", expected="log2 intensities")
    empty = np.flatnonzero(np.isnan(data.values).all(axis=0))
    if len(empty):
        raise InputError("sample", got="no value at all", where=repr(str(data.samples.index[empty[0]])))
    chosen = np.ones(len(data.values), bool) if stable is None else np.array(stable, bool)
    if data.precision is not None:
        chosen &= data.precision.best()
    return data.with_values(METHODS[method](data.values, chosen), f"normalised: {method}")


def scale_to_reference(data: ProteomicsData, plex: str, reference: str) -> ProteomicsData:
    """Plexes of a TMT table made comparable by their reference channels (internal reference scaling, Plubell 2017).

    Of each feature the mean log2 value of a plex's reference channels is taken from the plex's values, and the mean of
    these over plexes added. A feature without a reference value in a plex is missing there. Reference channels are left
    out after.

    Args:
        data: on the log2 scale.
        plex: column of the sample table that says which plex a sample was in.
        reference: `column=level` of the samples that are the reference.
    Raises:
        InputError: another scale, unknown column or level, or a plex without a reference channel.

    Examples:
        >>> import pandas as pd
        >>> from proteus import ProteomicsData, scale_to_reference
        >>> sheet = pd.DataFrame({"plex": [1, 1, 2, 2], "kind": ["pool", "case"] * 2}, index=list("abcd"))
        >>> data = ProteomicsData([[20.0, 21.0, 24.0, 25.0]], pd.DataFrame(index=["P1"]), sheet)
        >>> scale_to_reference(data, "plex", "kind=pool").values.tolist()
        [[23.0, 23.0]]
    """
    if data.scale != "log2":
        raise InputError("reference", got=f"a table on the {data.scale} scale", expected="log2 intensities")
    column, _, level = reference.partition("=")
    is_reference = (data.factor(column).astype(str) == level).to_numpy()
    if not level or not is_reference.any() or is_reference.all():
        known = ", ".join(sorted(data.factor(column).astype(str).unique())[:12])
        raise InputError("reference", got=repr(reference), expected=f"COLUMN=LEVEL of some samples; levels: {known}")
    codes, names = pd.factorize(data.factor(plex).astype(str))
    lacking = [str(name) for code, name in enumerate(names) if not is_reference[codes == code].any()]
    if lacking:
        raise InputError("reference", got=f"none in {plex} {lacking[0]}", expected="a reference channel in each plex")
    level_of = np.stack([_seen_mean(data.values[:, is_reference & (codes == code)]) for code in range(len(names))], 1)
    scaled = data.values - level_of[:, codes] + _seen_mean(level_of)[:, None]
    done = data.with_values(scaled, f"scaled to {int(is_reference.sum())} reference channels of {len(names)} plexes")
    done = done.take(samples=~is_reference)
    return done.take(features=~np.isnan(done.values).all(axis=1))


def _seen_mean(values: np.ndarray) -> np.ndarray:
    """(P,) mean of what is seen, NaN where nothing is."""
    return np.where((~np.isnan(values)).any(1), row_mean(values), np.nan)


def median(values: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Each sample's median, over features that all samples have, to the median of all medians.

    Where weak features are missing more often in some samples, medians over all values would differ by that alone.
    With a stable set, medians of each feature's deviation from its own mean are taken, which vary less.
    """
    rows = _shared(values, stable)
    if stable.all():
        centre = np.nanmedian(values[rows], axis=0)
        return values - centre + np.median(centre)
    return values - np.nanmedian(values[rows] - row_mean(values[rows])[:, None], axis=0)


def mad(values: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Median and median absolute deviation of each sample to those of all."""
    rows = _shared(values, stable)
    centre = np.nanmedian(values[rows], axis=0)
    spread = np.nanmedian(np.abs(values[rows] - centre), axis=0)
    if (spread == 0).any():
        raise InputError("MAD normalisation", got="a sample whose values are all alike", expected="spread")
    return (values - centre) / spread * np.median(spread) + np.median(centre)


def _shared(values: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """Stable features that all samples have; all stable ones if these are fewer than 50."""
    complete = stable & ~np.isnan(values).any(axis=1)
    return complete if complete.sum() >= _ENOUGH else stable


def quantile(values: np.ndarray, stable: np.ndarray) -> np.ndarray:  # noqa: ARG001
    """Every sample takes the mean quantile function (Bolstad et al. 2003); missing values stay missing."""
    grid = np.linspace(0, 1, values.shape[0])
    # sorted once: numpy's quantile takes a partition for each point of the grid, which is quadratic in the rows
    ordered = (np.sort(column[~np.isnan(column)]) for column in values.T)
    target = np.mean([np.interp(grid * (len(one) - 1), np.arange(len(one)), one) for one in ordered], axis=0)
    result = np.full_like(values, np.nan)
    for place, column in enumerate(values.T):
        seen = ~np.isnan(column)
        rank = (stats.rankdata(column[seen]) - 1) / max(seen.sum() - 1, 1)
        result[seen, place] = np.interp(rank, grid, target)
    return result


def cyclic_loess(values: np.ndarray, stable: np.ndarray, *, rounds: int = 3, span: float = 0.7) -> np.ndarray:  # noqa: ARG001
    """Smooth of each sample's deviation from the mean profile over abundance, taken out, in rounds (Ballman 2004)."""
    result = values.copy()
    for _ in range(rounds):
        with np.errstate(invalid="ignore"):
            average = row_mean(result)
        for place in range(values.shape[1]):
            seen = ~np.isnan(result[:, place])
            m, a = result[seen, place] - average[seen], average[seen]
            result[seen, place] -= lowess(a, m, span=span, iterations=3)
    return result


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "median": median,
    "mad": mad,
    "quantile": quantile,
    "cyclic_loess": cyclic_loess,
}
