"""Experiments on lists: Online Retail after a moment in time, MSWeb with one visit hidden."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from recsys.baselines._co_occurrence import CoOccurrence
from recsys.baselines._implicit import ImplicitALS
from recsys.baselines._item_knn import ItemKNN
from recsys.baselines._popular import Popular, RecentPopular
from recsys.baselines._user_knn import UserKNN
from recsys.data._dataset import Dataset
from recsys.evaluation._evaluate import evaluate
from recsys.evaluation._tune import Tuned, points, space_of, tune
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.recommender._base import Recommender
from recsys.recommender._trend import Trend
from recsys_experiments import real_sets

# where each search starts: the best found by hand on validation events, see experiments/ATTEMPTS.md
_STARTS: dict[str, list[Recommender]] = {  # the best item kNN is sought with the whole budget for each weighting
    "recent-popular": [RecentPopular()],
    "EASE": [Trend(model=EASE(l2=300.0, half_life=240.0), trend=0.8, damp=0.8)],
    "iALS": [Trend(model=IALS(factors=64, reg=0.006, a0=0.6, half_life=240.0), trend=0.8, damp=0.8)],
    "implicit ALS": [Trend(model=ImplicitALS(factors=64, reg=30.0, alpha=5.0, half_life=240.0), trend=0.8, damp=0.8)],
    "ItemKNN": [
        Trend(model=ItemKNN(weighting="cosine", k=10, half_life=120.0), trend=0.5, damp=0.3),
        Trend(model=ItemKNN(weighting="tfidf", k=10, half_life=120.0), trend=0.5, damp=0.3),
        Trend(model=ItemKNN(weighting="bm25", k=100, k1=10.0, b=0.25, half_life=120.0), trend=0.8, damp=1.0),
    ],
}


def retail(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """NDCG@10 of each customer for new, warm products after the cut; every model tuned with one budget on train,
    the half-life and the trend around it among what is tuned; and co-occurrence with the last product, untuned."""
    train, test = real_sets.online_retail().clicks().split.time("2011-11-01")
    trials = 24 if budget.form == "full" else 2
    models: dict[str, Recommender] = {"popular": Popular(), "last-item co-occurrence": CoOccurrence()}
    for name in _STARTS:
        model = _tuned(name, trials).clone()
        models[name] = model.set_params(model__seed=seed) if "model__seed" in model.get_params() else model
    arms = {name: _values(model.fit(train), test, "ndcg@10", targets="warm") for name, model in models.items()}
    for name, times in (("recent-popular", 1.2), ("popular", 2.3), ("ItemKNN", 1.05)):
        arms[f"{times} x {name}"] = times * arms[name]
    return arms


@functools.cache
def _tuned(name: str, trials: int) -> Recommender:
    """A rival's best parameters on the latest fifth of the training events; searched once, whatever the seed."""
    train, _ = real_sets.online_retail().clicks().split.time("2011-11-01")
    found = [_search(start, train, trials) for start in _STARTS[name]]
    return max(found, key=lambda one: one.score).best


def _search(start: Recommender, train: Dataset, trials: int) -> Tuned:
    space = {key: one for key, one in space_of(start, train).items() if key != "model__weighting"}
    if start.get_params().get("model__weighting", "bm25") != "bm25":
        space = {key: one for key, one in space.items() if key not in ("model__k1", "model__b")}
    return tune(start, train, trials=trials, space=space)


def _values(model: Recommender, test: Dataset, metric: str, targets: str = "all") -> np.ndarray:
    return evaluate(model, test, [metric], targets=targets, filter_seen=True).known(metric)


def msweb(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Half-life utility (5) of the one hidden area of each test user; ridge and neighbours tuned on train users."""
    train, test = real_sets.msweb()
    given, hidden = real_sets.all_but_one(test, seed=seed)
    learn, fold, held = train.split.user_held_out(3000, fold_in=0.8, seed=seed)
    trials = 10 if budget.form == "full" else 4
    arms = {}
    for name, start in (
        ("EASE", EASE(l2=50.0)),
        ("ItemKNN", ItemKNN()),
        ("UserKNN", UserKNN()),
        ("popular", Popular()),
    ):
        model = start if name == "popular" else _tuned_on_users(start, learn, fold, held, trials, seed)
        arms[name] = _values(model.fit(train).fold_in(given), hidden, "half_life@5")
    return arms


def _tuned_on_users(
    start: Recommender, learn: Dataset, fold: Dataset, held: Dataset, trials: int, seed: int
) -> Recommender:
    """The parameters that serve held-out training users best."""
    best, score = start, -1.0
    candidates = [{}, *points(space_of(start, learn), trials - 1, seed)]
    for params in candidates:
        model = start.clone().set_params(**params)
        found = evaluate(model.fit(learn).fold_in(fold), held, ["half_life@5"]).mean("half_life@5")
        if found > score:
            best, score = model.clone(), found
    return best
