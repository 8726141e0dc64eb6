"""Welch's t-test."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from proteus.baselines._base import Baseline, Outcome, beyond_bar, group_moments
from proteus.statistics._error_control import benjamini_hochberg


@dataclass(frozen=True)
class Welch(Baseline):
    """Unequal variances, Satterthwaite's degrees of freedom; BH."""

    name: ClassVar = "Welch"
    source: ClassVar = "Welch 1947"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """Test rows with two values in each group."""
        del seed, n_peptides
        (na, ma, va), (nb, mb, vb) = (group_moments(values, one) for one in (first, second))
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = va / na, vb / nb
            df = (a + b) ** 2 / (a**2 / (na - 1) + b**2 / (nb - 1))
        p = beyond_bar(ma - mb, np.sqrt(a + b), df, self.lfc)
        return Outcome(ma - mb, p, benjamini_hochberg(p))
