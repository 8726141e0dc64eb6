"""Missing values without draws: the likelihood of what was seen, times the chance of not seeing what was not.

One curve for the table, P(seen | level) = expit(intercept + slope x level), is fitted to how often each feature is seen
in a group at its mean level there (binomial, truncated at zero: where it is never seen it has no level). Its log
likelihood, its variance held at the moderated one, is that of its least-squares fit to the seen values plus
log P(not seen | fitted level) for each missing one. A contrast is tested by the signed root of the likelihood ratio,
referred to t on the moderated degrees of freedom: with no value missing that is the moderated t itself. Where a feature
is missed for other reasons than its level, the root is narrowed by how much wider its score varies than the curve says
(Godambe's information; Chandler & Bate 2007). All of it is convex and computed by Newton's method: no draw, no order of
rows or columns enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from proteus.statistics._linear_model import LinearFit

_STEPS, _HALVINGS = 60, 12
_LEAST = 20  # features with a missing value from which a curve can be told


@dataclass(frozen=True)
class SeenCurve:
    """P(seen | level) = expit(intercept + slope level); slope 0: missing values say nothing of the level."""

    intercept: float
    slope: float

    @property
    def middle(self) -> float:
        """The level at which half of the values are seen; NaN without a slope."""
        return -self.intercept / self.slope if self.slope > 0 else float("nan")

    def flatter(self, share: float) -> SeenCurve:
        """The curve with `share` of the slope, around its middle."""
        return SeenCurve(self.intercept * share, self.slope * share)


NO_CURVE = SeenCurve(0.0, 0.0)


def fit_seen_curve(values: np.ndarray, design: np.ndarray | None = None, within: np.ndarray | None = None) -> SeenCurve:
    """Maximum likelihood of the curve over features in groups where they are seen at least once.

    Within groups, as a protein that one group lacks altogether would flatten the curve; a group is the samples of equal
    rows of the design, two or more of them, or all samples where there is no such group.

    Args:
        values: (P, N) log2, NaN missing.
        design: (N, K) matrix whose equal rows are groups; None: all samples are one.
        within: (N,) bool, samples to take; None: all.
    Returns: `NO_CURVE` where it does not rise, or too few values are missing to tell.
    """
    seen = ~np.isnan(values)
    counts, sizes, levels = [], [], []
    for members in _groups(values.shape[1], design, within):
        count = seen[:, members].sum(1)
        some = count > 0
        counts.append(count[some].astype(float))
        sizes.append(np.full(int(some.sum()), float(len(members))))
        levels.append(np.where(seen[some][:, members], values[some][:, members], 0.0).sum(1) / count[some])
    count, size, level = (np.concatenate(one) for one in (counts, sizes, levels))
    if int((count < size).sum()) < _LEAST or level.std() <= 0:
        return NO_CURVE
    centre, scale = float(level.mean()), float(level.std())
    basis = np.stack([np.ones_like(level), (level - centre) / scale], 1)
    beta = np.array([special.logit(np.clip(count.sum() / size.sum(), 0.01, 0.99)), 0.0])
    value = _truncated(beta, basis, count, size)
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(beta, basis, count, size)
        step = np.linalg.solve(hessian + 1e-9 * np.trace(hessian) * np.eye(2), gradient)
        if gradient @ step < 1e-9 * (1 + abs(value)):  # too little for sums in another order to tell: the step is right
            beta = beta + step
            if np.abs(step).max() < 1e-14 * (1 + np.abs(beta).max()):
                break
            continue
        moves = (beta + step / 2**halving for halving in range(_HALVINGS))
        found = next(((one, new) for one in moves if (new := _truncated(one, basis, count, size)) <= value), None)
        if found is None:
            break
        beta, value = found
    slope = float(beta[1] / scale)
    return SeenCurve(float(beta[0] - beta[1] * centre / scale), slope) if slope > 0 else NO_CURVE


def _groups(samples: int, design: np.ndarray | None, within: np.ndarray | None) -> list[np.ndarray]:
    """Indices of the samples of each group, groups in the order of their rows."""
    chosen = np.arange(samples) if within is None else np.flatnonzero(within)
    if design is None:
        return [chosen]
    _, codes = np.unique(design[chosen], axis=0, return_inverse=True)
    groups = [chosen[codes.ravel() == code] for code in range(codes.max() + 1)]
    return [one for one in groups if len(one) >= 2] or [chosen]


def _truncated(beta: np.ndarray, basis: np.ndarray, count: np.ndarray, size: np.ndarray) -> float:
    """-log likelihood of the counts given at least one."""
    line = basis @ beta
    at_least_one = -np.log(-np.expm1(-size * np.logaddexp(0, line)))
    return float((size * np.logaddexp(0, line) - count * line - at_least_one).sum())


def _derivatives(
    beta: np.ndarray, basis: np.ndarray, count: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(score, Fisher information): mean and variance of a binomial truncated at zero."""
    line = basis @ beta
    share = special.expit(line)
    some = -np.expm1(-size * np.logaddexp(0, line))
    mean = size * share / some
    variance = np.maximum(mean * (1 - share + size * share - mean), 1e-12)
    return basis.T @ (count - mean), (basis * variance[:, None]).T @ basis


