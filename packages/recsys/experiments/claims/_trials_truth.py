"""Experiments in worlds whose truth is known: exposure that is not at random, transitions that are on or off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from recsys.data._simulate import simulate
from recsys.evaluation._evaluate import evaluate
from recsys.evaluation._propensity import doubly_robust, ips
from recsys.evaluation._slates import interleave, prefer
from recsys.linear._ease import EASE
from recsys.sequence._social import Social
from scipy.stats import ttest_ind


def doubly(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Estimates of a policy's mean rating from events shown mostly to those who like them, by `doubly_robust` with a
    model of the rewards that is wrong by up to one star for each pair, and rewards with noise: minus its errors, those
    of IPS, and how often its 95 % interval holds the truth."""
    runs, events = 500 if budget.form == "full" else 60, 8000
    world = simulate(60, 20, 100, mnar=0.5, zipf=0.5, seed=seed)
    draw = np.random.default_rng(seed)
    users, items = world.propensity.shape
    chance = draw.dirichlet(np.ones(items), users)  # a target policy
    truth = float((chance * world.ratings).sum(axis=1).mean())
    model = world.ratings + draw.uniform(-1, 1, world.ratings.shape)
    inverse, robust, holds = np.empty(runs), np.empty(runs), np.empty(runs)
    for run in range(runs):
        user = draw.integers(0, users, events)
        item = (world.propensity[user].cumsum(axis=1) > draw.random((events, 1))).argmax(axis=1)
        reward = world.ratings[user, item] + 0.5 * draw.standard_normal(events)
        target, logged = chance[user, item], world.propensity[user, item]
        found = doubly_robust(reward, target, logged, model[user, item], (chance * model).sum(axis=1)[user])
        inverse[run], robust[run] = abs(ips(reward, target, logged).mean - truth), abs(found.mean - truth)
        holds[run] = found.low <= truth <= found.high
    return {"doubly robust": -robust, "IPS": -inverse, "interval holds the truth": holds}


def interleaved(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Whether 400 sessions find (p < .05) the better of two list makers, the true order of utilities with less and with
    more noise, by team draft and by an A/B test of clicks with as many sessions; and a difference between equal ones.

    A user looks on with a chance of .8 after each position and clicks by the item's utility, times an activity of his
    own (a gamma variate of mean 1 and shape 2): it is that part of an A/B test's noise that interleaving does not have.
    """
    runs, sessions, k = 40 if budget.form == "full" else 20, 400, 10
    draw = np.random.default_rng(seed)
    click = 0.4 / (1 + np.exp(-2 * draw.standard_normal(60)))
    found: dict[str, list[float]] = {"interleaving": [], "A/B test": [], "interleaving, equal lists": []}
    for _ in range(runs):
        clicks = {"better": [], "worse": [], "equal": []}  # type: ignore[var-annotated]
        arms = {name: np.empty(sessions // 2) for name in ("better", "worse")}
        for session in range(sessions):
            lists = {name: np.argsort(-(click + noise * draw.standard_normal(60)))[:k].tolist() for name, noise in
                     (("better", 0.05), ("worse", 0.15), ("equal", 0.05))}  # fmt: skip
            active = click * draw.gamma(2.0, 0.5)
            for rival in ("worse", "equal"):
                mixed = interleave(lists["better"], lists[rival], k, seed=int(draw.integers(2**31)))
                hit = _clicks(np.array([item for item, _ in mixed]), active, draw)
                team = np.array([one for _, one in mixed])
                clicks["equal" if rival == "equal" else "better"].append((hit[team == 0].sum(), hit[team == 1].sum()))
            shown = "better" if session % 2 else "worse"
            arms[shown][session // 2] = _clicks(np.array(lists[shown]), active, draw).sum()
        for name, of in (("interleaving", "better"), ("interleaving, equal lists", "equal")):
            judged = prefer(*np.array(clicks[of]).T)
            found[name].append(judged.p < 0.05 and (of == "equal" or judged.share > 0.5))
        test = ttest_ind(arms["better"], arms["worse"])
        found["A/B test"].append(test.pvalue < 0.05 and test.statistic > 0)
    return {name: np.array(one, float) for name, one in found.items()}


def _clicks(items: np.ndarray, click: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Whether each position of a list is clicked, bool (k,)."""
    looks = np.cumprod(np.append(1, draw.random(len(items) - 1) < 0.8)) > 0
    return looks & (draw.random(len(items)) < click[items])


def ties(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """NDCG@10 of later events of users who had none before (a third) and of the others, by EASE with each user's ties,
    with ties drawn anew between the users, and without any."""
    users = 600 if budget.form == "full" else 200
    data = simulate(users, 150, 40 * users, ties=8.0, homophily=0.8, seed=1000 + seed).data.clicks()
    train, test = data.split.time()
    new = np.random.default_rng(seed).random(train.n_users) < 1 / 3
    train = train.take(~new[train.user])
    had = train.user_ids.ids(np.unique(train.user)).to_numpy(zero_copy_only=False)
    arms: dict[str, np.ndarray] = {}
    for name, model in (
        ("ties", Social(models="ease(l2=100)")),
        ("shuffled ties", Social(models="ease(l2=100)", shuffle=True, seed=seed)),
        ("no ties", EASE(l2=100.0)),
    ):
        found = evaluate(model.fit(train), test, ["ndcg@10"], filter_seen=True)
        known = np.isin(found.users.to_numpy(zero_copy_only=False), had)
        arms[f"{name}, new users"] = found.values["ndcg@10"][~known]
        arms[f"{name}, others"] = found.values["ndcg@10"][known]
    return arms
