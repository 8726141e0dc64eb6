"""SAM / Perseus: Student's t with s0 and a permutation false discovery rate."""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from proteus_experiments.baselines._base import Baseline, Outcome
from proteus_experiments.baselines._classic import pooled
from scipy import stats


@dataclass(frozen=True)
class Sam(Baseline):
    """d = difference / (error + s0); q from the balanced permutations of the labels, pi0 taken as 1 (as in Perseus)."""

    name: ClassVar = "SAM s0"
    source: ClassVar = "Tusher 2001"
    s0: float = 0.1
    permutations: int = 250

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """q_i: expected over observed number of |d| at least as large, made monotone."""
        effect, error, df = pooled(values, first, second)
        d = effect / (error + self.s0)
        known = np.isfinite(d)
        size = np.abs(d[known])
        drawn = []
        for one in self._relabellings(first, second, np.random.default_rng(seed)):
            other, error, _ = pooled(values[known], one, (first | second) & ~one)
            moved = np.abs(other / (error + self.s0))
            drawn.append(moved[np.isfinite(moved)])
        null = np.sort(np.concatenate(drawn))
        order = np.argsort(-size)
        expected = (len(null) - np.searchsorted(null, size[order], side="left")) / len(drawn)
        q = np.empty(known.sum())
        q[order] = np.minimum(np.minimum.accumulate((expected / np.arange(1, len(order) + 1))[::-1])[::-1], 1.0)
        full = np.full(len(d), np.nan)
        full[known] = np.where(np.abs(effect[known]) >= self.lfc, q, 1.0)  # s0 is its own bar; this one beside it
        return Outcome(effect, 2 * stats.t.sf(np.abs(d), df), full)

    def _relabellings(self, first: np.ndarray, second: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
        """Masks of all relabellings but the true one and its mirror if they are few, else of random ones."""
        places, k = np.flatnonzero(first | second), int(first.sum())
        if math.comb(len(places), k) <= self.permutations:
            drawn = [list(one) for one in itertools.combinations(places, k)]
        else:
            drawn = [generator.permutation(places)[:k] for _ in range(self.permutations)]
        masks = [np.isin(np.arange(len(first)), one) for one in drawn]
        return [one for one in masks if not (np.array_equal(one, first) or np.array_equal(one, second))]
