"""Experiments on a shop's log: two stages against the best single model in four months; a model that follows the days
against one that is fitted anew each day."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from ninefold_lab import Budget, Verdict, at_least
from ninefold_lab.claims import Comparison, Scores
from recsys.baselines._item_knn import ItemKNN
from recsys.data._dataset import Dataset
from recsys.data._time import DAY
from recsys.evaluation._evaluate import evaluate
from recsys.evaluation._tune import tune
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.recommender._base import Recommender
from recsys.recommender._trend import Trend
from recsys.sequence._fusion import text_of
from recsys.sequence._two_stage import TwoStage
from recsys_experiments import real_sets

MONTHS = ("2011-08", "2011-09", "2011-10", "2011-11")
_STARTS: dict[str, Recommender] = {
    "EASE": Trend(model=EASE(l2=300.0, half_life=240.0), trend=0.8, damp=0.8),
    "iALS": Trend(model=IALS(factors=64, reg=0.006, a0=0.6, half_life=240.0), trend=0.8, damp=0.8),
    "item kNN": Trend(model=ItemKNN(weighting="bm25", k=100, k1=10.0, b=0.25, half_life=120.0), trend=0.8, damp=1.0),
}
_MORE = "trend(model=user-knn,trend=0.8,damp=0.8)+trend(model=ease(l2=100,half_life=20),trend=0.8,damp=0.8)+content-knn"


def months(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """NDCG@10 of each customer for new, warm products of each month, by the best single model (of three with a trend,
    tuned alike on what is before the first month: the one that is best in the month itself) and by two stages of them
    and three more."""
    singles, models = _tuned(8 if budget.form == "full" else 1)
    arms: dict[str, np.ndarray] = {}
    for month, train, test in _parts(budget):
        alone = {name: _ndcg(one.fit(train), test) for name, one in singles.items()}
        arms |= {f"{name}, {month}": one for name, one in alone.items()}
        arms[f"best single, {month}"] = max(alone.values(), key=lambda one: one.mean())
        staged = TwoStage(models=models, candidates=100, ranker="trees", windows=3, lead=3, seed=seed).fit(train)
        arms[f"two stages, {month}"] = _ndcg(staged, test)
    return arms


def candidates(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Whether each new, warm product of each month is among 300 candidates of its customer, which the ranker picks from
    300 of each model."""
    _, models = _tuned(8 if budget.form == "full" else 1)
    arms = {}
    for month, train, test in _parts(budget):
        deep = TwoStage(models=models, candidates=300, ranker="trees", windows=3, seed=seed).fit(train)
        arms[f"among 300, {month}"] = _found(deep, test, 300)
    return arms


@functools.cache
def _tuned(trials: int) -> tuple[dict[str, Recommender], str]:
    """(the single models with the best settings on data before the first month; the models of the first stage)."""
    data = real_sets.online_retail().clicks()
    assert data.time is not None
    before = data.take(data.time < _moment(MONTHS[0]))
    singles = {name: tune(start, before, trials=trials).best for name, start in _STARTS.items()}
    return singles, "+".join([*(text_of(one) for one in singles.values()), _MORE])


def _parts(budget: Budget) -> Iterator[tuple[str, Dataset, Dataset]]:
    """(month, events before it, events in it)."""
    data = real_sets.online_retail().clicks()
    assert data.time is not None
    for month in MONTHS if budget.form == "full" else MONTHS[:1]:
        start, end = _moment(month), _moment(str(np.datetime64(month) + 1))
        yield month, data.take(data.time < start), data.take((data.time >= start) & (data.time < end))


def three_of_four(runs: Sequence[Scores]) -> list[Comparison]:
    """The bar of +.01 over the best single model, in the three months where it is passed furthest."""
    bars: list[Verdict] = [at_least(f"two stages, {month}", f"best single, {month}", 0.01) for month in MONTHS
                           if f"two stages, {month}" in runs[0]]  # fmt: skip
    found = [one for bar in bars for one in bar(runs)]
    return sorted(found, key=lambda one: -one.estimate)[:3]


def among_300(runs: Sequence[Scores]) -> list[Comparison]:
    """Of each month's targets .6 are among 300 candidates."""
    names = [name for name in runs[0] if name.startswith("among 300")]
    return [one for name in names for one in at_least(name, 0.6)(runs)]


