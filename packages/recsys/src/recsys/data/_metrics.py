"""Metrics of ranked lists, each a function of the ranks of a user's relevant items; and of predicted values.

Names differ where definitions do:

recall@k      hits / relevant                       recall_min@k  hits / min(k, relevant)   (Liang et al. 2018)
precision@k   hits / k                              hr@k          1 if there is a hit
ndcg@k        binary gain (or graded, where asked for), ideal cut at min(k, relevant)
map@k         sum of precision at hits / relevant   map_min@k     the same / min(k, relevant)
mrr@k, mrr    1 / rank of the first hit             auc           P(relevant above irrelevant)
half_life@a   100 * sum 2^-((rank - 1) / (a - 1)) / its ideal   (Breese et al. 1998)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError


@dataclass(frozen=True)
class Ranks:
    """Ranks of the relevant items of users.

    Attributes:
        row: user row of each relevant item, int (t,), non-decreasing.
        rank: rank from 1 among all candidates, int (t,); 0 if it cannot be listed at all.
        candidates: how many items could be listed for each user, int (rows,).
        gain: worth of each relevant item, float64 (t,), which NDCG counts; 1 each if None.
    """

    row: np.ndarray
    rank: np.ndarray
    candidates: np.ndarray
    gain: np.ndarray | None = None

    @property
    def relevant(self) -> np.ndarray:
        """Relevant items of each user, int (rows,)."""
        return np.bincount(self.row, minlength=len(self.candidates))

    def total(self, gain: np.ndarray) -> np.ndarray:
        """Sum over each user's relevant items, float64 (rows,)."""
        return np.bincount(self.row, weights=gain, minlength=len(self.candidates))

    def hits(self, k: int) -> np.ndarray:
        """True where a relevant item is in the first k, bool (t,)."""
        return (self.rank > 0) & (self.rank <= k)


def _ndcg(ranks: Ranks, k: int) -> np.ndarray:
    if ranks.gain is not None:
        return _graded_ndcg(ranks, ranks.gain, k)
    gain = np.where(ranks.hits(k), 1 / np.log2(np.maximum(ranks.rank, 1) + 1), 0.0)
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    return ranks.total(gain) / ideal[np.minimum(k, ranks.relevant) - 1]


def _graded_ndcg(ranks: Ranks, worth: np.ndarray, k: int) -> np.ndarray:
    order = np.lexsort((-worth, ranks.row))  # the ideal list of each user
    starts = np.cumsum(ranks.relevant) - ranks.relevant
    place = np.arange(len(order)) - starts[ranks.row[order]] + 1
    ideal = np.bincount(
        ranks.row[order], np.where(place <= k, worth[order] / np.log2(place + 1), 0.0), len(ranks.candidates)
    )
    found = ranks.total(np.where(ranks.hits(k), worth / np.log2(np.maximum(ranks.rank, 1) + 1), 0.0))
    return np.divide(found, ideal, out=np.zeros(len(ideal)), where=ideal > 0)


def _precision_at_hits(ranks: Ranks, k: int) -> np.ndarray:
    order = np.lexsort((np.where(ranks.rank > 0, ranks.rank, np.iinfo(np.int64).max), ranks.row))
    starts = np.cumsum(ranks.relevant) - ranks.relevant
    place = np.empty(len(order))
    place[order] = np.arange(len(order)) - starts[ranks.row[order]] + 1  # how many hits up to and with this one
    return ranks.total(np.where(ranks.hits(k), place / np.maximum(ranks.rank, 1), 0.0))


def _mrr(ranks: Ranks, k: int) -> np.ndarray:
    best = np.zeros(len(ranks.candidates))
    np.maximum.at(best, ranks.row, np.where(ranks.hits(k), 1 / np.maximum(ranks.rank, 1), 0.0))
    return best


