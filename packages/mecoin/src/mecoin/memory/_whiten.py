"""Whitening by the pooled covariance within the base classes; ours, part of `mecoin+`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def whitening(z: np.ndarray, support: Mapping[int, np.ndarray], shrinkage: float = 0.1) -> np.ndarray:
    """(m, m) float32 W with W W^T the inverse of the shrunk pooled within-class covariance of z.

    Args:
        z: (n, m).
        support: by class the rows of z that are labelled with it.
        shrinkage: weight of the scaled identity.
    Euclidean distances of z W are Mahalanobis distances of z: nearest means there are linear discriminant analysis.
    """
    residuals = np.concatenate([z[rows] - z[rows].mean(axis=0) for rows in support.values()]).astype(np.float64)
    covariance = residuals.T @ residuals / len(residuals)
    m = len(covariance)
    level = max(float(np.trace(covariance)) / m, 1e-12)
    values, vectors = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * level * np.eye(m))
    return (vectors * np.maximum(values, 1e-12 * level) ** -0.5).astype(np.float32)
