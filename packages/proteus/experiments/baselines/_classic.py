"""Tests without a prior: Welch's t, Student's t, and Student's t on values filled in as Perseus does."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from proteus_experiments.baselines._base import Baseline, Outcome, group_moments


@dataclass(frozen=True)
class Welch(Baseline):
    """Unequal variances, Satterthwaite's degrees of freedom; rows with two values in each group."""

    name: ClassVar = "Welch"
    source: ClassVar = "Welch 1947"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """See `Baseline.test`."""
        (na, ma, va), (nb, mb, vb) = (group_moments(values, one) for one in (first, second))
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = va / na, vb / nb
            df = (a + b) ** 2 / (a**2 / (na - 1) + b**2 / (nb - 1))
        return self.outcome(ma - mb, np.sqrt(a + b), df)


def pooled(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(difference, error, degrees of freedom) with the pooled variance; NaN with fewer than two values in a group."""
    (na, ma, va), (nb, mb, vb) = (group_moments(values, one) for one in (first, second))
    with np.errstate(invalid="ignore", divide="ignore"):
        df = na + nb - 2.0
        both = (np.nan_to_num(va) * np.maximum(na - 1, 0) + np.nan_to_num(vb) * np.maximum(nb - 1, 0)) / df
        return ma - mb, np.sqrt(np.where((na >= 2) & (nb >= 2), both, np.nan) * (1 / na + 1 / nb)), df


@dataclass(frozen=True)
class Student(Baseline):
    """Pooled variance; rows with two values in each group."""

    name: ClassVar = "Student"
    source: ClassVar = "Student 1908"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """See `Baseline.test`."""
        return self.outcome(*pooled(values, first, second))


@dataclass(frozen=True)
class ImputeT(Baseline):
    """Each run's missing values: normal at mean - 1.8 sd, width 0.3 sd; then Student's t, of rows with three values (or
    all of two) in at least one group."""

    name: ClassVar = "impute + t"
    source: ClassVar = "Perseus, Tyanova 2016"
    shift: float = 1.8
    width: float = 0.3

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """See `Baseline.test`."""
        return self.outcome(*pooled(self.filled(values, first, second, seed), first, second))

    def filled(self, values: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int) -> np.ndarray:
        """(P, N) with draws for what is missing; rows seen too seldom are NaN."""
        mean, sd = np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1)
        draw = mean + sd * (self.width * np.random.default_rng(seed).standard_normal(values.shape) - self.shift)
        seen = ~np.isnan(values)
        filled = np.where(seen, values, draw)
        enough = (seen[:, first].sum(1) >= min(3, first.sum())) | (seen[:, second].sum(1) >= min(3, second.sum()))
        filled[~enough] = np.nan
        return filled
