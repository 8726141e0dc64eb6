"""Spatial neighbourhoods of cells (CODEX, imaging mass cytometry): what types lie around each cell."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy.spatial import KDTree

from proteus.data._data import ProteomicsData
from proteus.outcomes._cells import cluster_compositions


def neighbourhoods(
    data: ProteomicsData,
    cell_type: str,
    *,
    x: str = "x",
    y: str = "y",
    sample: str = "sample_id",
    neighbours: int = 10,
    clusters: int = 10,
    seed: int = 0,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Cluster cells by the types among their nearest neighbours in the same sample (Goltsev 2018; Schuerch 2020).

    The labels go into `diff_abundance` as types do: is a neighbourhood more frequent in a group, donors being n?

    Args:
        data: cells; the cell table has the columns named.
        cell_type: column of each cell's type.
        x, y: columns of its position.
        sample: column of its sample (a section or region); neighbours are of the same.
        neighbours: how many nearest cells, the cell itself among them.
        clusters: neighbourhoods.
        seed: of the start.
    Returns:
        (cells,) number of each cell's neighbourhood, largest first; and the mean share of types in each.
    Raises:
        InputError: columns that are not there, positions that are no numbers, or a sample with too few cells.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import neighbourhoods
        >>> cells = pd.DataFrame({"x": range(20), "y": 0, "type": ["A"] * 10 + ["B"] * 10, "sample_id": "s"})
        >>> table = ProteomicsData(np.zeros((1, 20)), pd.DataFrame(index=["m"]), cells, "cell", "score")
        >>> label, shares = neighbourhoods(table, "type", neighbours=3, clusters=2)
        >>> shares.columns.tolist()
        ['A', 'B']
    """
    for name in (x, y):
        column = data.factor(name)
        if not pd.api.types.is_numeric_dtype(column) or column.isna().any():
            raise InputError("position", got=f"column {name!r} with text or gaps", expected="a number for each cell")
    place = data.samples[[x, y]].to_numpy(float)
    kinds, names = pd.factorize(data.factor(cell_type).astype(str), sort=True)
    around = np.zeros((data.shape[1], len(names)))
    for one in data.factor(sample).unique():
        inside = np.flatnonzero((data.samples[sample] == one).to_numpy())
        if len(inside) < neighbours:
            raise InputError("sample", got=f"{len(inside)} cells in {one!r}", expected=f"{neighbours} or more")
        near = np.asarray(KDTree(place[inside]).query(place[inside], neighbours)[1]).reshape(len(inside), -1)
        for column in range(near.shape[1]):
            around[inside, kinds[inside[near[:, column]]]] += 1 / near.shape[1]
    label = cluster_compositions(around, clusters, seed)
    shares = pd.DataFrame(around, columns=names).groupby(label).mean()
    return label, shares
