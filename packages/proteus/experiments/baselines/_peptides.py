"""A rival on peptides: their robust summary in each run, then TREAT (msqrobSum: Sticker et al. 2020).

Each protein's peptides are fitted by run and peptide effects with Huber's weights; the run effects are the protein's
values. The moderated test of two groups follows, at the same fold bar as all.
"""

from dataclasses import dataclass

import numpy as np
from proteus.data._peptide_model import weighted_additive
from proteus_experiments.baselines._base import Outcome
from proteus_experiments.baselines._moderated import PlainModerated

_HUBER, _ROUNDS = 1.345, 20


@dataclass(frozen=True)
class RobustSummary:
    """Robust summary and TREAT.

    Args:
        lfc: log2 fold bar.
    """

    name = "robust summary + TREAT"
    source = "Sticker 2020"
    lfc: float = 0.0

    def test(self, values: np.ndarray, codes: np.ndarray, first: np.ndarray, second: np.ndarray) -> Outcome:
        """Test proteins by (R, N) log2 values of peptides; `codes` (R,) says whose, 0 to G - 1. Results are (G,)."""
        proteins = robust_summary(values, codes)
        return PlainModerated(lfc=self.lfc).test(proteins, first, second, seed=0, n_peptides=None)


def robust_summary(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(G, N) run effects of a Huber fit of run and peptide effects (adding to zero); NaN where no peptide is seen."""
    counts = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(counts) - counts
    result = np.full((len(counts), values.shape[1]), np.nan)
    for size in np.unique(counts[counts > 0]):  # proteins with as many peptides are fitted together
        groups = np.flatnonzero(counts == size)
        result[groups] = _huber(values[order[starts[groups][:, None] + np.arange(size)]])
    return result


def _huber(cube: np.ndarray) -> np.ndarray:
    """(G, p, N) peptides by runs -> (G, N), by iterated weighted least squares."""
    seen = ~np.isnan(cube)
    y, weight = np.where(seen, cube, 0.0), seen.astype(float)
    runs = np.zeros((len(cube), cube.shape[2]))
    for _ in range(_ROUNDS):
        runs, peptides = weighted_additive(y, weight, np.zeros(len(cube)))
        residual = np.where(seen, y - runs[:, None, :] - peptides[:, :, None], np.nan).reshape(len(cube), -1)
        size = np.abs(residual)
        scale = np.nanmedian(np.where(np.isnan(size).all(1, keepdims=True), 0.0, size), axis=1)[:, None] / 0.6745
        weight = np.minimum(1.0, _HUBER * scale / np.maximum(np.nan_to_num(size), 1e-12)).reshape(cube.shape)
        weight = np.where(seen & (scale > 1e-12)[:, :, None], weight, seen.astype(float))
    return np.where(seen.any(1), runs, np.nan)
