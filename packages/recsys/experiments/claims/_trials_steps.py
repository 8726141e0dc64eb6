"""Experiments on what comes next and on items that nobody had: Entree, and Online Retail with hidden products."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from recsys.baselines._co_occurrence import CoOccurrence
from recsys.baselines._popular import Popular
from recsys.baselines._profile import ContentProfile
from recsys.content._content import ContentKNN
from recsys.content._feature_ials import FeatureIALS
from recsys.data._dataset import Dataset
from recsys.evaluation._evaluate import evaluate
from recsys.evaluation._next import evaluate_next
from recsys.evaluation._stats import by_group
from recsys.evaluation._tune import points
from recsys.recommender._base import Recommender
from recsys.sequence._markov import Markov
from recsys.sequence._two_stage import TwoStage
from recsys_experiments import real_sets
from recsys_experiments.baselines._session_knn import VSKNN


def entree(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Reciprocal rank (to 10) of the next restaurant at each step of sessions from 1998-10-01 on, repeats counted."""
    train, test = real_sets.entree().split.time("1998-10-01")
    trials = 4 if budget.form == "full" else 1
    starts: dict[str, Recommender] = {
        "popular": Popular(),
        "co-occurrence": CoOccurrence(),
        "Markov": Markov(),
        "Markov+action": Markov(action="action"),
        "V-SKNN": VSKNN(),
    }
    learn, held = train.split.time(test=0.15)
    arms = {}
    for name, start in starts.items():  # the published chains have one step
        space = {key: one for key, one in getattr(start, "space", {}).items() if key != "order"}
        model = _best(start, trials, seed, lambda one: _steps(one.fit(learn), held).mean(), space)
        arms[name] = _steps(model.fit(train), test)
    # the best contextual model may look further back
    for name, action in (("longer Markov", None), ("longer Markov+action", "action")):
        start = Markov(order=3, action=action)
        model = _best(start, trials, seed, lambda one: _steps(one.fit(learn), held).mean())
        arms[name] = _steps(model.fit(train), test)
    return arms


def two_stages(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """As `entree`, of chains of three steps and of a machine that ranks what chains and co-occurrence name; settings as
    chosen on later training sessions, see experiments/ATTEMPTS.md."""
    train, test = real_sets.entree().split.time("1998-10-01")
    models = "markov(order=3,action=action)+markov(order=1,action=action)+markov(order=3)+co-occurrence"
    steps = 6000 if budget.form == "full" else 1000
    arms: dict[str, Recommender] = {
        "two stages": TwoStage(models=models, action="action", candidates=30, steps=steps, seed=seed),
        "Markov+action, three steps": Markov(order=3, action="action"),
        "co-occurrence": CoOccurrence(),
    }
    return {name: _steps(model.fit(train), test) for name, model in arms.items()}


def one_step(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:  # noqa: ARG001
    """As `entree`, of chains of one step with their default smoothing."""
    train, test = real_sets.entree().split.time("1998-10-01")
    arms = {"Markov": Markov(), "Markov+action": Markov(action="action")}
    return {name: _steps(model.fit(train), test) for name, model in arms.items()}


def attention(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """As `entree`, of co-occurrence and SASRec with either loss, trained until its own validation loss no longer falls
    for three epochs; the learning rate of each is chosen among the same three on later training sessions."""
    train, test = real_sets.entree().split.time("1998-10-01")
    arms = {"co-occurrence": _steps(CoOccurrence().fit(train), test)}
    for name, loss in (("softmax", "softmax"), ("original", "bce")):
        model = _patient(loss, budget.form).clone().set_params(seed=seed)
        arms[f"SASRec, {name}"] = _steps(model.fit(train), test)
    return arms


@functools.cache
def _patient(loss: str, form: str) -> Recommender:
    """SASRec with the learning rate that serves the latest training sessions best; searched once, whatever the seed."""
    from recsys.sequence._sasrec import SASRec

    epochs, patience = (100, 3) if form == "full" else (3, 3)
    train, _ = real_sets.entree().split.time("1998-10-01")
    learn, held = train.split.time(test=0.15)
    rates = (0.001, 0.003, 0.0005) if form == "full" else (0.001,)
    models = [SASRec(loss=loss, epochs=epochs, patience=patience, learning_rate=rate) for rate in rates]
    return max(models, key=lambda one: _steps(one.clone().fit(learn), held).mean() if len(models) > 1 else 0.0)


def _steps(model: Recommender, test: Dataset) -> np.ndarray:
    """Of each session, so that sessions are resampled; their mean is that over steps."""
    found = evaluate_next(model, test, ["mrr@10"], filter_seen=False)
    return by_group(found.values["mrr@10"], found.users.dictionary_encode().indices.to_numpy())


def cold_items(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """NDCG@10 among hidden products only: 15 % of Online Retail's, drawn by seed, known by their texts alone."""
    data = real_sets.online_retail().clicks()
    train, test, hidden = _without_items(data, 0.15, seed)
    learn, held, among = _without_items(train, 0.15, seed + 1000)
    trials = 4 if budget.form == "full" else 2
    starts: dict[str, ContentProfile | ContentKNN | FeatureIALS] = {
        "profile cosine": ContentProfile(),
        "content kNN": ContentKNN(),
        "feature iALS": FeatureIALS(epochs=8, seed=seed),
    }
    arms = {}
    for name, start in starts.items():
        space = {key: one for key, one in start.space.items() if key not in ("factors", "half_life")}
        model = _best(start, trials, seed, lambda one: _among(one.fit(learn), held, among).mean(), space)
        arms[name] = _among(model.fit(train), test, hidden)
    return arms


def _without_items(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset, list]:
    """(events without a share of the items that have events, events of those, their ids)."""
    used = np.unique(data.item)
    hidden = np.random.default_rng(seed).choice(used, round(share * len(used)), replace=False)
    away = np.isin(data.item, hidden)
    return data.take(~away), data.take(away), data.item_ids.ids(hidden).to_pylist()


def _among(model: Recommender, test: Dataset, items: list) -> np.ndarray:
    return evaluate(model, test, ["ndcg@10"], candidates=items).known("ndcg@10")


def _best(start: Recommender, trials: int, seed: int, score, space: dict | None = None) -> Recommender:
    """The start, or the one of `trials` - 1 others that scores higher on validation events."""
    space = dict(getattr(start, "space", {})) if space is None else space
    if not space or trials < 2:
        return start
    candidates = [start, *(start.clone().set_params(**one) for one in points(space, trials - 1, seed))]
    return candidates[int(np.argmax([score(one.clone()) for one in candidates]))]
