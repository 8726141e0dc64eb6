"""Student's t-test, and SAM / Perseus: Student's t with s0 and a permutation false discovery rate."""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from proteus.baselines._base import Baseline, Outcome, beyond_bar, group_moments
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._laws import t_sf


def _student(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, s0: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (na, ma, va), (nb, mb, vb) = (group_moments(values, one) for one in (first, second))
    with np.errstate(invalid="ignore", divide="ignore"):
        df = na + nb - 2.0
        pooled = (np.nan_to_num(va) * np.maximum(na - 1, 0) + np.nan_to_num(vb) * np.maximum(nb - 1, 0)) / df
        enough = (na >= 2) & (nb >= 2)
        error = np.sqrt(np.where(enough, pooled, np.nan) * (1 / na + 1 / nb))
        return ma - mb, error + s0, df


@dataclass(frozen=True)
class Student(Baseline):
    """Pooled variance; BH."""

    name: ClassVar = "Student"
    source: ClassVar = "Student 1908"

    def test(
        self, values: np.ndarray, first: np.ndarray, second: np.ndarray, *, seed: int, n_peptides: np.ndarray | None
    ) -> Outcome:
        """Test rows with two values in each group."""
        del seed, n_peptides
        p = beyond_bar(*(parts := _student(values, first, second, 0.0)), self.lfc)
        effect = parts[0]
        return Outcome(effect, p, benjamini_hochberg(p))


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
        del n_peptides
        effect, error, df = _student(values, first, second, self.s0)
        d = effect / error
        known = np.isfinite(d)
        size = np.abs(d[known])
        drawn = []
        for a, b in self._relabellings(first, second, np.random.default_rng(seed)):
            other, error, _ = _student(values[known], a, b, self.s0)
            moved = np.abs(other / error)
            drawn.append(moved[np.isfinite(moved)])
        null = np.sort(np.concatenate(drawn))
        order = np.argsort(-size)
        expected = (len(null) - np.searchsorted(null, size[order], side="left")) / len(drawn)
        q = np.empty(known.sum())
        q[order] = np.minimum(np.minimum.accumulate((expected / np.arange(1, len(order) + 1))[::-1])[::-1], 1.0)
        full = np.full(len(d), np.nan)
        full[known] = np.where(np.abs(effect[known]) >= self.lfc, q, 1.0)  # s0 is its own bar; this one beside it
        return Outcome(effect, 2 * t_sf(np.abs(d), df), full)

    def _relabellings(
        self, first: np.ndarray, second: np.ndarray, generator: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """All relabellings but the true one and its mirror if they are few, else random ones."""
        places = np.flatnonzero(first | second)
        k = int(first.sum())
        if math.comb(len(places), k) <= self.permutations:
            sets = [set(one) for one in itertools.combinations(places, k)]
        else:
            sets = [set(generator.permutation(places)[:k]) for _ in range(self.permutations)]
        truth = {frozenset(np.flatnonzero(first)), frozenset(np.flatnonzero(second))}
        masks = []
        for one in sets:
            if frozenset(one) in truth:
                continue
            mask = np.zeros(len(first), bool)
            mask[list(one)] = True
            masks.append((mask, (first | second) & ~mask))
        return masks
