"""Experiments on MovieLens files that a user brings: published tables of ranking (20M) and of the next film (1M).

Their licence forbids passing them on, so they lie in no mirror of ours: put them at
`$NINEFOLD_DATA/recsys/movielens/{ml-100k,ml-1m,ml-10M100K,ml-20m}/`, each as its archive unpacks. Settings are
the published ones; nothing is chosen here. Networks are trained on a CUDA device where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from ninefold.datasets import find
from ninefold.errors import require
from ninefold_lab import Budget
from recsys import loaders
from recsys.baselines._popular import Popular
from recsys.data._dataset import Dataset
from recsys.evaluation._evaluate import evaluate
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.recommender._base import Recommender
from recsys.sequence._sasrec import SASRec

METRICS = ("recall_min@20", "recall_min@50", "ndcg@100")


def held_out_users(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """The protocol of Liang et al. 2018: ratings of 4 and more, users with five of them, 20,000 users held out, lists
    from 80 % of their events. EASE has its published ridge."""
    return _ranking({"EASE": EASE(l2=500.0)}, budget, seed)


def held_out_popular(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """As `held_out_users`, of popularity."""
    return _ranking({"popular": Popular()}, budget, seed)


def held_out_factors(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """As `held_out_users`, of iALS with its published settings: 2,048 factors, hours on two cores."""
    factors, epochs = (2048, 16) if budget.form == "full" else (16, 4)
    return _ranking({"iALS": IALS(factors=factors, reg=0.003, a0=0.1, epochs=epochs, seed=seed)}, budget, seed)


def held_out_vae(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """As `held_out_users`, of Mult-VAE with its published settings: hours on two cores, minutes on a GPU."""
    from recsys_experiments.baselines._mult_vae import MultVAE  # here: it needs torch

    epochs = 200 if budget.form == "full" else 2
    return _ranking({"Mult-VAE": MultVAE(epochs=epochs, seed=seed, device=_device())}, budget, seed)


def _ranking(models: Mapping[str, Recommender], budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    data = loaders.movielens(find("recsys", "movielens/ml-20m/ratings.csv"))
    assert data.value is not None
    data = data.take(data.value >= 4).warm().clicks()
    data = data.take(np.bincount(data.user)[data.user] >= 5).warm()
    held = min(20_000 if budget.form == "full" else 2_000, data.n_users // 4)
    train, fold, test = data.split.user_held_out(held, fold_in=0.8, seed=seed)
    arms = {}
    for name, model in models.items():
        found = evaluate(model.fit(train).fold_in(fold), test, METRICS)
        arms |= {f"{name} {metric}": found.known(metric) for metric in METRICS}
    return arms


def last_film(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Each user's last film of ML1M, full ranking, seen films left out: SASRec with its own loss and with full
    softmax (SASRec+); 200 events looked at, films and users with five events."""
    data = loaders.movielens(find("recsys", "movielens/ml-1m/ratings.dat"))
    train, test = _with_five(data.clicks()).split.leave_last_out()
    size = {"max_len": 200, "epochs": 200} if budget.form == "full" else {"max_len": 20, "epochs": 1, "factors": 8}
    common = {**size, "seed": seed, "device": _device()}
    models: dict[str, Callable[[], Recommender]] = {
        "SASRec": lambda: SASRec(loss="bce", **common),
        "SASRec+": lambda: SASRec(**common),
    }
    arms = {}
    for name, make in models.items():
        found = evaluate(make().fit(train), test, ["hr@10", "ndcg@10"], targets="warm")
        arms |= {f"{name} {metric}": found.known(metric) for metric in ("hr@10", "ndcg@10")}
    return arms


def _with_five(data: Dataset) -> Dataset:
    while True:
        keep = (np.bincount(data.user)[data.user] >= 5) & (np.bincount(data.item)[data.item] >= 5)
        if keep.all():
            return data
        data = data.take(keep).warm()


def _device() -> str:
    return "cuda" if require("torch", "recsys", "torch").cuda.is_available() else "cpu"
