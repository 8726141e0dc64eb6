"""The plain moderated t-test: one prior for all, no trend, no robustness, nothing said of missing values."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from proteus.baselines._base import Baseline, Outcome
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_t


@dataclass(frozen=True)
class PlainModerated(Baseline):
    """Smyth's moderated t, with a fold bar TREAT; BH."""

    name: ClassVar = "moderated t"
    source: ClassVar = "Smyth 2004"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """Test rows with a value in each group."""
        del seed, n_peptides
        used = first | second
        design = np.stack([np.ones(used.sum()), first[used]], 1)
        fit = fit_linear_model(values[:, used], design)
        tested = moderated_t(fit, np.array([0.0, 1.0]), fit_prior(fit), lfc=self.lfc)
        return Outcome(tested.effect, tested.p, benjamini_hochberg(tested.p))
