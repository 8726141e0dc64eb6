"""Co-expression modules: signed topological overlap, average linkage, eigengenes and their relation to traits."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial import distance

from proteus.data._data import ProteomicsData
from proteus.statistics._detection import row_mean
from proteus.statistics._error_control import benjamini_hochberg


@dataclass(frozen=True)
class Modules:
    """Modules of features.

    Attributes:
        label: by feature, the module's number from 1 (the largest); 0 is in none.
        eigengenes: (samples, modules), first principal component of each, its sign that of the members' mean.
        membership: by feature, correlation with its module's eigengene.
    """

    label: pd.Series
    eigengenes: pd.DataFrame
    membership: pd.Series


def correlation(values: np.ndarray) -> np.ndarray:
    """Pairwise-complete Pearson correlation of rows, (P, P)."""
    seen = ~np.isnan(values)
    filled = np.where(seen, values - row_mean(values)[:, None], 0.0)
    mask = seen.astype(float)
    n = np.maximum(mask @ mask.T, 1)
    s, t = filled @ mask.T, filled**2 @ mask.T  # sum and squares of row i over samples where j is seen
    covariance = filled @ filled.T - s * s.T / n
    variance = np.maximum(t - s**2 / n, 1e-12)
    return np.clip(covariance / np.sqrt(variance * variance.T), -1, 1)


def signed_tom(correlations: np.ndarray, *, power: float = 12) -> np.ndarray:
    """Signed topological overlap (Zhang & Horvath 2005): a = ((1 + cor)/2)^power,
    TOM_ij = (sum_u a_iu a_uj + a_ij) / (min(k_i, k_j) + 1 - a_ij)."""
    adjacency = ((1 + correlations) / 2) ** power
    np.fill_diagonal(adjacency, 0)
    shared = adjacency @ adjacency
    degree = adjacency.sum(0)
    tom = (shared + adjacency) / (np.minimum(degree[:, None], degree[None, :]) + 1 - adjacency)
    np.fill_diagonal(tom, 1)
    return np.clip(tom, 0, 1)


def find_modules(
    data: ProteomicsData, *, power: float = 12, smallest: int = 20, height: float | None = None, least_seen: float = 0.7
) -> Modules:
    """Modules of features that move together over samples.

    Args:
        data: log2 table; take covariates out first if they drive everything.
        power: soft threshold of the signed network.
        smallest: members of a module at least.
        height: cut of the average-linkage tree on 1 - TOM; None: the cut that puts most features into modules of
            `smallest` to a third of all features.
        least_seen: features seen in fewer samples are in no module.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import find_modules
        >>> rng = np.random.default_rng(0)
        >>> shared = np.repeat(rng.standard_normal((2, 20)), 25, axis=0)
        >>> values = 20 + shared + 0.3 * rng.standard_normal((50, 20))
        >>> index = [f"P{one}" for one in range(50)]
        >>> data = ProteomicsData(values, pd.DataFrame(index=index), pd.DataFrame({"age": shared[0]}))
        >>> modules = find_modules(data, smallest=10)
        >>> len(modules.eigengenes)
        20
    """
    used = (~np.isnan(data.values)).mean(1) >= least_seen
    if used.sum() < 2 * smallest or data.shape[1] < 8:
        raise InputError(
            "co-expression", got=f"{int(used.sum())} features over {data.shape[1]} samples", expected="more of both"
        )
    values = data.values[used]
    overlap = signed_tom(correlation(values), power=power)
    tree = hierarchy.linkage(distance.squareform(1 - overlap, checks=False), "average")
    heights = [height] if height is not None else np.quantile(tree[:, 2], np.linspace(0.3, 0.995, 60))
    best, most = np.zeros(len(values), int), -1
    for cut in heights:
        flat = hierarchy.fcluster(tree, cut, "distance")
        count = np.bincount(flat)
        fits = (count >= smallest) & (count <= max(len(values) / 3, smallest))
        if count[fits].sum() > most:
            best, most = np.where(fits[flat], flat, 0), int(count[fits].sum())
    sizes = np.bincount(best)
    sizes[0] = 0
    order = [module for module in np.argsort(-sizes, kind="stable") if sizes[module] > 0]
    number = {module: place + 1 for place, module in enumerate(order)}
    label = np.zeros(len(data.values), int)
    label[used] = [number.get(int(one), 0) for one in best]
    eigen = {f"M{place}": eigengene(data.values[label == place]) for place in range(1, len(order) + 1)}
    eigengenes = pd.DataFrame(eigen, index=data.samples.index)
    belongs = np.full(len(label), np.nan)
    for place in range(1, len(order) + 1):
        rows = np.flatnonzero(label == place)
        with_own = np.vstack([eigengenes[f"M{place}"].to_numpy(), data.values[rows]])
        belongs[rows] = correlation(with_own)[0, 1:]
    index = data.features.index
    return Modules(pd.Series(label, index), eigengenes, pd.Series(belongs, index))


def eigengene(values: np.ndarray) -> np.ndarray:
    """First right singular vector of standardised rows (missing at the mean), sign as the mean profile, unit length."""
    centred = values - row_mean(values)[:, None]
    spread = np.sqrt(np.nanmean(centred**2, axis=1))[:, None]
    standard = np.nan_to_num(centred / np.where(spread > 0, spread, 1))
    _, _, right = np.linalg.svd(standard, full_matrices=False)
    vector = right[0]
    return vector if vector @ standard.mean(0) >= 0 else -vector


def module_traits(modules: Modules, samples: pd.DataFrame, traits: list[str]) -> pd.DataFrame:
    """Correlation of each eigengene with numeric or two-level traits: module, trait, r, p, q, n.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import find_modules
        >>> from proteus.tl import module_traits
        >>> rng = np.random.default_rng(0)
        >>> shared = np.repeat(rng.standard_normal((2, 20)), 25, axis=0)
        >>> values = 20 + shared + 0.3 * rng.standard_normal((50, 20))
        >>> index = [f"P{one}" for one in range(50)]
        >>> data = ProteomicsData(values, pd.DataFrame(index=index), pd.DataFrame({"age": shared[0]}))
        >>> modules = find_modules(data, smallest=10)
        >>> bool(module_traits(modules, data.samples, ["age"])["q"].min() < 0.01)
        True
    """
    rows = []
    for trait in traits:
        if trait not in samples:
            known = ", ".join(map(str, samples.columns)) or "none"
            raise InputError("trait", got=repr(trait), expected=f"one of: {known}")
        column = samples[trait]
        if not pd.api.types.is_numeric_dtype(column):
            if column.nunique() != 2:
                raise InputError(
                    "trait", got=f"{trait!r} with {column.nunique()} levels", expected="numbers or two levels"
                )
            column = pd.Series(pd.factorize(column, sort=True)[0], column.index).where(column.notna())
        known = column.notna().to_numpy()
        for module in modules.eigengenes:
            x = modules.eigengenes[module].to_numpy()[known]
            y = column.to_numpy(float)[known]
            told = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
            rows.append([module, trait, *(stats.pearsonr(x, y) if told else (np.nan, np.nan)), int(known.sum())])
    table = pd.DataFrame(rows, columns=["module", "trait", "r", "p", "n"])
    table["q"] = benjamini_hochberg(table["p"].to_numpy())
    return table
