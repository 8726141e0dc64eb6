"""Cytometry: cells to clusters, clusters to donors. The unit of every test is the sample of a donor, never a cell.

Tables have markers as features and cells as samples (`level="cell"`); the cell table names each cell's `sample_id`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import sparse
from scipy.cluster import hierarchy

from proteus.data._data import ProteomicsData
from proteus.differential._moderated_test import TestResult, moderated_test

_CHUNK = 100_000


def arcsinh(data: ProteomicsData, cofactor: float = 5.0) -> ProteomicsData:
    """arcsinh(x / cofactor) of raw counts; 5 for mass cytometry, about 150 for fluorescence.

    Examples:
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import arcsinh
        >>> cells = pd.DataFrame({"sample_id": ["a"]})
        >>> arcsinh(ProteomicsData([[0.0]], pd.DataFrame(index=["CD3"]), cells, "cell", "counts")).scale
        'score'
    """
    if data.scale != "counts":
        raise InputError("arcsinh", got=f"a table on the {data.scale} scale", expected="raw counts")
    return data.with_values(np.arcsinh(data.values / cofactor), f"arcsinh(x/{cofactor:g})", scale="score")


def cluster_cells(data: ProteomicsData, markers: Sequence[str], *, clusters: int = 20, seed: int = 0) -> np.ndarray:
    """Cluster cells on type markers.

    Args:
        data: transformed cells.
        markers: features to cluster on.
        clusters: clusters into which the nodes of a 10 x 10 self-organising map are merged, by Ward's method (FlowSOM's
            plan).
        seed: of the start.
    Returns:
        (cells,) cluster number from 0, largest first.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import cluster_cells
        >>> values = np.repeat([[0.0, 4.0], [4.0, 0.0]], 20, axis=1) + 0.01 * np.arange(40)
        >>> about = pd.DataFrame({"sample_id": ["a", "b"] * 20})
        >>> data = ProteomicsData(values, pd.DataFrame(index=["CD3", "CD20"]), about, "cell", "score")
        >>> len(set(cluster_cells(data, ["CD3", "CD20"], clusters=2)[:20]))
        1
    """
    unknown = [name for name in markers if name not in data.features.index]
    if unknown:
        raise InputError("markers", got=", ".join(unknown), expected=f"some of: {', '.join(data.features.index)}")
    x = np.ascontiguousarray(data.values[data.features.index.get_indexer(pd.Index(list(markers)))].T)
    if np.isnan(x).any():
        raise InputError("cells", got="missing values in a marker", expected="complete rows")
    return _largest_first(_som(x, clusters, seed))


def cluster_compositions(shares: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """(cells,) cluster number from 0, largest first, of (cells, types) shares, by the self-organising map."""
    return _largest_first(_som(np.ascontiguousarray(shares), clusters, seed))


def _largest_first(label: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.bincount(label), kind="stable")
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    return rank[label]


def _som(x: np.ndarray, clusters: int, seed: int, *, side: int = 10, epochs: int = 10) -> np.ndarray:
    """Batch map trained on up to 50,000 cells, neighbourhood shrinking to one node; then every cell to its node."""
    generator = np.random.default_rng(seed)
    sample = x if len(x) <= 50_000 else x[generator.choice(len(x), 50_000, replace=False)]
    nodes = min(side * side, len(sample))
    codes = sample[generator.choice(len(sample), nodes, replace=False)].astype(float)
    grid = np.stack(np.divmod(np.arange(nodes), side), 1)
    apart = np.abs(grid[:, None] - grid[None]).max(-1)
    for radius in np.linspace(side / 3, 0.5, epochs):
        owner = _nearest(sample, codes)
        counts = np.bincount(owner, minlength=nodes).astype(float)
        sums = (
            sparse.csr_matrix((np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(nodes, len(owner))) @ sample
        )
        near = np.exp(-((apart / radius) ** 2))
        weight = near @ counts
        codes = np.where(weight[:, None] > 0, near @ sums / np.maximum(weight, 1e-12)[:, None], codes)
    owner = _nearest(x, codes)
    merged = hierarchy.fcluster(hierarchy.linkage(codes, "ward"), min(clusters, nodes), "maxclust") - 1
    label = merged[owner]
    _, label = np.unique(label, return_inverse=True)
    return label.ravel()


def _nearest(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    length = (codes**2).sum(1)
    parts = [
        np.argmin(length - 2 * (x[start : start + _CHUNK] @ codes.T), axis=1) for start in range(0, len(x), _CHUNK)
    ]
    return np.concatenate(parts)


def annotate(
    data: ProteomicsData, cluster: np.ndarray, rules: Mapping[str, Mapping[str, str]], *, margin: float = 0.0
) -> pd.Series:
    """Name clusters by marker rules, `{"B cells": {"CD20": "+", "CD3": "-"}}`.

    A marker is "+" in a cluster if its median lies above the midpoint of the clusters' extreme medians plus `margin`,
    "-" below it. The rule with the largest mean signed distance wins among those that hold entirely.

    Returns:
        Name by cluster number, "unassigned" where no rule holds.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import annotate
        >>> values = np.repeat([[0.0, 4.0], [4.0, 0.0]], 20, axis=1) + 0.01 * np.arange(40)
        >>> about = pd.DataFrame({"sample_id": ["a", "b"] * 20})
        >>> data = ProteomicsData(values, pd.DataFrame(index=["CD3", "CD20"]), about, "cell", "score")
        >>> annotate(data, np.repeat([0, 1], 20), {"B": {"CD20": "+"}, "T": {"CD3": "+"}}).tolist()
        ['B', 'T']
    """
    wanted = {marker for rule in rules.values() for marker in rule}
    unknown = wanted - set(data.features.index)
    if unknown:
        raise InputError("marker rules", got=", ".join(sorted(unknown)), expected="markers of the table")
    numbers = np.unique(cluster)
    medians = pd.DataFrame(
        {number: np.median(data.values[:, cluster == number], axis=1) for number in numbers}, index=data.features.index
    )
    middle = (medians.max(axis=1) + medians.min(axis=1)) / 2
    spread = (medians.max(axis=1) - medians.min(axis=1)).replace(0, 1.0)
    relative = medians.sub(middle, axis=0).div(spread, axis=0).to_numpy(float)
    row = {str(marker): place for place, marker in enumerate(medians.index)}
    names = {}
    for column, number in enumerate(numbers):
        best, score = "unassigned", -np.inf
        for name, rule in rules.items():
            signed = [
                float(relative[row[marker], column]) * (1 if sign == "+" else -1) for marker, sign in rule.items()
            ]
            if min(signed) > margin and float(np.mean(signed)) > score:
                best, score = name, float(np.mean(signed))
        names[number] = best
    return pd.Series(names, name="cell type")


def sample_table(data: ProteomicsData, sample: str = "sample_id") -> pd.DataFrame:
    """One row a sample: the cell table's columns that are constant within each sample."""
    cells = data.samples
    data.factor(sample)
    groups = cells.groupby(sample, sort=True, observed=True)
    constant = [name for name in cells.columns if name != sample and (groups[name].nunique(dropna=False) <= 1).all()]
    return groups[constant].first()


