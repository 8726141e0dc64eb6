"""DEqMS: the prior variance follows the number of peptides a protein was quantified with (Zhu et al. 2020)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from proteus.baselines._base import Baseline, Outcome, beyond_bar
from proteus.baselines._plain import PlainModerated
from proteus.statistics._ebayes import trigamma_inverse
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._lowess import lowess


@dataclass(frozen=True)
class Deqms(Baseline):
    """ln s^2 smooth in ln(peptide count); d0 from what is left; then moderated t with BH."""

    name: ClassVar = "DEqMS"
    source: ClassVar = "Zhu 2020"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """As the plain moderated t where no counts are known."""
        if n_peptides is None:
            return PlainModerated(lfc=self.lfc).test(values, first, second, seed=seed, n_peptides=None)
        used = first | second
        design = np.stack([np.ones(used.sum()), first[used]], 1)
        fit = fit_linear_model(values[:, used], design)
        d, s2 = fit.df_residual, fit.sigma**2
        good = np.isfinite(s2) & (d > 0) & (s2 > 0) & np.isfinite(n_peptides) & (n_peptides > 0)
        log_s2, half = np.log(s2[good]), d[good] / 2
        e = log_s2 - special.digamma(half) + np.log(half)
        smooth = lowess(np.log(n_peptides[good]), e, span=0.75, iterations=3)
        excess = float(((e - smooth) ** 2).sum() / (good.sum() - 1) - special.polygamma(1, half).mean())
        d0 = 2 * trigamma_inverse(excess) if excess > 0 else 1e6
        s0 = np.full(len(s2), np.nan)
        s0[good] = np.exp(smooth + special.digamma(d0 / 2) - np.log(d0 / 2))
        posterior = (d0 * s0 + d * s2) / (d0 + d)
        effect, deviation = (one[:, 0] for one in fit.contrast(np.array([0.0, 1.0])))
        p = beyond_bar(effect, np.sqrt(posterior) * deviation, np.minimum(d0 + d, d[good].sum()), self.lfc)
        return Outcome(effect, p, benjamini_hochberg(p))
