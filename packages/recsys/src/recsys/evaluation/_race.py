"""The search of `best`: models and preparation together, by optuna's TPE; what falls behind on one cut stops there."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from ninefold.errors import InputError, NinefoldError, require
from ninefold.progress import progress
from ninefold.run import Run

from recsys.baselines._item_knn import ItemKNN
from recsys.baselines._popular import RecentPopular
from recsys.baselines._puresvd import PureSVD
from recsys.data._dataset import Dataset
from recsys.data._history import HALF_LIVES
from recsys.data._time import DAY
from recsys.evaluation._evaluate import evaluate
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.linear._rp3beta import RP3beta
from recsys.linear._sansa import SANSA
from recsys.linear._slim import SLIM
from recsys.recommender._base import Recommender
from recsys.recommender._trend import TRENDS, Trend
from recsys.sequence._two_stage import TwoStage

_BEHIND = 0.93  # of the leader's score on the same cut, below which a trial stops
_STAGES = "+".join(f"trend(model={one},trend=0.8,damp=0.8)" for one in (
    "ease(l2=300,half_life=240)", "ials(factors=64,reg=0.006,a0=0.6,half_life=240)", "ease(l2=100,half_life=20)",
    "item-knn(weighting=bm25,k=100,k1=1.2,b=0.25,half_life=120)", "user-knn"))  # fmt: skip
_DENSE = 8000  # items up to which tables of items by items are tried


@dataclass(frozen=True)
class Trial:
    """One setting: its score on each cut that it was judged on, newest first, and whether it was on all."""

    family: str
    params: dict[str, Any]
    scores: list[float]
    whole: bool
    seconds: float

    @property
    def mean(self) -> float:
        """Mean score over its cuts."""
        return float(np.mean(self.scores)) if self.scores else -np.inf


def families(
    data: Dataset, today: Recommender | None = None
) -> dict[str, tuple[Recommender, dict[str, Any], list[dict[str, Any]]]]:
    """Name -> (model, what is searched, settings that were good elsewhere) for events such as these."""
    dense = data.n_items <= _DENSE
    chosen: dict[str, tuple[Recommender, list[dict[str, Any]]]] = {
        "ials": (IALS(factors=64), [{"reg": 0.006, "a0": 0.6, "factors": 64}]),
        "item-knn": (ItemKNN(), [{"weighting": "bm25", "k": 100, "k1": 1.2, "b": 0.25}]),
        "rp3beta": (RP3beta(), []),
        "puresvd": (PureSVD(), []),
    }
    chosen |= {"ease": (EASE(), [{"l2": 300.0}]), "slim": (SLIM(), [])} if dense else {"sansa": (SANSA(), [])}
    found: dict[str, tuple[Recommender, dict[str, Any], list[dict[str, Any]]]] = {}
    repeated = len(np.unique(data.user.astype(np.int64) * data.n_items + data.item)) < len(data)
    for name, (model, starts) in chosen.items():
        space = {key: one for key, one in getattr(model, "space", {}).items() if key != "half_life"}
        if name == "item-knn":
            space["weighting"] = ["cosine", "tfidf", "bm25"]
        if "weight" in model.get_params() and name != "item-knn":
            space["transform"] = [None, "log", "bm25"] if repeated else [None, "bm25"]
            if repeated:
                space["weight"] = ["click", "count"]
        plain = {key: getattr(model, key) for key in space}
        starts = [plain, *(plain | one for one in starts)]
        if data.time is not None:
            space |= {"half_life": HALF_LIVES, **TRENDS, "days": [None, 365.0, 180.0]}
            now = {"half_life": 240.0, "trend": 0.8, "damp": 0.8, "recent": 7.0, "days": None}
            still = {"half_life": None, "trend": 0.0, "damp": 0.0, "recent": 7.0, "days": None}
            starts = [start | add for start in starts for add in (still, now)]
        found[name] = model, space, starts
    if data.time is not None:
        model = RecentPopular()
        found["recent-popular"] = model, dict(model.space), [{"days": 31.0, "half_life": None}]
        span = (int(data.time.max()) - int(data.time.min())) / DAY
        if span > 180 and dense and find_spec("lightgbm"):
            found["two-stage"] = TwoStage(models=_STAGES, candidates=100, ranker="trees", windows=3, lead=2), {}, [{}]
    return found if today is None else {"today": (today, {}, [{}])} | found


def made(model: Recommender, params: Mapping[str, Any]) -> Recommender:
    """The model of a trial, not fitted; with a trend where one was drawn."""
    inner = {name: one for name, one in params.items() if name not in ("trend", "damp", "recent", "days") or (
        name == "days" and model.name == "recent-popular")}  # fmt: skip
    built = model.clone().set_params(**inner)
    if params.get("trend") or params.get("damp"):
        return Trend(model=built, **{name: params[name] for name in ("trend", "damp", "recent")})
    return built


def prepared(data: Dataset, days: float | None) -> Dataset:
    """The events that a trial learns from: all, or those of its last days."""
    if days is None or data.time is None:
        return data
    return data.take(data.time >= int(data.time.max()) - int(days * DAY))


def race(
    known: Mapping[str, tuple[Recommender, dict[str, Any], list[dict[str, Any]]]],
    cuts: Sequence[tuple[Dataset, Dataset]], metric: str, until: float, run: Run, seed: int, most: int | None = None,
) -> list[Trial]:  # fmt: skip
    """Trials until a moment of `time.monotonic`, those of an earlier run of the same folder among them.

    Args:
        known: see `families`.
        cuts: (train, test), newest first.
        metric: to maximise.
        until: when the last trial must have begun.
        run: keeps each trial.
        seed: of the search.
        most: trials at most; None: as time allows.
    """
    optuna: Any = require("optuna", "recsys", "best")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    drawn_from = [name for name, (_, space, _) in known.items() if space]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `group`
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=2 * len(known))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    kept = [line for line in run.metrics() if line["kind"] == "trial"]
    trials = [Trial(**{key: one for key, one in line.items() if key != "kind"}) for line in kept]
    for one in trials:
        _remember(optuna, study, known, one)
    starts = [[(name, start) for start in starts] for name, (_, _, starts) in known.items()]
    queue = [one for turn in itertools.zip_longest(*starts) for one in turn if one is not None]
    leader: list[float] = []
    for one in trials:
        leader = one.scores if one.whole and (not leader or one.mean > np.mean(leader)) else leader
    with progress(max(until - time.monotonic(), 1.0), "searching") as bar:
        while time.monotonic() < until and (most is None or len(trials) < most):
            start = time.monotonic()
            slowest = {name: max((one.seconds for one in trials if one.family == name), default=0.0) for name in known}
            place = len(trials)
            drawn = study.ask()
            if place < len(queue):
                family, params = queue[place]
            else:
                family = drawn.suggest_categorical("family", drawn_from)
                params = {key: _suggest(drawn, f"{family}.{key}", one) for key, one in known[family][1].items()}
            if slowest[family] > until - time.monotonic() and trials:
                study.tell(drawn, state=optuna.trial.TrialState.FAIL)
                if all(one > until - time.monotonic() for one in slowest.values()):
                    break
                queue = queue[:place] + [one for one in queue[place:] if one[0] != family]
                continue
            trial = _judged(known[family][0], family, params, cuts, metric, leader)
            study.tell(drawn, state=optuna.trial.TrialState.FAIL)  # what was judged is added whole, below
            _remember(optuna, study, known, trial)
            trials.append(trial)
            run.log(kind="trial", **vars(trial))
            if trial.whole and (not leader or trial.mean > np.mean(leader)):
                leader = trial.scores
            bar.advance(time.monotonic() - start)
    if not any(one.whole for one in trials):
        raise InputError("minutes", got="no trial was finished", expected="more time")
    return trials


def _judged(
    model: Recommender, family: str, params: dict[str, Any], cuts: Sequence[tuple[Dataset, Dataset]], metric: str,
    leader: list[float],
) -> Trial:  # fmt: skip
    start, scores = time.monotonic(), []
    days = None if family == "recent-popular" else params.get("days")  # there it is the model's own
    try:
        for place, (train, test) in enumerate(cuts):
            fitted = made(model, params).fit(prepared(train, days))
            scores.append(evaluate(fitted, test, [metric], targets="warm", filter_seen=True).mean(metric))
            if leader and place + 1 < len(cuts) and scores[-1] < _BEHIND * leader[place]:
                break
    except (NinefoldError, np.linalg.LinAlgError):  # a setting that cannot be fitted, e.g. for its memory
        if family == "today":  # it is to be compared with at the end: said now
            raise
        scores = []
    return Trial(family, params, scores, len(scores) == len(cuts), time.monotonic() - start)


def _remember(optuna: Any, study: Any, known: Mapping[str, Any], trial: Trial) -> None:
    if trial.family not in known or not trial.scores or not known[trial.family][1]:
        return
    space = {"family": [name for name, (_, space, _) in known.items() if space]} | {
        f"{trial.family}.{key}": one for key, one in known[trial.family][1].items()
    }
    values = {"family": trial.family} | {f"{trial.family}.{key}": one for key, one in trial.params.items()}
    distributions = {key: _distribution(optuna, one) for key, one in space.items()}
    inside = all(distributions[key]._contains(distributions[key].to_internal_repr(one)) for key, one in values.items())
    if not inside:  # a start outside the space that is searched
        return
    value = trial.mean * (1.0 if trial.whole else _BEHIND)
    study.add_trial(optuna.trial.create_trial(params=values, distributions=distributions, value=value))


def _distribution(optuna: Any, one: Any) -> Any:
    if isinstance(one, list):
        return optuna.distributions.CategoricalDistribution(one)
    whole = isinstance(one[0], int) and isinstance(one[1], int)
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(one[0], one[1], log=len(one) > 2)


def _suggest(trial: Any, name: str, one: Any) -> Any:
    if isinstance(one, list):
        return trial.suggest_categorical(name, one)
    if isinstance(one[0], int) and isinstance(one[1], int):
        return trial.suggest_int(name, one[0], one[1], log=len(one) > 2)
    return float(f"{trial.suggest_float(name, one[0], one[1], log=len(one) > 2):.4g}")
