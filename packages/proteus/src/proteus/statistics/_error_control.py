"""Error control: Benjamini-Hochberg, Simes, LORD++ over families in order, Benjamini-Bogomolov inside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ninefold.errors import InputError

from proteus.statistics._laws import adjusted


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of the step-up procedure; NaN stays NaN and does not count."""
    p = np.asarray(p, float)
    known = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    if known.any():
        if p[known].min() < 0 or p[known].max() > 1:
            raise InputError("p-values", got=f"{p[known].min():.3g} to {p[known].max():.3g}", expected="0 to 1")
        q[known] = adjusted(p[known])
    return q


def simes(p: np.ndarray) -> float:
    """One p-value for "no effect in the whole family": min over i of m p_(i) / i (Simes 1986)."""
    ordered = np.sort(np.asarray(p, float)[~np.isnan(p)])
    if ordered.size == 0:
        return 1.0
    return float(min(1.0, (ordered * ordered.size / np.arange(1, ordered.size + 1)).min()))


def lord_gamma(n: int) -> np.ndarray:
    """The first n of a sequence that sums to 1: proportional to log(max(j,2)) / (j exp(sqrt(log j)))."""
    j = np.arange(1, n + 1)
    return 0.07720838 * np.log(np.maximum(j, 2)) / (j * np.exp(np.sqrt(np.log(j))))


def lord_plus_plus(p: Sequence[float], *, alpha: float = 0.05, w0: float | None = None) -> np.ndarray:
    """Which hypotheses, tested one after another, are rejected with FDR <= alpha at any time (Ramdas et al. 2017).

    alpha_t = gamma_t w0 + (alpha - w0) gamma_{t-tau_1} + alpha sum_{j>=2} gamma_{t-tau_j}, tau the rejection times.

    Args:
        p: in the order of testing.
        alpha: bar on the false discovery rate.
        w0: starting wealth, default alpha / 2.
    Returns:
        (len(p),) bool.
    """
    w0 = alpha / 2 if w0 is None else w0
    if not 0 < w0 <= alpha < 1:
        raise InputError("alpha", got=f"alpha {alpha}, w0 {w0}", expected="0 < w0 <= alpha < 1")
    gamma = lord_gamma(len(p) + 1)
    times: list[int] = []
    rejected = np.zeros(len(p), bool)
    for t in range(1, len(p) + 1):
        bar = gamma[t - 1] * w0
        if times:
            bar += (alpha - w0) * gamma[t - times[0] - 1]
            bar += alpha * sum(gamma[t - tau - 1] for tau in times[1:])
        if p[t - 1] <= bar:
            rejected[t - 1] = True
            times.append(t)
    return rejected


def control_families(families: Sequence[np.ndarray], *, alpha: float = 0.05, q: float = 0.05) -> list[np.ndarray]:
    """Run-wide control: LORD++ on the Simes p of each family in order, then BH at q x passed / total inside.

    Args:
        families: p-values of each family, in the order in which the families were opened.
        alpha: bar of LORD++ over families.
        q: bar inside families (Benjamini & Bogomolov 2014).
    Returns:
        For each family a bool array of its rejections.
    """
    passed = lord_plus_plus([simes(family) for family in families], alpha=alpha)
    level = q * passed.sum() / max(len(families), 1)
    return [
        (np.nan_to_num(benjamini_hochberg(family), nan=1.0) <= level) & keep
        for family, keep in zip(families, passed, strict=True)
    ]
