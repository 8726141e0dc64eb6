"""Counts of cells by type, sample and donor, with a planted change of state or of share in one type."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from proteus import ProteomicsData

_TYPES = ("T0", "T1", "T2", "T3", "T4", "T5")
_SHARES = np.array([0.15, 0.3, 0.2, 0.15, 0.12, 0.08])


@dataclass(frozen=True)
class CellTable:
    """Cells of donors in two conditions.

    Attributes:
        data: counts; cells have `sample_id`, `donor`, `condition` (case, control) and `cell_type`.
        changed: features of type T0 that change.
    """

    data: ProteomicsData
    changed: set[str]


def draw_cells(
    *, cells: int = 8000, features: int = 200, donors: int = 6, fold: float = 3.0, share: float = 1.0, seed: int = 0
) -> CellTable:
    """Draw counts, Poisson around the level of a donor, a type and the cell's depth.

    Args:
        cells: of all samples; each donor is met in both conditions.
        fold: change of a tenth of the features in T0 in cases, up or down.
        share: how much more frequent T0 is in cases.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    donor = rng.integers(donors, size=cells)
    case = rng.random(cells) < 0.5
    kind = np.empty(cells, int)
    for one in range(donors):
        own = _SHARES * rng.lognormal(0, 0.2, len(_TYPES))
        for side in (False, True):
            weight = own * rng.lognormal(0, 0.1, len(_TYPES)) * np.where(np.arange(len(_TYPES)) == 0, share**side, 1.0)
            inside = (donor == one) & (case == side)
            kind[inside] = rng.choice(len(_TYPES), inside.sum(), p=weight / weight.sum())
    level = np.log(rng.lognormal(-0.5, 1.2, features))[:, None] + 0.8 * rng.standard_normal((features, len(_TYPES)))
    of_donor = 0.25 * rng.standard_normal((features, donors))
    of_sample = 0.15 * rng.standard_normal((features, 2 * donors))
    change = np.zeros(features)
    chosen = rng.choice(features, features // 10, replace=False)
    change[chosen] = rng.choice([-1, 1], len(chosen)) * np.log(fold)
    depth = rng.lognormal(0, 0.4, cells)
    values = np.empty((features, cells))
    for row in range(features):
        rate = level[row, kind] + of_donor[row, donor] + of_sample[row, 2 * donor + case]
        values[row] = rng.poisson(np.exp(rate + change[row] * (case & (kind == 0))) * depth)
    about = pd.DataFrame({
        "sample_id": [f"d{a}{'case' if b else 'control'}" for a, b in zip(donor, case, strict=True)],
        "donor": [f"d{one}" for one in donor], "condition": np.where(case, "case", "control"),
        "cell_type": np.array(_TYPES)[kind],
    }, index=[f"c{one}" for one in range(cells)])  # fmt: skip
    names = [f"g{one:04d}" for one in range(features)]
    data = ProteomicsData(values, pd.DataFrame(index=pd.Index(names, name="id")), about, "cell", "counts")
    return CellTable(data, {names[one] for one in chosen} if fold != 1 else set())
