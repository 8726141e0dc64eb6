"""Experiments on MovieLens files that a user brings (see `_trials_movielens`): published tables of ratings.

Scores are minus squared errors, of the same ratings for all arms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.datasets import find
from ninefold_lab import Budget
from recsys import loaders
from recsys.data._dataset import Dataset
from recsys.data._time import DAY
from recsys.factors._bias import Bias
from recsys.factors._mf import BiasedMF, SVDpp
from recsys.fm._bayesian_fm import BayesianFM
from recsys.recommender._rating import RatingModel
from recsys_experiments.baselines._rating_knn import RatingKNN

from ._trials_values import predicted


def rating_table(file: str) -> Callable[[Budget, int], Mapping[str, np.ndarray]]:
    """An experiment: bias, kNN, MF and SVD++ as in Surprise's benchmark, 5-fold (one fold in the quick form)."""

    def run(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
        models: dict[str, RatingModel] = {
            "bias": Bias(), "item kNN": RatingKNN(), "MF": BiasedMF(seed=seed), "SVD++": SVDpp(seed=seed),
        }  # fmt: skip
        folds = list(loaders.movielens(find("recsys", f"movielens/{file}")).split.kfold(5, seed=seed))
        return _errors(models, folds if budget.form == "full" else folds[:1])

    return run


def ratings_10m(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """ML10M, 90 % against 10 % (Rendle et al. 2019): SGD and Bayesian matrix factorisation, of 128 factors."""
    size = _size(budget, 128)
    models: dict[str, RatingModel] = {
        "MF": BiasedMF(factors=size["factors"], epochs=60 if budget.form == "full" else 2, reg=0.04, seed=seed),
        "BMF": BayesianFM(**size, seed=seed),
    }
    return _errors(models, [_ten_million(seed)])


def sets_10m(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """As `ratings_10m`, with the user's films (SVD++), the day (timeSVD++) and the film's users ("flipped") among the
    columns: days of work on two cores."""
    size = _size(budget, 64)
    models: dict[str, RatingModel] = {
        "B-SVD++": BayesianFM(**size, seed=seed, implicit=True, context="none"),
        "B-timeSVD++": BayesianFM(**size, seed=seed, implicit=True),
        "flipped": BayesianFM(**size, seed=seed, implicit=True, flipped=True),
    }
    return _errors(models, [tuple(_with_days(one) for one in _ten_million(seed))])


def side_data(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """ML100K, the published split u1: a Bayesian factorisation machine with a prior for each group of columns, and
    with what the tables say of users and films."""
    train, test = (loaders.movielens(find("recsys", f"movielens/ml-100k/u1.{part}")) for part in ("base", "test"))
    size = _size(budget, 10)
    columns = "age,gender,occupation,zip,year,genres"
    models: dict[str, RatingModel] = {
        "Bayesian FM": BayesianFM(**size, seed=seed),
        "Bayesian FM, side data": BayesianFM(**size, seed=seed, features=columns),
    }
    return _errors(models, [(train, test)])


def _size(budget: Budget, factors: int) -> dict[str, Any]:
    full = {"factors": factors, "sweeps": 512, "burn_in": 64, "samples": 64}
    return full if budget.form == "full" else {"factors": 4, "sweeps": 8, "burn_in": 2, "samples": 4}


def _errors(models: Mapping[str, RatingModel], folds: Iterable[tuple[Dataset, ...]]) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for train, test in folds:
        for name, model in models.items():
            found[name].append(-((predicted(model.fit(train), test) - test.value) ** 2))
    return {name: np.concatenate(errors) for name, errors in found.items()}


def _ten_million(seed: int) -> tuple[Dataset, Dataset]:
    return loaders.movielens(find("recsys", "movielens/ml-10M100K/ratings.dat")).split.rows(0.1, seed=seed)


def _with_days(data: Dataset) -> Dataset:
    assert data.time is not None
    return dataclasses.replace(data, context=pa.table({"day": pa.array((data.time // DAY).astype(str))}))
