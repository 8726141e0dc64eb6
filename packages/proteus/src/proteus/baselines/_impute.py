"""Perseus' habit: fill missing values from a down-shifted normal, then Student's t."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from proteus.baselines._base import Baseline, Outcome
from proteus.baselines._sam import Student


@dataclass(frozen=True)
class ImputeT(Baseline):
    """Each run's missing values: normal at mean - 1.8 sd, width 0.3 sd; then Student's t with BH."""

    name: ClassVar = "impute + t"
    source: ClassVar = "Perseus, Tyanova 2016"
    shift: float = 1.8
    width: float = 0.3

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """Test rows with three values (or all of two) in at least one group."""
        generator = np.random.default_rng(seed)
        mean, sd = np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1)
        draw = mean - self.shift * sd + self.width * sd * generator.standard_normal(values.shape)
        filled = np.where(np.isnan(values), draw, values)
        seen = ~np.isnan(values)
        enough = (seen[:, first].sum(1) >= min(3, first.sum())) | (seen[:, second].sum(1) >= min(3, second.sum()))
        filled[~enough] = np.nan
        return Student(lfc=self.lfc).test(filled, first, second, seed=seed, n_peptides=n_peptides)
