"""Linear models of all proteins at once: least squares by QR of the design, one Gram matrix a missing pattern.

The design is orthonormalised once (X = QR). A protein whose samples are partly missing, or weighted, has the Gram
matrix Q'WQ, which is close to the identity, so that solving it loses nothing; all proteins are solved in one batch.
A contrast is estimable for a protein if it lies in the row space of its observed design; else it is NaN.
"""

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

_RANK = 1e-9  # eigenvalues of Q'WQ below this share of the largest are zero


@dataclass(frozen=True)
class LinearFit:
    """Least-squares fits of P proteins.

    Attributes:
        design: (N, K) design matrix X.
        coefficients: (P, K), NaN where not estimable.
        sigma: (P,) residual standard deviation, NaN without residual degrees of freedom.
        df_residual: (P,) residual degrees of freedom.
        mean: (P,) mean of the observed values.
        residuals: (P, N) y - Xb, 0 where missing; whitened to unit weight and correlation is not done here.
        observed: (P, N) bool.
    """

    design: np.ndarray
    coefficients: np.ndarray
    sigma: np.ndarray
    df_residual: np.ndarray
    mean: np.ndarray
    residuals: np.ndarray
    observed: np.ndarray
    _factor: np.ndarray  # R of X = QR, (K, K)
    _solution: np.ndarray  # b in the orthonormal basis, (P, K)
    _inverse: np.ndarray  # pseudo-inverse of Q'WQ, (U, K, K)
    _projector: np.ndarray  # projector on its row space, (U, K, K)
    _pattern: np.ndarray  # (P,) which of the U patterns a protein has
    _gram: np.ndarray  # Q'WQ over the seen values, (U, K, K)
    basis: np.ndarray  # Q, (N, K), orthonormal

    def contrast(self, contrasts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Estimates and unscaled standard deviations.

        Args:
            contrasts: (K,) or (K, C) coefficient vectors.
        Returns:
            (P, C) estimates and (P, C) standard errors over sigma; both NaN where not estimable.
        """
        vectors = self.in_basis(contrasts)
        estimate = self._solution @ vectors
        variance = np.einsum("kc,ukl,lc->uc", vectors, self._inverse, vectors)
        missing = self._not_estimable(vectors)
        deviation = np.sqrt(np.maximum(variance, 0.0))
        deviation[missing] = np.nan
        estimate[missing[self._pattern]] = np.nan
        return estimate, deviation[self._pattern]

    def contrast_covariance(self, contrasts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, C) estimates and (P, C, C) unscaled covariance of several contrasts; NaN rows where not estimable."""
        vectors = self.in_basis(contrasts)
        covariance = np.einsum("kc,ukl,ld->ucd", vectors, self._inverse, vectors)
        covariance[self._not_estimable(vectors).any(axis=1)] = np.nan
        return self.contrast(contrasts)[0], covariance[self._pattern]

    def gram(self, rows: np.ndarray) -> np.ndarray:
        """(R, K, K) Q'WQ of some proteins over their seen values, in the orthonormal basis."""
        return self._gram[self._pattern[rows]]

    def solution(self, rows: np.ndarray) -> np.ndarray:
        """(R, K) least-squares coefficients of some proteins in the orthonormal basis; of several, the shortest."""
        return self._solution[rows]

    def in_basis(self, contrasts: np.ndarray) -> np.ndarray:
        """(K, C) contrasts, as coefficients of the orthonormal basis."""
        columns = np.asarray(contrasts, float).reshape(self.design.shape[1], -1)
        return np.linalg.solve(self._factor.T, columns)

    def _not_estimable(self, vectors: np.ndarray) -> np.ndarray:
        outside = vectors - self._projector @ vectors
        return np.linalg.norm(outside, axis=1) > 1e-6 * np.linalg.norm(vectors, axis=0)


def fit_linear_model(
    values: np.ndarray,
    design: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    block: np.ndarray | None = None,
    correlation: float = 0.0,
) -> LinearFit:
    """Fit y = Xb + e to each protein over its observed samples.

    Args:
        values: (P, N) log2 values, NaN missing.
        design: (N, K) of full column rank.
        weights: (N,) or (P, N) positive weights (inverse relative variances); None: all 1.
        block: (N,) labels of samples that share a subject; their errors have the correlation given.
        correlation: consensus correlation within a block, in (-1/(largest block - 1), 1).
    Raises:
        InputError: on shapes, infinite values, weights that are not positive, or a rank-deficient design.
    """
    values, design = np.asarray(values, float), np.asarray(design, float)
    if values.ndim != 2 or design.ndim != 2 or values.shape[1] != design.shape[0]:
        raise InputError("design", got=f"shape {design.shape}", expected=f"one row for each column of {values.shape}")
    if np.isinf(values).any():
        raise InputError("values", got="infinite", expected="finite or NaN")
    basis, factor = np.linalg.qr(design)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError("design", got="a rank-deficient matrix", expected="independent columns")
    observed = ~np.isnan(values)
    filled = np.where(observed, values, 0.0)
    root = _roots(weights, values.shape)
    if weights is None and block is None:
        keys, pattern = missing_patterns(observed)
        masks = observed[keys].astype(float)
        gram = (masks @ _outer(basis)).reshape(len(keys), *(basis.shape[1],) * 2)
        moment = filled @ basis
    else:
        pattern = np.arange(len(values))
        weighted = observed * root
        gram = ((weighted**2) @ _outer(basis)).reshape(len(values), *(basis.shape[1],) * 2)
        moment = (filled * weighted**2) @ basis
        if block is not None and correlation != 0.0:
            gram, moment = _correlate(gram, moment, weighted, filled, basis, block, correlation)
    eigenvalues, vectors = np.linalg.eigh(gram)
    good = eigenvalues > _RANK * np.maximum(eigenvalues[:, -1:], 1e-300)
    inverse = (vectors * np.where(good, 1.0 / np.where(good, eigenvalues, 1.0), 0.0)[:, None, :]) @ vectors.mT
    projector = (vectors * good[:, None, :]) @ vectors.mT
    solution = np.einsum("pkl,pl->pk", inverse[pattern], moment)
    residuals = (filled - solution @ basis.T) * observed
    df = observed.sum(1) - good.sum(1)[pattern]
    squares = _square_sum(residuals, root, observed, block, correlation)
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = np.where(df > 0, np.sqrt(np.maximum(squares, 0) / np.maximum(df, 1)), np.nan)
        mean = np.where(observed.any(1), filled.sum(1) / observed.sum(1), np.nan)
    fit = LinearFit(
        design, np.empty(0), sigma, df.astype(float), mean, residuals, observed,
        factor, solution, inverse, projector, pattern, gram, basis,
    )  # fmt: skip
    coefficients, _ = fit.contrast(np.eye(design.shape[1]))
    object.__setattr__(fit, "coefficients", coefficients)
    return fit


def _roots(weights: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    if weights is None:
        return np.ones(shape[1])
    weights = np.asarray(weights, float)
    if weights.shape not in ((shape[1],), shape):
        raise InputError("weights", got=f"shape {weights.shape}", expected=f"({shape[1]},) or {shape}")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise InputError("weights", got="zero, negative or NaN", expected="positive numbers")
    return np.sqrt(weights)


def _outer(basis: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nl->nkl", basis, basis).reshape(len(basis), -1)


def missing_patterns(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First protein of each missing pattern, and each protein's pattern."""
    packed = np.ascontiguousarray(np.packbits(observed, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, pattern = np.unique(keys, return_index=True, return_inverse=True)
    return first, pattern.ravel()


def block_matrix(block: np.ndarray) -> np.ndarray:
    labels, codes = np.unique(np.asarray(block).astype(str), return_inverse=True)
    return np.eye(len(labels))[codes.ravel()]


def _correlate(
    gram: np.ndarray,
    moment: np.ndarray,
    weighted: np.ndarray,
    filled: np.ndarray,
    basis: np.ndarray,
    block: np.ndarray,
    rho: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Q'V^-1 Q and Q'V^-1 y: V^-1 of a block of n is (I - rho/(1+(n-1)rho) 11')/(1-rho) on the observed samples."""
    member = block_matrix(block)  # (N, B)
    size = (weighted > 0) @ member  # (P, B)
    shrink = rho / (1 + (size - 1) * rho)
    sums = np.einsum("pn,nb,nk->pbk", weighted, member, basis)
    sums_y = (weighted * filled) @ member
    gram = (gram - np.einsum("pb,pbk,pbl->pkl", shrink, sums, sums)) / (1 - rho)
    moment = (moment - np.einsum("pb,pbk,pb->pk", shrink, sums, sums_y)) / (1 - rho)
    return gram, moment


def _square_sum(
    residuals: np.ndarray, root: np.ndarray, observed: np.ndarray, block: np.ndarray | None, rho: float
) -> np.ndarray:
    scaled = residuals * root
    squares = np.einsum("pn,pn->p", scaled, scaled)
    if block is None or rho == 0.0:
        return squares
    member = block_matrix(block)
    size = observed @ member
    shrink = rho / (1 + (size - 1) * rho)
    return (squares - (shrink * (scaled @ member) ** 2).sum(1)) / (1 - rho)