@dataclass(frozen=True)
class Censored:
    """Tests of a contrast with missing values in the likelihood; rows without any have what least squares gives.

    Attributes:
        effect: (P,) most likely contrast; NaN where it has no finite one.
        error: (P,) its standard error, from the curvature there.
        above: (P,) signed root of the likelihood ratio against the bar on the effect's own side.
        beyond: (P,) the same against the bar on the other side.
        sign: (P,) side of the effect, also where it is not finite.
        width: (P,) what errors were widened by and roots narrowed, see `_Problem.misfit`; 1 where the curve holds.
    """

    effect: np.ndarray
    error: np.ndarray
    above: np.ndarray
    beyond: np.ndarray
    sign: np.ndarray
    width: np.ndarray


def censored_test(
    fit: LinearFit,
    vector: np.ndarray,
    posterior: np.ndarray,
    curve: SeenCurve,
    rows: np.ndarray,
    *,
    lfc: float = 0.0,
    weights: np.ndarray | None = None,
    shift: np.ndarray | None = None,
) -> Censored:
    """Signed-root tests of the rows given.

    Args:
        fit: of P features to their seen values.
        vector: (K,) contrast.
        posterior: (P,) moderated variances.
        curve: of the table.
        rows: (R,) indices of features with missing values.
        lfc: log2 fold bar.
        weights: (N,) share that a missing value counts (runs of one subject count once); None: all 1.
        shift: (R,) added to the curve's intercept for each row; None: 0.
    Returns:
        Fields of (R,).
    """
    problem = _Problem.of(fit, posterior, curve, rows, weights, shift)
    c = fit.in_basis(vector)[:, 0]
    size = len(c)
    best = problem.minimise(np.zeros(size), np.eye(size), problem.start)
    effect = best @ c
    side = np.where(effect < 0, -1.0, 1.0)
    free = _orthogonal(c)
    fixed = c / (c @ c)

    width = problem.misfit(best, c)

    def root(bar: np.ndarray) -> np.ndarray:
        held = problem.minimise(bar[:, None] * fixed, free, best)
        return np.sign(side * (effect - bar)) * np.sqrt(np.maximum(2 * problem.above(held, best), 0.0)) / width

    above = root(side * lfc)
    beyond = above if lfc == 0 else root(-side * lfc)
    error = width * np.sqrt(np.maximum(_solved(problem.hessian(best), c) @ c, 0.0))
    return Censored(effect, error, above, beyond, side, width)


def _solved(curvature: np.ndarray, c: np.ndarray) -> np.ndarray:
    """(R, K) curvature^-1 c by its eigenvectors: a level that runs away has next to no curvature, and is not in c."""
    size, axes = np.linalg.eigh(curvature)
    least = 1e-12 * size.sum(1, keepdims=True)
    return (axes @ (axes.mT @ c / np.maximum(size, least))[..., None])[..., 0]


def _orthogonal(c: np.ndarray) -> np.ndarray:
    """(K, K-1) basis of what leaves the contrast as it is."""
    full, _ = np.linalg.qr(np.concatenate([c[:, None], np.eye(len(c))], axis=1))
    return full[:, 1 : len(c)]


