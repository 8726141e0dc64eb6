"""Heads in closed form: ridge around source weights (W = W_src + argmin |Y - Z (W_src + D)|^2 + lambda |D|^2), LDA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

KNOTS = (1.0, 5.0, 20.0)  # labels a class


def with_constant(z: np.ndarray) -> np.ndarray:
    """(N, d) -> (N, d + 1) with a column of ones.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import with_constant
        >>> with_constant(np.zeros((2, 1))).tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    return np.concatenate([z, np.ones((len(z), 1), z.dtype)], axis=1)


def one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    """(n,) class ids -> (n, C) float32.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import one_hot
        >>> one_hot(np.array([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(classes, dtype=np.float32)[y]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over each row of (n, C) scores.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import softmax
        >>> softmax(np.log(np.array([[1.0, 3.0]]))).round(2).tolist()
        [[0.25, 0.75]]
    """
    powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def ridge_weights(z: np.ndarray, targets: np.ndarray, strength: float) -> np.ndarray:
    """(n, d) features, (n, C) targets -> (d, C), the ridge solution.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import ridge_weights
        >>> ridge_weights(np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]]), 5.0).tolist()  # 10 / (5 + 5)
        [[1.0]]
    """
    z = z.astype(np.float64)
    gram = z.T @ z
    gram[np.diag_indices_from(gram)] += strength
    return np.linalg.solve(gram, z.T @ targets).astype(np.float32)


def centred_update(z: np.ndarray, residual: np.ndarray, strength: float) -> np.ndarray:
    """(d, C) D of the support's (n, d) features and (n, C) residuals Y - Z W_src, by an n x n system.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import centred_update
        >>> centred_update(np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]]), 5.0).round(6).tolist()
        [[1.0]]
    """
    gram = z @ z.T
    gram[np.diag_indices_from(gram)] += np.float32(strength)
    return z.T @ np.linalg.solve(gram, residual)


def left_out(z: np.ndarray, residual: np.ndarray, strength: float) -> np.ndarray:
    """(n, C) what `centred_update` misses of each row's residual when it is fitted to all other rows, in closed form.

    With K = Z Z' + lambda I and a = K^-1 R it is a_i / (K^-1)_ii (leave-one-out of kernel ridge).

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import left_out
        >>> z = np.array([[1.0], [1.0]])
        >>> left_out(z, np.array([[3.0], [3.0]]), 2.0).round(6).tolist()  # the other row alone predicts 1
        [[2.0], [2.0]]
    """
    gram = (z @ z.T).astype(np.float64)
    gram[np.diag_indices_from(gram)] += strength
    inverse = np.linalg.inv(gram)
    return (inverse @ residual) / np.diag(inverse)[:, None]


def estimated_mix(chances: np.ndarray, prior: np.ndarray, rounds: int = 50) -> np.ndarray:
    """(C,) class shares of unlabelled nodes by expectation-maximisation (Saerens et al. 2002, prior shift).

    Args:
        chances: (n, C) probabilities under the prior.
        prior: (C,) class shares where the classifier was fitted, all positive.
        rounds: at most; it stops when no share moves by 1e-5.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import estimated_mix
        >>> chances = np.array([[0.9, 0.1]] * 9 + [[0.1, 0.9]])
        >>> estimated_mix(chances, np.array([0.5, 0.5])).round(2).tolist()
        [1.0, 0.0]
    """
    mix = prior
    for _ in range(rounds):
        weighted = chances * (mix / prior)
        moved = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        still, mix = float(np.abs(moved - mix).max()) < 1e-5, moved
        if still:
            break
    return mix


def whitening(z: np.ndarray, support: Mapping[int, np.ndarray], shrinkage: float = 0.1) -> np.ndarray:
    """(m, m) float32 W with W W^T the inverse of the shrunk pooled within-class covariance of z.

    Args:
        z: (n, m).
        support: by class the rows of z that are labelled with it.
        shrinkage: weight of the scaled identity.
    Euclidean distances of z W are Mahalanobis distances of z: nearest means there are linear discriminant analysis.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import whitening
        >>> z = np.random.default_rng(0).normal(size=(500, 2)) * [1.0, 10.0]
        >>> white = z @ whitening(z, {0: np.arange(500)}, shrinkage=0.0)
        >>> white.std(axis=0).round(2).tolist()
        [1.0, 1.0]
    """
    from sklearn.covariance import shrunk_covariance

    residuals = np.concatenate([z[rows] - z[rows].mean(axis=0) for rows in support.values()]).astype(np.float64)
    covariance = residuals.T @ residuals / len(residuals)
    level = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    values, vectors = np.linalg.eigh(shrunk_covariance(covariance, shrinkage=shrinkage))
    return (vectors * np.maximum(values, 1e-12 * level) ** -0.5).astype(np.float32)


@dataclass(frozen=True)
class Ridge:
    """Source weights and what rehearsals on the sources say of how far to trust them.

    Attributes:
        weights: (d, C) W_src, or zeros where classes or features are not shared.
        strengths: lambda at 1, 5 and 20 labels a class; between them it is interpolated in the logarithms.
        sharpness: of the softmax that makes scores probabilities.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Ridge
        >>> ridge = Ridge(np.eye(2, dtype=np.float32))
        >>> round(ridge.strength_at(5))
        10
    """

    weights: np.ndarray
    strengths: tuple[float, ...] = (10.0, 10.0, 10.0)
    sharpness: float = 4.5

    def strength_at(self, shots: float) -> float:
        """Lambda at so many labels a class."""
        at = np.interp(np.log(max(shots, 1.0)), np.log(KNOTS), np.log(self.strengths))
        return float(np.exp(at))

    def update(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(d, C) weights after the support's (n, d) features and (n,) labels; W_src if there is none."""
        if not len(y):
            return self.weights
        classes = self.weights.shape[1]
        residual = one_hot(y, classes) - z @ self.weights
        return self.weights + centred_update(z, residual, self.strength_at(len(y) / classes))
