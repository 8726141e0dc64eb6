"""Gibbs sampling of a Bayesian factorisation machine (Freudenthaler et al. 2011; libFM, Rendle 2012).

y ~ N(w0 + sum x w + 1/2 sum_f [(sum x v_f)^2 - sum x^2 v_f^2], 1/alpha), alpha ~ Gamma(1/2, 1/2); each block of columns
has, for w and for each factor, its own normal prior with mean ~ N(0, 1/lambda) and precision lambda ~ Gamma(1/2, 1/2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from recsys.fm._columns import Block, Normal


@dataclass
class State:
    """Parameters of one sample: w0; w (columns,); v (factors, columns); alpha."""

    w0: float
    w: np.ndarray
    v: np.ndarray
    alpha: float


class Sampler:
    """Draws sweep after sweep; state and residual are kept in place."""

    def __init__(
        self, blocks: Sequence[Block], y: np.ndarray, factors: int, *, probit: bool = False, seed: int = 0,
        deviation: float = 0.1,
    ) -> None:  # fmt: skip
        """Start v at N(0, deviation^2), all else at 0.

        Args:
            blocks: of columns, over the same n rows.
            y: targets (n,); for probit 0 or 1.
            factors: dimension; 0 leaves the pairs out.
            probit: y is the sign of a latent normal variable, drawn in each sweep (Albert and Chib 1993).
            seed: of all draws.
            deviation: as above.
        """
        self.blocks, self.y, self.probit = list(blocks), y.astype(np.float64), probit
        self.seed = seed
        ends = np.cumsum([block.size for block in blocks])
        self.parts = [slice(end - block.size, end) for end, block in zip(ends, blocks, strict=True)]
        total = int(ends[-1])
        start = deviation * np.random.default_rng(seed).standard_normal((factors, total))
        self.state = State(0.0 if probit else float(y.mean()), np.zeros(total), start, 1.0)
        self.z = np.zeros(len(y)) if probit else self.y
        self.e = self.z - self.predict()

    def predict(self) -> np.ndarray:
        """The current state's prediction of the rows, (n,)."""
        state = self.state
        result = np.full(len(self.y), state.w0)
        for block, part in zip(self.blocks, self.parts, strict=True):
            result += block.times(state.w[part])
        for v in state.v:
            q, squares = np.zeros(len(self.y)), np.zeros(len(self.y))
            for block, part in zip(self.blocks, self.parts, strict=True):
                q += block.times(v[part])
                squares += block.squares(v[part])
            result += 0.5 * (q * q - squares)
        return result

    def sweep(self, number: int) -> None:
        """One draw of every parameter, in turn; each `number` has its own generator: a stopped chain resumes alike."""
        state, e = self.state, self.e
        draw = np.random.default_rng([self.seed, number])
        if self.probit:
            self._draw_latent(draw)
        else:
            state.alpha = draw.gamma((1 + len(e)) / 2) / ((1 + float(e @ e)) / 2)
        precision = 1 + state.alpha * len(e)
        new = state.alpha * (e.sum() + len(e) * state.w0) / precision + draw.standard_normal() / np.sqrt(precision)
        e -= new - state.w0
        state.w0 = float(new)
        for block, part in zip(self.blocks, self.parts, strict=True):
            block.draw_weights(state.w[part], e, self._law(state.w[part], draw))
        for v in state.v:
            q = np.zeros(len(e))
            for block, part in zip(self.blocks, self.parts, strict=True):
                q += block.times(v[part])
            for block, part in zip(self.blocks, self.parts, strict=True):
                block.draw_factor(v[part], e, q, self._law(v[part], draw))

    def _law(self, theta: np.ndarray, draw: np.random.Generator) -> Normal:
        """A block's prior, drawn given its parameters: first the precision, then the mean (normal-gamma)."""
        n, mean = len(theta), float(theta.mean())
        spread = float(((theta - mean) ** 2).sum()) + n / (n + 1) * mean * mean  # the mean integrated out
        precision = draw.gamma((1 + n) / 2) / ((1 + spread) / 2)
        centre = n * mean / (n + 1) + draw.standard_normal() / np.sqrt((n + 1) * precision)
        return Normal(self.state.alpha, centre, precision, draw)

    def _draw_latent(self, draw: np.random.Generator) -> None:
        """z ~ N(prediction, 1), cut at 0 to the side that y tells; e becomes z - prediction."""
        predicted = self.z - self.e
        sign = np.where(self.y > 0.5, 1.0, -1.0)
        tail = ndtri(np.maximum(draw.random(len(sign)) * ndtr(sign * predicted), 1e-300))
        self.z[:] = predicted - sign * tail
        self.e[:] = self.z - predicted
