"""Experiments on values and labels: answers to coupons; ratings of MovieLens files that a user brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from ninefold.datasets import find
from ninefold_lab import Budget
from recsys import datasets, loaders
from recsys.data._dataset import Dataset
from recsys.factors._bias import Bias
from recsys.factors._mf import BiasedMF, SVDpp
from recsys.factors._rating_knn import RatingKNN
from recsys.fm._bayesian_fm import BayesianFM
from recsys.recommender._rating import RatingModel


def rating_table(file: str) -> Callable[[Budget, int], Mapping[str, np.ndarray]]:
    """An experiment on a file that a user brings (see `_trials_movielens`): minus the squared error of each rating by
    bias, kNN, MF and SVD++ as in Surprise's benchmark, 5-fold (one fold in the quick form)."""

    def run(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
        models: dict[str, RatingModel] = {
            "bias": Bias(), "item kNN": RatingKNN(), "MF": BiasedMF(seed=seed), "SVD++": SVDpp(seed=seed),
        }  # fmt: skip
        folds = list(loaders.movielens(find("recsys", f"movielens/{file}")).split.kfold(5, seed=seed))
        found: dict[str, list[np.ndarray]] = {name: [] for name in models}
        for train, test in folds if budget.form == "full" else folds[:1]:
            for name, model in models.items():
                found[name].append(-((predicted(model.fit(train), test) - test.value) ** 2))
        return {name: np.concatenate(errors) for name, errors in found.items()}

    return run


def coupon(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """For each accepted answer of the held-out 30 %, the share of refused ones scored below it: its mean is the AUC."""
    sweeps = 256 if budget.form == "full" else 120
    arms = {"LR": (0, "none"), "FM": (8, "none"), "LR+context": (0, "all"), "FM+context": (8, "all")}
    train, test = datasets.coupon().split.rows(0.3, seed=seed)
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
