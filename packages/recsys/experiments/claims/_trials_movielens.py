"""Experiments on MovieLens files that a user brings: published tables of ranking (20M) and of the next film (1M).

Their licence forbids passing them on, so they lie in no mirror of ours: put them at
`$NINEFOLD_DATA/recsys/movielens/{ml-100k,ml-1m,ml-10M100K,ml-20m}/`, each as its archive unpacks. Settings are
the published ones; nothing is chosen here. Networks are trained on a CUDA device where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ninefold.datasets import find
from ninefold.errors import require
from ninefold_lab import Budget
from recsys import loaders
from recsys.baselines._popular import Popular
from recsys.data._dataset import Dataset
from recsys.evaluation._evaluate import evaluate
from recsys.factors._ials import IALS
from recsys.factors._mult_vae import MultVAE
from recsys.linear._ease import EASE
from recsys.recommender._base import Recommender
from recsys.sequence._sasrec import SASRec
from recsys.sequence._sequence_rivals import BERT4Rec

METRICS = ("recall_min@20", "recall_min@50", "ndcg@100")


def held_out(name: str) -> Callable[[Budget, int], Mapping[str, np.ndarray]]:
    """An experiment on one model by the protocol of Liang et al. 2018: ratings of 4 and more, users with five of them,
    20,000 users held out, lists from 80 % of their events. Settings are the published ones: iALS takes hours on two
    cores, Mult-VAE hours, or minutes on a GPU."""

    def run(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
        full = budget.form == "full"
        size: dict[str, Any] = {"factors": 2048, "epochs": 16} if full else {"factors": 16, "epochs": 4}
        makers: dict[str, Callable[[], Recommender]] = {
            "EASE": lambda: EASE(l2=500.0),
            "popular": Popular,
            "iALS": lambda: IALS(**size, reg=0.003, a0=0.1, seed=seed),
            "Mult-VAE": lambda: MultVAE(epochs=200 if full else 2, seed=seed, device=_device()),
        }
        train, fold, test = _users(20_000 if full else 2_000, seed)
        found = evaluate(makers[name]().fit(train).fold_in(fold), test, METRICS)
        return {f"{name} {metric}": found.known(metric) for metric in METRICS}

    return run


def _users(most: int, seed: int) -> tuple[Dataset, Dataset, Dataset]:
    data = loaders.movielens(find("recsys", "movielens/ml-20m/ratings.csv"))
    assert data.value is not None
    data = data.take(data.value >= 4).warm().clicks()
    data = data.take(np.bincount(data.user)[data.user] >= 5).warm()
    return data.split.user_held_out(min(most, data.n_users // 4), fold_in=0.8, seed=seed)


def last_film(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Each user's last film of ML1M, full ranking, seen films left out: SASRec with its own loss, with full softmax
    (SASRec+), and BERT4Rec; 200 events looked at, films and users with five events."""
    data = loaders.movielens(find("recsys", "movielens/ml-1m/ratings.dat"))
    train, test = _with_five(data.clicks()).split.leave_last_out()
    size = {"max_len": 200, "epochs": 200} if budget.form == "full" else {"max_len": 20, "epochs": 1, "factors": 8}
    common = {**size, "seed": seed, "device": _device()}
    models: dict[str, Callable[[], Recommender]] = {
        "SASRec": lambda: SASRec(loss="bce", **common),
        "BERT4Rec": lambda: BERT4Rec(**common),
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