def _auc(ranks: Ranks) -> np.ndarray:
    """Share of pairs in order; an unlistable target counts as below every candidate, half right against none."""
    listed = ranks.rank > 0
    positives = ranks.total(listed)
    negatives = ranks.candidates - positives
    above = ranks.total(np.where(listed, ranks.rank, 0)) - positives * (positives + 1) / 2  # negatives above targets
    pairs = ranks.relevant * negatives
    return np.divide(positives * negatives - above, pairs, out=np.full(len(pairs), 0.5), where=pairs > 0)


def _half_life(ranks: Ranks, alpha: int) -> np.ndarray:
    if alpha < 2:
        raise InputError("half_life@", got=alpha, expected="a viewing half-life of at least 2")
    gain = np.where(ranks.rank > 0, np.exp2(-(ranks.rank - 1.0) / (alpha - 1)), 0.0)
    ratio = np.exp2(-1.0 / (alpha - 1))
    return 100 * ranks.total(gain) * (1 - ratio) / (1 - ratio**ranks.relevant)


_CUT: dict[str, Callable[[Ranks, int], np.ndarray]] = {
    "recall": lambda ranks, k: ranks.total(ranks.hits(k)) / ranks.relevant,
    "recall_min": lambda ranks, k: ranks.total(ranks.hits(k)) / np.minimum(k, ranks.relevant),
    "precision": lambda ranks, k: ranks.total(ranks.hits(k)) / k,
    "hr": lambda ranks, k: (ranks.total(ranks.hits(k)) > 0).astype(np.float64),
    "ndcg": _ndcg,
    "map": lambda ranks, k: _precision_at_hits(ranks, k) / ranks.relevant,
    "map_min": lambda ranks, k: _precision_at_hits(ranks, k) / np.minimum(k, ranks.relevant),
    "mrr": _mrr,
    "half_life": _half_life,
}


def ranking_metric(name: str) -> Callable[[Ranks], np.ndarray]:
    """The function (ranks -> value of each user, float64 (rows,)) of a name such as "ndcg@10", "mrr" or "auc".

    Raises:
        InputError: for an unknown name or a cut-off that is no positive number.
    """
    if name == "auc":
        return _auc
    if name == "mrr":
        return lambda ranks: _mrr(ranks, np.iinfo(np.int64).max)
    base, _, cut = name.partition("@")
    if base not in _CUT or not cut.isdecimal() or int(cut) < 1:
        known = ", ".join([*(f"{one}@k" for one in _CUT), "mrr", "auc"])
        raise InputError("metric", got=repr(name), expected=f"one of {known}, with a whole number for k")
    return lambda ranks: _CUT[base](ranks, int(cut))


def cut_off(names: Sequence[str]) -> int | None:
    """The greatest k of metrics that read only the first k ranks, such as "ndcg@10"; None if one reads all ranks."""
    if any("@" not in name or name.startswith("half_life") for name in names):
        return None
    return max(int(name.partition("@")[2]) for name in names)


def value_metric(name: str, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The loss of each prediction, float64 (n,): "mae", "log_loss" (truth 0 or 1, predicted in [0, 1]) or the square of
    "rmse"."""
    truth, predicted = truth.astype(np.float64), predicted.astype(np.float64)
    if name == "rmse":
        return (truth - predicted) ** 2
    if name == "mae":
        return np.abs(truth - predicted)
    if not np.isin(truth, (0, 1)).all():
        raise InputError("values", got="other values than 0 and 1", expected="labels 0 and 1 for the log loss")
    if ((predicted < 0) | (predicted > 1)).any():
        raise InputError("predictions", got="outside 0 to 1", expected="probabilities for the log loss")
    p = np.clip(predicted, 1e-15, 1 - 1e-15)
    return -(truth * np.log(p) + (1 - truth) * np.log1p(-p))


def row_auc(truth: np.ndarray, predicted: np.ndarray) -> float:
    """AUC over rows: how often a row labelled 1 is scored above one labelled 0, ties half."""
    from scipy.stats import rankdata

    positive = truth > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        raise InputError("values", got="labels of one kind", expected="both 0 and 1 for the AUC")
    return float((rankdata(predicted)[positive].sum() - n * (n + 1) / 2) / (n * m))
