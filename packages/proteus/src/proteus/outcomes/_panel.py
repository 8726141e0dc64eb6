"""Biomarker panels: elastic-net logistic regression, judged by nested cross-validation and label permutation."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.data._data import ProteomicsData

_SHARES = np.geomspace(0.9, 0.05, 10)  # penalties tried, as shares of the smallest that empties the model


@dataclass(frozen=True)
class Panel:
    """A panel and its accuracy.

    Attributes:
        weights: coefficient of each chosen feature (per sd) from a fit on all samples, largest first.
        auc: area under the ROC curve of outer-fold predictions, never of samples the model saw.
        p: share of label permutations (plus one) whose nested AUC is as high.
        stability: by feature, share of outer folds that chose it.
    """

    weights: pd.Series
    auc: float
    p: float
    stability: pd.Series


def biomarker_panel(
    data: ProteomicsData,
    positive: np.ndarray,
    *,
    l1_ratio: float = 0.5,
    folds: int = 5,
    screen: int = 50,
    permutations: int = 50,
    seed: int = 0,
) -> Panel:
    """Nested cross-validation of an elastic net; screening, scaling and filling are learned in training folds alone.

    Args:
        data: log2 table.
        positive: (N,) bool class.
        l1_ratio: share of the lasso in the penalty.
        folds: outer and inner folds, stratified.
        screen: features with the largest |t| in the training fold that enter the fit.
        permutations: of the labels, for p.
        seed: of folds and permutations.
    Raises:
        InputError: if a class has fewer samples than folds.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import ProteomicsData
        >>> from proteus.tl import biomarker_panel
        >>> rng = np.random.default_rng(0)
        >>> values, case = rng.standard_normal((10, 40)), np.arange(40) % 2 == 0
        >>> values[0, case] += 4
        >>> features = pd.DataFrame(index=[f"P{one}" for one in range(10)])
        >>> table = ProteomicsData(values, features, pd.DataFrame(index=range(40)))
        >>> biomarker_panel(table, case, permutations=2).auc > 0.9
        True
    """
    y = np.asarray(positive, bool)
    if min(y.sum(), (~y).sum()) < folds:
        raise InputError("panel", got=f"{y.sum()} against {(~y).sum()} samples", expected=f"{folds} of each at least")
    x = data.values.T
    generator = np.random.default_rng(seed)
    auc, chosen = _nested(x, y, l1_ratio, folds, screen, generator)
    worse = 0
    for _ in range(permutations):
        shuffled = generator.permutation(y)
        worse += _nested(x, shuffled, l1_ratio, folds, screen, generator)[0] >= auc
    rows, _, _, coefficients = _tuned(x, y, l1_ratio, folds, screen, generator)
    weights = pd.Series(coefficients, index=data.features.index[rows])
    weights = weights[weights != 0].sort_values(key=np.abs, ascending=False)
    stability = pd.Series(chosen, index=data.features.index)
    p = (1 + worse) / (permutations + 1)
    return Panel(weights, auc, p, stability[stability > 0].sort_values(ascending=False))


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties half."""
    rank = stats.rankdata(score)
    a, b = positive.sum(), (~positive).sum()
    return float((rank[positive].sum() - a * (a + 1) / 2) / (a * b))


def _nested(
    x: np.ndarray, y: np.ndarray, l1: float, folds: int, screen: int, generator: np.random.Generator
) -> tuple[float, np.ndarray]:
    fold = _folds(y, folds, generator)
    rank_score = np.empty(len(y))
    chosen = np.zeros(x.shape[1])
    for one in range(folds):
        train = fold != one
        rows, scaler, intercept, beta = _tuned(x[train], y[train], l1, folds, screen, generator)
        score = _apply(x[~train][:, rows], scaler) @ beta + intercept
        rank_score[~train] = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
        chosen[rows[beta != 0]] += 1 / folds
    return area_under_curve(rank_score, y), chosen


