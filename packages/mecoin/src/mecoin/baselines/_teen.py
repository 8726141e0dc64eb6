"""TEEN: new prototypes drawn toward the base prototypes that they resemble."""

from __future__ import annotations

import torch
from torch import Tensor

from mecoin.baselines._frozen import FrozenLearner, Pool, cosines


class Teen(FrozenLearner):
    """mu <- alpha mu + (1 - alpha) sum_b softmax_b(tau cos(mu, mu_b)) mu_b; cosine scores.

    Attributes:
        alpha, tau: weight of the class's own mean, and sharpness; the publication's .5 and 16.
    """

    name = "TEEN"
    source = "Wang et al. 2023, arXiv 2312.05229"
    limits = ""
    grid = tuple({"alpha": alpha, "tau": tau} for alpha in (0.5, 0.9) for tau in (16.0, 64.0))
    alpha: float = 0.5
    tau: float = 16.0

    def fit_pool(self, pool: Pool) -> None:
        """Class means."""
        self.prototypes = pool.means()
        self.base = len(self.prototypes)

    def add_pool(self, pool: Pool) -> None:
        """Calibrated means."""
        new = calibrated(pool.means(), self.prototypes[: self.base], self.alpha, self.tau)
        self.prototypes = torch.cat([self.prototypes, new])

    def score_rows(self, z: Tensor) -> Tensor:
        """Cosines."""
        return cosines(z, self.prototypes)


def calibrated(new: Tensor, base: Tensor, alpha: float, tau: float) -> Tensor:
    """(N, h) new and (B, h) base prototypes -> (N, h); see `Teen`."""
    return alpha * new + (1 - alpha) * (tau * cosines(new, base)).softmax(1) @ base