@dataclass(frozen=True)
class _Problem:
    """-log likelihoods of R rows, up to a constant: quadratic in the seen, softplus in the missing."""

    basis: np.ndarray  # (U, K) distinct rows of the orthonormal design: samples of one condition are one
    gram: np.ndarray  # (R, K, K) over the variance
    variance: np.ndarray  # (R,)
    start: np.ndarray  # (R, K) least squares
    missing: np.ndarray  # (R, U) weight of what is missing
    squares: np.ndarray  # (R, U) sum of squared weights
    seen: np.ndarray  # (R, U) count
    intercept: np.ndarray  # (R, 1)
    slope: float

    @classmethod
    def of(
        cls, fit: LinearFit, posterior: np.ndarray, curve: SeenCurve, rows: np.ndarray, weights: np.ndarray | None,
        shift: np.ndarray | None,
    ) -> _Problem:  # fmt: skip
        _, first, code = np.unique(fit.design, axis=0, return_index=True, return_inverse=True)
        member = np.eye(len(first))[code.ravel()]
        absent, weight = (~fit.observed[rows]).astype(float), np.ones(len(member)) if weights is None else weights
        missing, squares = absent @ (member * weight[:, None]), absent @ (member * weight[:, None] ** 2)
        seen = fit.observed[rows].astype(float) @ member
        variance = posterior[rows]
        gram = fit.gram(rows) / variance[:, None, None]
        intercept = np.full(len(rows), curve.intercept) + (0.0 if shift is None else shift)
        start = fit.solution(rows)
        return cls(
            fit.basis[first], gram, variance, start, missing, squares, seen, intercept[:, None], curve.slope
        )  # fmt: skip

    def line(self, theta: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        return self.intercept[rows] + self.slope * (theta @ self.basis.T)

    def value(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        off, line = theta - self.start[rows], self.line(theta, rows)
        quadratic = np.einsum("rk,rkl,rl->r", off, self.gram[rows], off) / 2
        return quadratic + (self.missing[rows] * np.logaddexp(0, line)).sum(1)

    def above(self, theta: np.ndarray, best: np.ndarray) -> np.ndarray:
        """(R,) value(theta) - value(best), term by term: the difference of two nearly equal sums would be rounding."""
        middle, line = (theta + best) / 2 - self.start, self.line(best, slice(None))
        quadratic = np.einsum("rk,rkl,rl->r", theta - best, self.gram, middle)
        moved = np.clip(self.line(theta, slice(None)) - line, -700, 700)
        return quadratic + (self.missing * np.log1p(special.expit(line) * np.expm1(moved))).sum(1)

    def gradient(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        pull = self.missing[rows] * special.expit(self.line(theta, rows)) * self.slope
        return np.einsum("rkl,rl->rk", self.gram[rows], theta - self.start[rows]) + pull @ self.basis

    def hessian(self, theta: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        share = special.expit(self.line(theta, rows))
        bend = self.missing[rows] * share * (1 - share) * self.slope**2
        return self.gram[rows] + np.einsum("rn,nk,nl->rkl", bend, self.basis, self.basis)

    def misfit(self, theta: np.ndarray, c: np.ndarray) -> np.ndarray:
        """(R,) how much wider the contrast's score varies than its curvature says, 1 at least.

        A feature that is seen less often than the curve has it at its level is pulled off its seen values; each sample
        then adds that pull where it is seen and the curve's where it is missing, whatever the groups are.
        """
        share = special.expit(self.line(theta, slice(None)))
        each = (self.start - theta) @ self.basis.T / self.variance[:, None]
        score = self.seen * each**2 + self.squares * (share * self.slope) ** 2
        spread = self.gram + np.einsum("rn,nk,nl->rkl", score, self.basis, self.basis)
        toward = _solved(self.hessian(theta), c)
        wide = np.einsum("rk,rkl,rl->r", toward, spread, toward)
        narrow = np.maximum(np.einsum("rk,k->r", toward, c), 1e-300)
        return np.sqrt(np.maximum(wide / narrow, 1.0))

    def minimise(self, offset: np.ndarray, free: np.ndarray, start: np.ndarray) -> np.ndarray:
        """(R, K) minima over offset + free x. A level that is never seen goes down without end: the value has a limit,
        and is within 1e-12 of it after 60 steps."""
        theta = np.broadcast_to(offset, start.shape) + (start - offset) @ free @ free.T
        theta = theta.copy()
        rows = np.arange(len(start))
        values = self.value(theta, rows)
        if free.shape[1] == 0:
            return theta
        for _ in range(_STEPS):
            gradient = self.gradient(theta[rows], rows) @ free
            hessian = free.T @ self.hessian(theta[rows], rows) @ free
            small = np.trace(hessian, axis1=1, axis2=2)[:, None, None] * np.eye(free.shape[1]) * 1e-14 + 1e-300
            step = -np.linalg.solve(hessian + small, gradient[..., None])[..., 0] @ free.T
            decrement = -np.einsum("rk,rk->r", gradient, step @ free) / 2
            size = np.ones(len(rows))
            new = self.value(theta[rows] + step, rows)
            near = decrement < 1e-11 * (1 + np.abs(values[rows]))  # too little for values to tell: the step is right
            for _ in range(_HALVINGS):
                worse = ~near & ~(new <= values[rows])
                if not worse.any():
                    break
                size[worse] /= 2
                new[worse] = self.value(theta[rows[worse]] + size[worse, None] * step[worse], rows[worse])
            theta[rows] += np.where(near | (new <= values[rows]), size, 0.0)[:, None] * step
            stuck = ~near & ~(new < values[rows])
            values[rows] = np.minimum(new, values[rows])
            rows = rows[~(near | stuck)]
            if not len(rows):
                break
        return theta
