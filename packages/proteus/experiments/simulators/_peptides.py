"""Tables of peptides whose proteins change or do not: loads that differ, outliers, batches, unequal groups.

Proteins differ in level and in biological spread (scaled inverse chi-squared), peptides in how well they fly. A value
is its protein's level in the run, its peptide's offset, the run's load and a noise, 3 % of which is ten times as wide
(interference, misassignment). It is seen with a probability that rises with what reaches the detector, after the load:
what is missing in a run of low load says little of the protein.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from proteus import ProteomicsData
from scipy import special

_PROTEINS = 500
_CHANGED = 0.2  # share of proteins
_FIRST, _SECOND = 5, 8  # runs
_OUTLIERS, _WIDER = 0.03, 10.0
_LEVEL, _FLIES = (23.0, 1.8), 1.5  # log2: mean and sd of proteins, sd of peptides of a protein
_HALF, _STEEP = 20.5, 1.2  # log2 level that half of the runs see; slope of the curve
_NOISE = 0.3  # log2 sd of a peptide


@dataclass(frozen=True)
class PeptideTable:
    """Peptides of two groups.

    Attributes:
        data: log2 values by precursor; samples have `group` (a, b) and `batch`, features their `protein`.
        truth: log2 change a - b by protein; 0 where it does not change.
    """

    data: ProteomicsData
    truth: pd.Series


def draw_peptides(*, load: float = 1.0, effect: float = 0.48, proteins: int = _PROTEINS, seed: int = 0) -> PeptideTable:
    """Draw a table.

    Args:
        load: share of the load that runs of group a have.
        effect: scale of changes, log2; each is 0.4 to 2 times that.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    n = _FIRST + _SECOND
    first = np.arange(n) < _FIRST
    late = np.arange(n) % 2 == 1
    late[[0, n - 1]] = True, False  # crosses the groups, unequally
    spread = np.sqrt(0.2**2 * 6 / rng.chisquare(6, proteins))
    changed = rng.random(proteins) < _CHANGED
    truth = np.where(changed, rng.choice([-1, 1], proteins) * effect * rng.uniform(0.4, 2.0, proteins), 0.0)
    level = rng.normal(*_LEVEL, proteins)[:, None] + spread[:, None] * rng.standard_normal((proteins, n))
    level += truth[:, None] * first
    batched = rng.random(proteins) < 1 / 3
    level += (0.4 * batched * rng.standard_normal(proteins))[:, None] * late
    count = 1 + rng.negative_binomial(1, 0.2, proteins)
    protein = np.repeat(np.arange(proteins), count)
    noise = _NOISE * rng.standard_normal((len(protein), n))
    noise *= np.where(rng.random(noise.shape) < _OUTLIERS, _WIDER, 1.0)
    loads = 0.3 * rng.standard_normal(n) + np.log2(load) * first
    value = level[protein] + (_FLIES * rng.standard_normal(len(protein)))[:, None] + loads + noise
    seen = rng.random(value.shape) < special.expit(_STEEP * (value - _HALF))
    values = np.where(seen, value, np.nan)
    names = np.array([f"P{place:04d}" for place in range(proteins)])
    ids = pd.Index([f"pep{place:05d}" for place in range(len(protein))], name="id")
    features = pd.DataFrame({"protein": names[protein]}, index=ids)
    samples = pd.DataFrame({"group": np.where(first, "a", "b"), "batch": np.where(late, "late", "early")},
                           index=pd.Index([f"run{place:02d}" for place in range(n)], name="sample"))  # fmt: skip
    data = ProteomicsData(values, features, samples, "precursor", "log2", "simulated")
    return PeptideTable(data.take(features=seen.any(1)), pd.Series(truth, index=names))
