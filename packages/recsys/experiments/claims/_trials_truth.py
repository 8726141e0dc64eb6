"""Experiments in worlds whose truth is known: exposure that is not at random, transitions that are on or off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from recsys.data._simulate import simulate
from recsys.evaluation._next import evaluate_next
from recsys.evaluation._propensity import snips
from recsys.evaluation._stats import by_group
from recsys.linear._ease import EASE
from recsys.sequence._markov import Markov


def propensities(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Estimates of the mean rating over all pairs from events shown mostly to those who like them: minus their errors,
    and how often the 95 % interval holds the truth."""
    runs, events = 500 if budget.form == "full" else 60, 8000
    world = simulate(60, 20, 100, mnar=0.5, zipf=0.5, seed=seed)
    truth, draw = float(world.ratings.mean()), np.random.default_rng(seed)
    users, items = world.propensity.shape
    naive, corrected, holds = np.empty(runs), np.empty(runs), np.empty(runs)
    for run in range(runs):
        user = draw.integers(0, users, events)
        item = (world.propensity[user].cumsum(axis=1) > draw.random((events, 1))).argmax(axis=1)
        reward = world.ratings[user, item]
        found = snips(reward, np.full(events, 1 / items), world.propensity[user, item])
        naive[run], corrected[run] = abs(reward.mean() - truth), abs(found.mean - truth)
        holds[run] = found.low <= truth <= found.high
    return {"SNIPS": -corrected, "naive mean": -naive, "interval holds the truth": holds}


def transitions(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Reciprocal rank (to 10) of the next item, of a chain and of EASE, with transitions on and off."""
    events = 40_000 if budget.form == "full" else 10_000
    arms = {}
    for name, share in (("on", 0.5), ("off", 0.0)):
        data = simulate(events // 40, 200, events, transitions=share, seed=seed).data.clicks()
        train, test = data.split.time()
        for model, kind in (("chain", Markov(smoothing=20.0)), ("static", EASE(l2=100.0))):
            found = evaluate_next(kind.fit(train), test, ["mrr@10"], filter_seen=False)
            users = found.users.dictionary_encode().indices.to_numpy()
            arms[f"{model}, transitions {name}"] = by_group(found.values["mrr@10"], users)
    return arms