def _moment(month: str) -> int:
    return int(np.datetime64(month, "us").astype(np.int64))


def _ndcg(model: Recommender, test: Dataset) -> np.ndarray:
    return evaluate(model, test, ["ndcg@10"], targets="warm", filter_seen=True).known("ndcg@10")


def _found(model: Recommender, test: Dataset, k: int) -> np.ndarray:
    """Whether each target, a pair of a known user and a known item that is new to the user, is among k, float64."""
    user, item = test.encoded(model.user_ids_, model.item_ids_)
    known = (user >= 0) & (item >= 0)
    items = len(model.item_ids_)
    had = np.unique(model.history_.rows() * items + model.history_.item)
    wanted = np.setdiff1d(np.unique(user[known].astype(np.int64) * items + item[known]), had)
    users = np.unique(wanted // items)
    lists = model.recommend(model.user_ids_.ids(users), k)
    row, column = model.user_ids_.codes(lists[model.names_.user]), model.item_ids_.codes(lists[model.names_.item])
    return np.isin(wanted, row.astype(np.int64) * items + column).astype(np.float64)


def days(budget: Budget, seed: int) -> Mapping[str, np.ndarray | float]:
    """NDCG@10 of the next day's new products over 30 days, by a model that is fitted anew each night, by one that only
    takes each day's events in (`partial_fit`, with items where the model can), and by one that stays as it was; and the
    share of the fits' processor time that the second takes, over the nights after a day with events."""
    data = real_sets.online_retail().clicks()
    last, count = int(data.time.max()), 30 if budget.form == "full" else 4
    first = last - count * DAY
    arms: dict[str, np.ndarray | float] = {}
    for name in ("EASE", "iALS"):
        start = _STARTS[name].clone()
        if "model__seed" in start.get_params():
            start.set_params(model__seed=seed)
        still = start.clone().fit(data.take(data.time < first))
        stream = start.clone().fit(data.take(data.time < first))
        scores: dict[str, list[np.ndarray]] = {"daily refit": [], "stream": [], "no update": []}
        spent = {"daily refit": 0.0, "stream": 0.0}
        for day in range(1, count):
            moment = first + day * DAY
            known, today = data.take(data.time < moment), (data.time >= moment - DAY) & (data.time < moment)
            test = data.take((data.time >= moment) & (data.time < moment + DAY))
            begun = time.process_time()
            fresh = start.clone().fit(known)
            if today.any():
                spent["daily refit"] += time.process_time() - begun
                events, options = data.take(today), {"items": True} if name == "iALS" else {}
                begun = time.process_time()
                stream.partial_fit(events, **options)
                spent["stream"] += time.process_time() - begun
            if len(test):
                for arm, model in (("daily refit", fresh), ("stream", stream), ("no update", still)):
                    scores[arm].append(_of_day(model, known, test))
        arms |= {f"{name}, {arm}": np.concatenate(one) for arm, one in scores.items()}
        arms[f".98 x {name}, daily refit"] = 0.98 * arms[f"{name}, daily refit"]
        arms[f"{name}, stream's share of the time"] = spent["stream"] / spent["daily refit"]
    return arms


def _of_day(model: Recommender, known: Dataset, test: Dataset) -> np.ndarray:
    """NDCG@10 of each customer of a day who was known before: new products that had been sold before the day, whether
    or not the model has learned of them."""
    user, item = test.encoded(known.user_ids, known.item_ids)
    there = (user >= 0) & (item >= 0)
    pairs = np.unique(user[there].astype(np.int64) * known.n_items + item[there])
    had = np.unique(known.user.astype(np.int64) * known.n_items + known.item)
    wanted = np.setdiff1d(pairs, had)
    users = np.unique(wanted // known.n_items)
    lists = model.recommend(known.user_ids.ids(users), 10)
    row = np.searchsorted(users, known.user_ids.codes(lists[model.names_.user]))
    listed = users[row] * known.n_items + known.item_ids.codes(lists[model.names_.item])
    hit = np.isin(listed, wanted) & ~np.isin(listed, had)
    gain = np.bincount(row[hit], 1 / np.log2(lists["rank"].to_numpy()[hit] + 1), len(users))
    targets = np.bincount(np.searchsorted(users, wanted // known.n_items), minlength=len(users))
    return gain / np.cumsum(1 / np.log2(np.arange(10) + 2))[np.minimum(targets, 10) - 1]