def abundance(data: ProteomicsData, cluster: np.ndarray, sample: str = "sample_id") -> ProteomicsData:
    """Logit of each cluster's share of each sample's cells (half a cell added), clusters by samples."""
    samples = sample_table(data, sample)
    counts = pd.crosstab(np.asarray(cluster), data.samples[sample].to_numpy()).reindex(
        columns=samples.index, fill_value=0
    )
    total = counts.sum(axis=0)
    inside = counts.to_numpy(float)
    logit = np.log2((inside + 0.5) / (total.to_numpy(float) - inside + 0.5))
    features = pd.DataFrame({"cells": counts.sum(axis=1)}, index=pd.Index(counts.index.astype(str), name="id"))
    return ProteomicsData(logit, features, samples, "cell", "score", data.source)


def state(
    data: ProteomicsData,
    cluster: np.ndarray,
    markers: Sequence[str],
    sample: str = "sample_id",
    *,
    least_cells: int = 10,
) -> ProteomicsData:
    """Median of each state marker in each cluster and sample, `cluster|marker` by samples; NaN under `least_cells`."""
    if data.scale == "counts":
        raise InputError("diff_state", got="raw counts", expected="transformed cells", hint="tl.arcsinh(data) first")
    samples = sample_table(data, sample)
    rows = data.features.index.get_indexer(pd.Index(list(markers)))
    if (rows < 0).any():
        raise InputError("markers", got=f"{markers[int(np.argmin(rows))]!r}", expected="markers of the table")
    cells = pd.DataFrame(data.values[rows].T, columns=list(markers))
    groups = cells.groupby([np.asarray(cluster), data.samples[sample].to_numpy()])
    medians, size = groups.median(), groups.size()
    medians[size < least_cells] = np.nan
    wide = medians.unstack(level=1).T  # (marker, sample) by cluster
    values = pd.DataFrame(wide.T.stack(level=0, future_stack=True))[list(samples.index)]
    parts = [(str(number), str(marker)) for number, marker in values.index]
    index = pd.Index([f"{number}|{marker}" for number, marker in parts], name="id")
    features = pd.DataFrame({"cluster": [a for a, _ in parts], "gene": [b for _, b in parts]}, index=index)
    return ProteomicsData(values.to_numpy(), features, samples, "cell", "score", data.source)


def diff_abundance(
    data: ProteomicsData, cluster: np.ndarray, design: str, contrast: str, *, sample: str = "sample_id"
) -> TestResult:
    """Moderated test of cluster abundances, one observation a sample; put the donor into the design where paired.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import diff_abundance
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"sample_id": np.repeat(list("abcdef"), 40), "group": np.repeat(["x", "y"], 120)})
        >>> data = ProteomicsData(np.zeros((1, 240)), pd.DataFrame(index=["m"]), cells, "cell", "score")
        >>> kind = np.where(rng.random(240) < np.where(cells["group"] == "x", 0.8, 0.2), "B", "T")
        >>> bool(diff_abundance(data, kind, "~ group", "x-y").table.loc["B", "effect"] > 2)
        True
    """
    return moderated_test(
        abundance(data, cluster, sample), design, contrast, lfc=0.0, trend=False, robust=False, missing="seen"
    )


def diff_state(
    data: ProteomicsData,
    cluster: np.ndarray,
    markers: Sequence[str],
    design: str,
    contrast: str,
    *,
    sample: str = "sample_id",
) -> TestResult:
    """Moderated test of marker medians within clusters, one observation a cluster and sample.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import diff_state
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"sample_id": np.repeat(list("abcdef"), 40), "group": np.repeat(["x", "y"], 120)})
        >>> values = rng.standard_normal((3, 240))
        >>> values[0, :120] += 2
        >>> data = ProteomicsData(values, pd.DataFrame(index=["pS6", "pAkt", "pErk"]), cells, "cell", "score")
        >>> diff_state(data, np.full(240, "B"), ["pS6", "pAkt", "pErk"], "~ group", "x-y").hits().index.tolist()
        ['B|pS6']
    """
    medians = state(data, cluster, markers, sample)
    return moderated_test(medians, design, contrast, lfc=0.0, trend=True, robust=False, missing="seen")
