"""Heads in closed form: ridge around source weights (W = W_src + argmin |Y - Z (W_src + D)|^2 + lambda |D|^2), LDA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

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


class Assortativity(NamedTuple):
    """How much more often edges join nodes of one class than chance would.

    Attributes:
        value: Newman's coefficient: 1 where all edges stay within a class, 0 where they ignore it.
        error: its standard error, each pair of linked nodes counted once.
        chance: share of edges within a class if edges ignored classes; 1 if all ends have one class.

    Examples:
        >>> from ninefold_graphs import Assortativity
        >>> Assortativity(0.5, 0.1, 0.25).value
        0.5
    """

    value: float
    error: float
    chance: float


def assortativity(edge_index: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None) -> Assortativity:
    """Newman's assortativity of classes over edges.

    Args:
        edge_index: (2, E) node indices, both directions of each edge.
        classes: (n,) class ids; edges with an end of -1 do not count.
        weight: (E,) non-negative weights of the edges.
    Returns: (within - chance) / (1 - chance) of the mixing matrix; 0 without edges, or if all ends have one class.
    Source: Newman 2003, Physical Review E 67, 026126, eq. 2.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import assortativity
        >>> edges = np.array([[0, 1, 2, 3], [1, 0, 3, 2]])
        >>> assortativity(edges, np.array([0, 0, 1, 1])).value, assortativity(edges, np.array([0, 1, 0, 1])).value
        (1.0, -1.0)
    """
    ends = classes[edge_index]
    known = (ends >= 0).all(axis=0)
    count = int(classes.max(initial=0)) + 1
    weights = None if weight is None else weight[known].astype(np.float64)
    mixing = np.bincount(ends[0, known] * count + ends[1, known], weights, count**2).reshape(count, count)
    total = float(mixing.sum())
    if not total:
        return Assortativity(0.0, 0.0, 1.0)
    within, chance = float(np.trace(mixing)) / total, float(mixing.sum(axis=0) @ mixing.sum(axis=1)) / total**2
    if chance > 1 - 1e-12:
        return Assortativity(0.0, 0.0, 1.0)
    pairs = known.sum() / 2 if weights is None else total**2 / (weights**2).sum() / 2
    error = float(np.sqrt(max(within * (1 - within), 0.0) / pairs)) / (1 - chance)
    return Assortativity(float((within - chance) / (1 - chance)), error, chance)


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
