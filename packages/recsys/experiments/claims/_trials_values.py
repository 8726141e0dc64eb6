"""Experiments on values and labels: ratings of MovieLens, answers to coupons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ninefold_lab import Budget
from recsys.data._dataset import Dataset
from recsys.evaluation._tune import tune
from recsys.factors._bias import Bias
from recsys.factors._mf import BiasedMF, SVDpp
from recsys.fm._bayesian_fm import BayesianFM
from recsys.recommender._rating import RatingModel
from recsys_experiments import real_sets


def ratings(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Minus the squared error of each rating of ml-latest-small, 5-fold (one fold in the quick form).

    Every model is tuned in each fold, with as many trials, on a tenth of the fold's training ratings.
    """
    models: dict[str, RatingModel] = {
        "bias": Bias(),
        "MF": BiasedMF(seed=seed),
        "SVD++": SVDpp(seed=seed),
        "Bayesian FM": BayesianFM(sweeps=128, burn_in=28, samples=50, seed=seed),
    }
    folds = list(real_sets.ml_latest_small().split.kfold(5, seed=seed))
    trials = 4 if budget.form == "full" else 2
    found = {name: [] for name in models}
    for train, test in folds if budget.form == "full" else folds[:1]:
        inner = train.split.rows(0.1, seed=seed)
        for name, model in models.items():
            best: Any = tune(model, train, metric="rmse", trials=trials, seed=seed, validation=inner).best
            found[name].append(-((predicted(best.fit(train), test) - test.value) ** 2))
    return {name: np.concatenate(errors) for name, errors in found.items()}


def coupon(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """For each accepted answer of the held-out 30 %, the share of refused ones scored below it: its mean is the AUC."""
    sweeps = 256 if budget.form == "full" else 120
    arms = {"LR": (0, "none"), "FM": (8, "none"), "LR+context": (0, "all"), "FM+context": (8, "all")}
    train, test = real_sets.coupon().split.rows(0.3, seed=seed)
    label, found = np.asarray(test.value), {}
    for name, (factors, context) in arms.items():
        model = BayesianFM(head="probit", factors=factors, context=context, sweeps=sweeps, seed=seed)
        found[name] = _share_below(label, predicted(model.fit(train), test))
    return found


def predicted(model: RatingModel, test: Dataset) -> np.ndarray:
    """Predictions for the events of a test set, float64 (n,)."""
    return model.predict(test.to_table()).column("score").to_numpy().astype(np.float64)


def _share_below(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Of each positive: negatives scored below, ties half, as a share; float64 (positives,)."""
    negative = np.sort(score[label < 0.5])
    low, high = (np.searchsorted(negative, score[label > 0.5], side) for side in ("left", "right"))
    return (low + high) / (2 * len(negative))
