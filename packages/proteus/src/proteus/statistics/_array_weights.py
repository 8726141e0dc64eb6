"""Quality weights of samples: how much each sample's residuals are wider than the others' (Ritchie et al. 2006)."""

import numpy as np
from ninefold.errors import InputError


def sample_weights(values: np.ndarray, design: np.ndarray, *, iterations: int = 50) -> np.ndarray:
    """REML weights under var(y_gj) = sigma_g^2 exp(gamma_j), sum gamma = 0.

    Args:
        values: (P, N) log2 values; proteins with a missing value are left out.
        design: (N, K).
        iterations: Fisher scoring steps at most.
    Returns:
        (N,) weights exp(-gamma_j), geometric mean 1.
    Raises:
        InputError: if no protein is complete, or a group has too few samples to compare.
    """
    y = values[~np.isnan(values).any(axis=1)]
    n, k = design.shape
    if len(y) == 0 or n - k < 2:
        raise InputError(
            "sample weights", got=f"{len(y)} complete proteins, {n - k} residual df", expected="some, >= 2"
        )
    z = np.vstack([np.eye(n - 1), -np.ones(n - 1)])  # gamma = z theta, summing to zero
    theta = np.zeros(n - 1)
    for _ in range(iterations):
        w = np.exp(-z @ theta)
        q, _ = np.linalg.qr(design * np.sqrt(w)[:, None])
        h = q @ q.T
        residual = (y * np.sqrt(w)) @ (np.eye(n) - h)
        squares = residual**2
        s2 = squares.sum(1, keepdims=True) / (n - k)
        leverage = np.diag(h)
        score = z.T @ ((squares / np.maximum(s2, 1e-300)).mean(0) - (1 - leverage))
        # information of gamma under REML with sigma_g profiled out
        free = (np.eye(n) - h) ** 2
        information = z.T @ (free - np.outer(1 - leverage, 1 - leverage) / (n - k)) @ z
        step = np.linalg.solve(information, score)
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    return np.exp(-z @ theta)
