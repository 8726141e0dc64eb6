"""Linear probes: what can be read off s and v."""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def probe(rows: np.ndarray, y: np.ndarray, *, seed: int = 0, train: int = 2000) -> float:
    """Accuracy, in per cent, of a logistic regression on half of the rows (at most `train`), judged on the others.

    Args:
        rows: (N, d) representations.
        y: (N,) labels or environments; -1 is left out.
    """
    known = np.flatnonzero(y >= 0)
    if np.unique(y[known]).size < 2 or rows.shape[1] == 0:
        raise InputError("probe", got=f"{np.unique(y[known]).size} classes", expected="at least two, and a column")
    order = np.random.default_rng(seed).permutation(known)
    half = min(order.size // 2, train)
    fit, judge = order[:half], order[half : 2 * half]
    scaler = StandardScaler().fit(rows[fit])
    model = LogisticRegression(max_iter=300).fit(scaler.transform(rows[fit]), y[fit])
    return 100 * float(model.score(scaler.transform(rows[judge]), y[judge]))
