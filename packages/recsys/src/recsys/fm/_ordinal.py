"""Ordered values by a cut latent variable: value number k where c_k-1 < z <= c_k, z ~ N(prediction, 1).

The latent variable is drawn as by Albert and Chib (1993). Cut points are drawn before it with it integrated out (Cowles
1996), one by one and flat between their neighbours: given the latent variable they would hardly move.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from recsys.fm._columns import Block
from recsys.fm._gibbs import Sampler

_LEAST = 1e-300  # below it a share counts as this much


class OrdinalSampler(Sampler):
    """`Sampler` of ordered levels; `cuts` holds c_1 ... c_K-1, changed in place."""

    def __init__(
        self, blocks: Sequence[Block], level: np.ndarray, factors: int, *, seed: int = 0, deviation: float = 0.1
    ) -> None:
        """Start the cut points where they would be without any columns.

        Args:
            blocks, factors, seed, deviation: as for `Sampler`.
            level: of each row, whole numbers 0 to K - 1, each of which occurs; (n,).
        """
        super().__init__(blocks, level, factors, probit=True, seed=seed, deviation=deviation)
        self.level = level.astype(np.int64)
        counts = np.bincount(self.level)
        self.rows = np.split(np.argsort(self.level, kind="stable"), np.cumsum(counts)[:-1])
        share = counts / len(level)
        self.cuts = ndtri(np.cumsum(share)[:-1])
        density = np.exp(-0.5 * self.cuts**2) / np.sqrt(2 * np.pi)
        information = len(level) * density**2 * (1 / share[:-1] + 1 / share[1:])
        self.reach = 2.4 / np.sqrt(information)  # of a proposal, fixed: about what its posterior allows

    def _draw_latent(self, draw: np.random.Generator) -> None:
        """Cut points, then z ~ N(prediction, 1) between those of its level; e becomes z - prediction."""
        predicted = self.z - self.e
        self.draw_cuts(predicted, draw)
        ends = np.concatenate([[-np.inf], self.cuts, [np.inf]])
        low, high = ends[self.level] - predicted, ends[self.level + 1] - predicted
        self.e[:] = between(low, high, draw.random(len(low)))
        self.z[:] = predicted + self.e

    def draw_cuts(self, predicted: np.ndarray, draw: np.random.Generator) -> None:
        """One Metropolis step of each cut point given the predictions (n,)."""
        for k in range(len(self.cuts)):
            ends = np.concatenate([[-np.inf], self.cuts, [np.inf]])
            below, above, new = ends[k], ends[k + 2], ends[k + 1] + self.reach[k] * draw.standard_normal()
            chance = draw.random()
            if not below < new < above:
                continue
            gain = 0.0
            for sign, cut in ((1, new), (-1, ends[k + 1])):
                for level, low, high in ((k, below, cut), (k + 1, cut, above)):
                    mean = predicted[self.rows[level]]
                    gain += sign * np.log(np.maximum(mass(low - mean, high - mean), _LEAST)).sum()
            if np.log(max(chance, _LEAST)) < gain:
                self.cuts[k] = new


def mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Phi(high) - Phi(low), on the side where it keeps its digits."""
    flip = low > 0
    return ndtr(np.where(flip, -low, high)) - ndtr(np.where(flip, -high, low))


def between(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The normal variable that lies a share of the probability between low and high above low."""
    flip = low > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    start, share = ndtr(a), np.where(flip, 1 - share, share)
    found = np.clip(ndtri(np.maximum(start + share * (ndtr(b) - start), _LEAST)), a, b)
    return np.where(flip, -found, found)


def level_shares(score: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Probability of each level, (n, samples, K), of scores (n, samples) and cut points (samples, K - 1)."""
    up_to = ndtr(cuts - score[..., None])
    ends = [np.zeros((*score.shape, 1)), up_to, np.ones((*score.shape, 1))]
    return np.diff(np.concatenate(ends, axis=-1), axis=-1)


def expected_value(score: np.ndarray, cuts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean value, (n, samples): v_1 + sum_k (v_k+1 - v_k) Phi(score - c_k), for values v (K,) in order."""
    result = np.full(score.shape, values[0])
    for k, step in enumerate(np.diff(values)):
        result += step * ndtr(score - cuts[:, k])
    return result
