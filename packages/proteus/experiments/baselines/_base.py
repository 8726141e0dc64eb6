"""What a rival is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from proteus.statistics._error_control import benjamini_hochberg
from scipy import stats


@dataclass(frozen=True)
class Outcome:
    """(P,) effect (first - second, log2), p, and q; NaN where a feature cannot be tested."""

    effect: np.ndarray
    p: np.ndarray
    q: np.ndarray


@dataclass(frozen=True)
class Baseline(ABC):
    """A test of first against second group, feature by feature.

    Args:
        lfc: log2 fold bar, the same question for each rival: |effect| > lfc, tested as TREAT does.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    lfc: float = 0.0

    @abstractmethod
    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """Test (P, N) log2 values, `first` and `second` (N,) bool."""

    def outcome(self, effect: np.ndarray, error: np.ndarray, df: np.ndarray) -> Outcome:
        """p of |effect| > lfc (McCarthy & Smyth 2009), with lfc 0 that of the two-sided t-test, and q by BH."""
        with np.errstate(invalid="ignore", divide="ignore"):
            above, beyond = (np.abs(effect) - self.lfc) / error, (np.abs(effect) + self.lfc) / error
        p = np.minimum(stats.t.sf(above, df) + stats.t.sf(beyond, df), 1.0)
        return Outcome(effect, p, benjamini_hochberg(p))


def group_moments(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n, mean and variance over a group's observed values, (P,) each; NaN where undefined."""
    part = values[:, mask]
    seen = ~np.isnan(part)
    n = seen.sum(1)
    mean = np.where(n > 0, np.where(seen, part, 0).sum(1) / np.maximum(n, 1), np.nan)
    squares = (np.where(seen, part - mean[:, None], 0) ** 2).sum(1)
    return n, mean, np.where(n > 1, squares / np.maximum(n - 1, 1), np.nan)
