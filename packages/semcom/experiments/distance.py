"""Distance of two sets of pictures in the features of a network."""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError

LEAST_KID = 32  # pictures below which the estimate is mostly noise


def kid(features: np.ndarray, references: np.ndarray) -> float:
    """Kernel inception distance (Binkowski et al. 2018): unbiased squared MMD with the kernel (x.y / d + 1)^3.

    Args:
        features: (n, d) of some extractor, which has to be named with the number.
        references: (m, d) of source pictures.
    Raises:
        InputError: for fewer than 32 of either.
    """
    x, y = np.asarray(features, np.float64), np.asarray(references, np.float64)
    n, m, d = len(x), len(y), x.shape[1]
    if min(n, m) < LEAST_KID:
        raise InputError("KID", got=f"{min(n, m)} pictures", expected=f"at least {LEAST_KID}")
    if y.shape[1] != d:
        raise InputError("KID", got=f"features of {d} and {y.shape[1]} numbers", expected="one extractor")
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    return float((xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean())