def _tuned(
    x: np.ndarray, y: np.ndarray, l1: float, folds: int, screen: int, generator: np.random.Generator
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], float, np.ndarray]:
    """Penalty by inner folds on deviance, then a fit on all rows: (features, scaler, intercept, coefficients)."""
    fold = _folds(y, folds, generator)
    deviance = np.zeros(len(_SHARES))
    for one in range(folds):
        train = fold != one
        rows, scaler = _prepare(x[train], y[train], screen)
        inside, outside = _apply(x[train][:, rows], scaler), _apply(x[~train][:, rows], scaler)
        for place, (intercept, beta) in enumerate(elastic_net_path(inside, y[train], l1, _SHARES)):
            eta = np.where(y[~train], 1, -1) * (outside @ beta + intercept)
            deviance[place] += np.logaddexp(0, -eta).sum()
    best = int(np.argmin(deviance))
    rows, scaler = _prepare(x, y, screen)
    path = elastic_net_path(_apply(x[:, rows], scaler), y, l1, _SHARES[: best + 1])
    return rows, scaler, *path[-1]


def elastic_net_path(
    x: np.ndarray, y: np.ndarray, l1: float, shares: np.ndarray, *, iterations: int = 100
) -> list[tuple[float, np.ndarray]]:
    """(intercept, coefficients) for each penalty: accelerated proximal gradient, warm-started from large to small.

    Minimises mean logistic loss + lambda (l1 |b|_1 + (1 - l1)/2 |b|^2); lambda = share x the smallest that gives b = 0.
    """
    n = len(y)
    target = y.astype(float)
    most = np.abs(x.T @ (target - target.mean())).max() / n / max(l1, 1e-3)
    smooth = 0.25 * np.linalg.norm(x, 2) ** 2 / n
    intercept, beta = float(np.log(target.mean() / (1 - target.mean()))), np.zeros(x.shape[1])
    path = []
    for share in shares:
        penalty = share * most
        rate = 1 / (smooth + penalty * (1 - l1))
        ahead, momentum = beta.copy(), 1.0
        for _ in range(iterations):
            residual = 1 / (1 + np.exp(-np.clip(x @ ahead + intercept, -30, 30))) - target
            step = ahead - rate * (x.T @ residual / n + penalty * (1 - l1) * ahead)
            new = np.sign(step) * np.maximum(np.abs(step) - rate * penalty * l1, 0)
            intercept -= 4 * residual.mean()
            grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + (momentum - 1) / grown * (new - beta)
            moved = np.abs(new - beta).max(initial=0.0)
            beta, momentum = new, grown
            if moved < 1e-4 and abs(residual.mean()) < 1e-4:
                break
        path.append((intercept, beta.copy()))
    return path


def _folds(y: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    result = np.empty(len(y), int)
    for group in (y, ~y):
        rows = generator.permutation(np.flatnonzero(group))
        result[rows] = np.arange(len(rows)) % folds
    return result


def _prepare(x: np.ndarray, y: np.ndarray, screen: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    seen = ~np.isnan(x)
    enough = (seen[y].sum(0) >= 2) & (seen[~y].sum(0) >= 2)
    filled = np.where(seen, x, 0)

    def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = np.maximum(seen[rows].sum(0), 1)
        mean = filled[rows].sum(0) / n
        return n, mean, (np.where(seen[rows], filled[rows] - mean, 0) ** 2).sum(0) / np.maximum(n - 1, 1)

    (na, ma, va), (nb, mb, vb) = moments(y), moments(~y)
    t = np.where(enough, np.abs(ma - mb) / np.sqrt(va / na + vb / nb + 1e-12), -1.0)
    rows = np.argsort(-t, kind="stable")[: min(screen, int(enough.sum()))]
    _, mean, variance = (one[rows] for one in moments(np.ones(len(y), bool)))
    return rows, (mean, np.sqrt(np.where(variance > 0, variance, 1.0)))


def _apply(x: np.ndarray, scaler: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.nan_to_num((x - scaler[0]) / scaler[1])
