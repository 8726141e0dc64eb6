"""How far raters agree: Cohen's weighted kappa for two, Krippendorff's alpha for any number with gaps."""

from typing import Literal

import numpy as np
from ninefold.errors import InputError

Level = Literal["nominal", "ordinal", "interval"]


def weighted_kappa(first: np.ndarray, second: np.ndarray, levels: int = 5) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968) of two raters' scores 1..levels.

    Args:
        first, second: (items,) whole numbers; NaN where an item was not rated; such items are left out.
        levels: the highest score.
    Returns: 1 for full agreement, 0 for what chance gives; NaN where fewer than two items are shared, or neither rater
        ever differs from one and the same score.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    pairs = np.stack([first[both], second[both]]).astype(int) - 1
    if pairs.size and (pairs.min() < 0 or pairs.max() >= levels):
        raise InputError("scores", got=f"{pairs.min() + 1}..{pairs.max() + 1}", expected=f"1..{levels}")
    if pairs.shape[1] < 2:
        return float("nan")
    table = np.zeros((levels, levels))
    np.add.at(table, tuple(pairs), 1.0)
    table /= table.sum()
    weights = (np.arange(levels)[:, None] - np.arange(levels)) ** 2
    expected = (weights * np.outer(table.sum(1), table.sum(0))).sum()
    return float(1 - (weights * table).sum() / expected) if expected > 0 else float("nan")


def krippendorff_alpha(scores: np.ndarray, level: Level = "ordinal") -> float:
    """Krippendorff's alpha (Krippendorff 2011).

    Args:
        scores: (raters, items), NaN where a rater left an item out.
        level: which differences count: any alike, by rank, or by value.
    Returns: 1 for full agreement, 0 for what chance gives; NaN where no item has two ratings or all are equal.
    """
    rated = (~np.isnan(scores)).sum(0)
    scores = scores[:, rated >= 2]
    values = np.unique(scores[~np.isnan(scores)])
    if len(values) < 2:
        return float("nan")
    counts = (scores[:, :, None] == values).sum(0).astype(float)  # (items, values)
    each = counts.sum(1)
    coincidences = (counts.T / (each - 1)) @ counts - np.diag((counts / (each - 1)[:, None]).sum(0))
    totals = coincidences.sum(1)
    distance = _distance(values, totals, level)
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    return float(1 - (coincidences * distance).sum() / expected)


def _distance(values: np.ndarray, totals: np.ndarray, level: Level) -> np.ndarray:
    """(values, values) squared differences."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return (values[:, None] - values) ** 2
    ranks = np.cumsum(totals) - totals / 2
    return (ranks[:, None] - ranks) ** 2
