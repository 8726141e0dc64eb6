"""Experiments on MovieLens files that a user brings: published tables of ranking (20M) and of ratings (100K, 1M).

Their licence forbids passing them on, so they lie in no mirror of ours: put them at
`$NINEFOLD_DATA/recsys/movielens/{ml-100k/u.data, ml-1m/ratings.dat, ml-20m/ratings.csv}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from ninefold.claims import Budget
from ninefold.datasets import find

from recsys import loaders
from recsys._bias import Bias
from recsys._ease import EASE
from recsys._evaluate import evaluate
from recsys._mf import BiasedMF, SVDpp
from recsys._rating import RatingModel
from recsys._rating_knn import RatingKNN
from recsys._trials_values import predicted
from recsys.baselines._popular import Popular

METRICS = ("recall_min@20", "recall_min@50", "ndcg@100")


def held_out_users(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """The protocol of Liang et al. 2018: ratings of 4 and more, users with five of them, 20,000 users held out, lists
    from 80 % of their events. Nothing is chosen: EASE has its published ridge."""
    data = loaders.movielens(find("recsys", "movielens/ml-20m/ratings.csv"))
    assert data.value is not None
    data = data.take(data.value >= 4).warm()
    data = data.take(np.bincount(data.user)[data.user] >= 5).warm()
    held = min(20_000 if budget.form == "full" else 2_000, data.n_users // 4)
    train, fold, test = data.split.user_held_out(held, fold_in=0.8, seed=seed)
    arms = {}
    for name, model in (("EASE", EASE(l2=500.0)), ("popular", Popular())):
        found = evaluate(model.fit(train).fold_in(fold), test, METRICS)
        arms |= {f"{name} {metric}": found.known(metric) for metric in METRICS}
    return arms


def rating_table(file: str) -> Callable[[Budget, int], Mapping[str, np.ndarray]]:
    """An experiment: minus the squared error of each rating of a file, 5-fold (one fold in the quick form)."""

    def run(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
        models: dict[str, RatingModel] = {
            "bias": Bias(), "item kNN": RatingKNN(), "MF": BiasedMF(seed=seed), "SVD++": SVDpp(seed=seed),
        }  # fmt: skip
        folds = list(loaders.movielens(find("recsys", f"movielens/{file}")).split.kfold(5, seed=seed))
        found = {name: [] for name in models}
        for train, test in folds if budget.form == "full" else folds[:1]:
            for name, model in models.items():
                found[name].append(-((predicted(model.fit(train), test) - test.value) ** 2))
        return {name: np.concatenate(errors) for name, errors in found.items()}

    return run
