"""Rivals with a prior of variances: the moderated t (with a fold bar TREAT), as it is and imputed, and DEqMS."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from proteus.statistics._ebayes import trigamma_inverse
from proteus.statistics._linear_model import LinearFit, fit_linear_model
from proteus.statistics._lowess import lowess
from proteus.statistics._moderated_t import fit_prior
from proteus_experiments.baselines._base import Baseline, Outcome
from proteus_experiments.baselines._classic import ImputeT
from scipy import special


@dataclass(frozen=True)
class Moderated(Baseline):
    """A linear model of the two groups.

    Args:
        adjust: (N, K) covariates beside the groups, a batch for one.
    """

    adjust: np.ndarray | None = None

    def fit(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> tuple[LinearFit, np.ndarray, np.ndarray]:
        """(fit, effect, unscaled deviation) of first against second."""
        used = first | second
        beside = np.empty((len(first), 0)) if self.adjust is None else self.adjust
        fit = fit_linear_model(values[:, used], np.column_stack([np.ones(used.sum()), first[used], beside[used]]))
        effect, deviation = (one[:, 0] for one in fit.contrast(np.eye(2 + beside.shape[1])[1]))
        return fit, effect, deviation


@dataclass(frozen=True)
class PlainModerated(Moderated):
    """Smyth's moderated t: one prior for all, no trend, no robustness, nothing said of missing values."""

    name: ClassVar = "TREAT"
    source: ClassVar = "Smyth 2004, McCarthy 2009"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """See `Baseline.test`; rows with a value in each group."""
        fit, effect, deviation = self.fit(values, first, second)
        prior = fit_prior(fit)
        return self.outcome(effect, deviation * np.sqrt(prior.posterior), prior.df_total)


@dataclass(frozen=True)
class ImputeTreat(PlainModerated):
    """Values filled in as Perseus does, then the moderated t."""

    name: ClassVar = "impute + TREAT"
    source: ClassVar = "Tyanova 2016, McCarthy 2009"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """See `Baseline.test`."""
        filled = ImputeT().filled(values, first, second, seed)
        return super().test(filled, first, second, seed=seed, n_peptides=n_peptides)


@dataclass(frozen=True)
class Deqms(Moderated):
    """ln s^2 smooth in ln(peptide count), d0 from what is left (Zhu et al. 2020); TREAT where no counts are known."""

    name: ClassVar = "DEqMS"
    source: ClassVar = "Zhu 2020"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """See `Baseline.test`."""
        if n_peptides is None:
            return PlainModerated(lfc=self.lfc, adjust=self.adjust).test(
                values, first, second, seed=seed, n_peptides=None
            )
        fit, effect, deviation = self.fit(values, first, second)
        d, s2 = fit.df_residual, fit.sigma**2
        good = np.isfinite(s2) & (d > 0) & (s2 > 0) & np.isfinite(n_peptides) & (n_peptides > 0)
        half = d[good] / 2
        e = np.log(s2[good]) - special.digamma(half) + np.log(half)
        smooth = lowess(np.log(n_peptides[good]), e, span=0.75, iterations=3)
        excess = float(((e - smooth) ** 2).sum() / (good.sum() - 1) - special.polygamma(1, half).mean())
        d0 = 2 * trigamma_inverse(excess) if excess > 0 else 1e6
        s0 = np.full(len(s2), np.nan)
        s0[good] = np.exp(smooth + special.digamma(d0 / 2) - np.log(d0 / 2))
        error = np.sqrt((d0 * s0 + d * s2) / (d0 + d)) * deviation
        return self.outcome(effect, error, np.minimum(d0 + d, d[good].sum()))
