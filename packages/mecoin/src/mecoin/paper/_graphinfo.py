"""GraphInfo: local structure in a few dimensions, by a fixed random projection of the encoder's output."""

from __future__ import annotations

import numpy as np


def graphinfo_projection(width: int, dim: int = 13, seed: int = 0) -> np.ndarray:
    """R of G = Z R: (width, dim) float32, Gaussian, columns of unit length; never trained (paper; 13 in its code)."""
    projection = np.random.default_rng(seed).normal(size=(width, dim))
    return (projection / np.linalg.norm(projection, axis=0)).astype(np.float32)
