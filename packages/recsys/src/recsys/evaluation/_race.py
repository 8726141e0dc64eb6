"""The search of `best`: every family of models has a first score on a few users before any has a second one.

Then the best setting of each of the best families is measured on all cuts, and stops after a cut on which it is clearly
worse than the best one; new settings come from optuna's TPE, within the families that do best. A setting that stops for
want of time keeps its estimate: it can still win, and is finished first.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
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
from recsys.data._words import distinct
from recsys.evaluation._cuts import Cut
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.linear._rp3beta import RP3beta
from recsys.linear._sansa import SANSA
from recsys.linear._slim import SLIM
from recsys.recommender._base import Recommender
from recsys.recommender._trend import TRENDS, Trend
from recsys.sequence._markov import Markov
from recsys.sequence._two_stage import TwoStage

_SURE = 2.0  # standard errors of the gap to the leader, over the users so far, at which a trial that is behind stops
_STAGES = "+".join(f"trend(model={one},trend=0.8,damp=0.8)" for one in (
    "ease(l2=300,half_life=240)", "ials(factors=64,reg=0.006,a0=0.6,half_life=240)", "ease(l2=100,half_life=20)",
    "item-knn(weighting=bm25,k=100,k1=1.2,b=0.25,half_life=120)", "user-knn"))  # fmt: skip
_ACTIONS = 50  # values up to which a context column is taken for what a visitor did
_PART = 0.2  # of the time left, that one trial of a family that is searched may take
_OF_LINES = ("kind", "place", "added")  # of the lines of a run, what is no trial's
_DRAWS = 4  # settings of each family in a round, after which the worse half of the families is left
_PROBES, _LARGE = (40, 10), 200_000  # one of so many users shows how long a fit takes, in logs of more events than this
SURVIVORS = 5  # families whose best settings are measured on all cuts
_DENSE = 12_000  # items up to which tables of items by items are tried


@dataclass(frozen=True)
class Trial:
    """One setting: its score on each cut that it was judged on, newest first, and whether it was on all.

    `worth` is its mean; of one that stopped, the leader's mean and how far it was from the leader on the same cuts.
    `stopped`: it was clearly worse than the leader.
    """

    family: str
    params: dict[str, Any]
    scores: list[float]
    whole: bool
    seconds: float
    worth: float
    stopped: bool = False

    @property
    def mean(self) -> float:
        """Mean score over its cuts."""
        return float(np.mean(self.scores)) if self.scores else -np.inf

    def left(self, cuts: int) -> float:
        """Seconds to measure the rest of so many cuts."""
        return (cuts - len(self.scores)) * self.seconds / len(self.scores)


def families(
    data: Dataset, today: Recommender | None = None, *, visits: bool = False
) -> dict[str, tuple[Recommender, dict[str, Any], list[dict[str, Any]]]]:
    """Name -> (model, what is searched, settings that were good elsewhere) for events such as these.

    `today`: a model that joins as "today"; `visits`: whether users are judged within a visit (`Cut.given`).
    """
    dense = data.n_items <= _DENSE
    chosen: dict[str, tuple[Recommender, list[dict[str, Any]]]] = {
        "item-knn": (ItemKNN(), [{"weighting": "bm25", "k": 100, "k1": 1.2, "b": 0.25}]),
        "puresvd": (PureSVD(), []),
        "rp3beta": (RP3beta(), []),
        **({"ease": (EASE(), [{"l2": 300.0}])} if dense else {"sansa": (SANSA(), [])}),
        "ials": (IALS(factors=64), [{"reg": 0.006, "a0": 0.6, "factors": 64}]),
        **({"slim": (SLIM(), [])} if dense else {}),
    }
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
        if name == "ease":
            space |= {"l2": (2.0, 5000.0, "log"), "dropout": (0.0, 0.9)}
        plain = {key: getattr(model, key) for key in space}
        starts = [plain, *(plain | one for one in starts)]
        if data.time is not None:
            space |= {"half_life": HALF_LIVES, **TRENDS, "days": [None, 365.0, 180.0]}
            now = {"half_life": 240.0, "trend": 0.8, "damp": 0.8, "recent": 7.0, "days": None}
            still = {"half_life": None, "trend": 0.0, "damp": 0.0, "recent": 7.0, "days": None}
            starts = [start | add for add in (now, still) for start in reversed(starts)]
        found[name] = model, space, starts
    if data.time is not None:
        model = RecentPopular()
        found["recent-popular"] = model, dict(model.space), [{"days": 31.0, "half_life": None}]
        span = (int(data.time.max()) - int(data.time.min())) / DAY
        if visits:
            told = [name for name in data.context.column_names if 1 < len(distinct(data.context[name])) <= _ACTIONS]
            space = {**Markov.space, "action": [None, *told]}
            starts = [{"order": order, "smoothing": 2.0, "action": name} for order in (1, 3) for name in (None, *told)]
            found["markov"] = Markov(), space, starts
            stages = TwoStage(models=_chains(told[:1]), candidates=50, action=told[0] if told else None, steps=6000)
            found["two-stage"] = stages, {}, [{}]
        elif span > 180 and dense and find_spec("lightgbm"):
            found["two-stage"] = TwoStage(models=_STAGES, candidates=100, ranker="trees", windows=3, lead=2), {}, [{}]
    return found if today is None else {"today": (today, {}, [{}])} | found


def _chains(action: Sequence[str]) -> str:
    """First stage for visits: chains with what was done, where a column says so, and without; what goes together."""
    told = [f"markov(order={order},action={name})" for name in action for order in (3, 1)]
    return "+".join([*told, "markov(order=3)", "co-occurrence", "ease(l2=300)"])


def made(model: Recommender, params: Mapping[str, Any]) -> Recommender:
    """The model of a trial, not fitted; with a trend where one was drawn."""
    inner = {name: one for name, one in params.items() if name not in ("trend", "damp", "recent", "days") or (
        name == "days" and model.name == "recent-popular")}  # fmt: skip
    built = model.clone().set_params(**inner)
    if params.get("trend") or params.get("damp"):
        return Trend(model=built, **{name: params[name] for name in ("trend", "damp", "recent")})
    return built


@dataclass(frozen=True)
class Race:
    """What a search measured.

    Attributes:
        trials: all settings, in order.
        untried: family -> why none of its settings was measured.
    """

    trials: list[Trial]
    untried: dict[str, str]

    def estimate(self, one: Trial) -> float:
        """Mean score over all cuts: of a setting that was not measured on all, the mean of the best one that was
        measured on most, plus their distance on the cuts that they share."""
        best = max(self.trials, key=lambda other: (len(other.scores), other.mean))
        return best.mean + one.mean - float(np.mean(best.scores[: len(one.scores)])) if one.scores else -np.inf

    def ranked(self) -> list[Trial]:
        """Settings with a score, best estimate first."""
        return sorted((one for one in self.trials if one.scores), key=self.estimate, reverse=True)

    def promising(self) -> Trial | None:
        """The setting to be measured next: the best of each of the best families, until it is complete or stopped."""
        best_of = {one.family: one for one in reversed(self.ranked())}
        top = sorted(best_of.values(), key=self.estimate, reverse=True)[:SURVIVORS]
        return next((one for one in top if not (one.whole or one.stopped)), None)


def race(
    known: Mapping[str, tuple[Recommender, dict[str, Any], list[dict[str, Any]]]],
    cuts: Sequence[Cut], metric: str, until: float, run: Run, seed: int, most: int | None = None,
) -> Race:  # fmt: skip
    """Trials until a moment of `time.monotonic`, those of an earlier run of the same folder among them.

    Args:
        known: see `families`.
        cuts: newest first; the first one may be a few users of it only.
        metric, until, seed: see `best`; `until` is when the last trial should have ended.
        run: keeps each trial.
        most: trials at most; None: as time allows.
    """
    optuna: Any = require("optuna", "recsys", "best")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept = [line for line in run.metrics() if line["kind"] == "trial"]
    studies = {}
    for number, name in enumerate(name for name, (_, space, _) in known.items() if space):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `multivariate`
            sampler = optuna.samplers.TPESampler(
                seed=seed + number + len(kept), multivariate=True, n_startup_trials=_DRAWS
            )
        studies[name] = optuna.create_study(direction="maximize", sampler=sampler)
    trials: list[Trial] = []
    for line in kept:
        at = line["place"]
        trials[at : at + 1] = [Trial(**{key: one for key, one in line.items() if key not in _OF_LINES})]
    untried: dict[str, str] = {}
    starts = [[(name, start) for start in starts] for name, (_, _, starts) in known.items()]
    queue = [one for turn in itertools.zip_longest(*starts) for one in turn if one is not None]
    values: dict[int, list[np.ndarray]] = {}  # of trials, on each cut
    place = 0  # in the queue, then among the draws

    def measure(at: int, family: str, params: dict[str, Any], allowed: float) -> None:
        """Measure a new trial on the newest cut, or one that was begun on its other cuts."""
        old = trials[at] if at < len(trials) else Trial(family, params, [], False, 0.0, 0.0)
        begun = len(old.scores)
        lead = max((n for n, one in enumerate(trials) if one.whole), key=lambda n: trials[n].mean, default=None)
        if lead is not None and lead not in values:  # it is of an earlier run
            one = trials[lead]
            values[lead] = list(_values(known[one.family][0], one.family, one.params, cuts, metric))
        wanted = cuts[begun:] if begun else cuts[:1]
        leader = [] if lead is None else values[lead][begun:][: len(wanted)]
        trial, found = _judged(known[family][0], family, params, wanted, metric, leader, allowed)
        scores, stopped = old.scores + trial.scores, trial.stopped or not found
        new = Trial(family, params, scores, len(scores) == len(cuts), old.seconds + trial.seconds, 0.0, stopped)
        trials[at : at + 1] = [new]
        trials[at] = dataclasses.replace(new, worth=Race(trials, {}).estimate(new) if scores else 0.0)
        if at in values or not begun:
            values[at] = values.get(at, []) + found
        run.log(kind="trial", place=at, added=trial.seconds, **vars(trials[at]))

    with progress(max(until - time.monotonic(), 1.0), "searching") as bar:
        while time.monotonic() < until:
            start = time.monotonic()
            next_up = Race(trials, {}).promising() if place >= len(known) else None
            if next_up is not None and start + next_up.left(len(cuts)) < until:
                measure(trials.index(next_up), next_up.family, next_up.params, until - start)
                bar.advance(time.monotonic() - start)
                continue
            if most is not None and len(trials) >= most:
                break
            if place < len(queue):
                family, params = queue[place]
            else:
                drawn_from = [name for name in studies if name not in untried]
                family = _next_family(drawn_from, trials, place - len(queue))
                if family is None:
                    break
                params = _drawn(optuna, studies[family], family, known[family][1], trials)
            place += 1
            if any(one.family == family and one.params == params for one in trials):
                if place > len(queue):  # a space of few settings, all of which were tried
                    studies.pop(family)
                continue
            allowed = (until - start) * (_PART if known[family][1] and trials else 1.0)
            slow = _too_slow(known[family][0], family, params, cuts, trials, allowed)
            if slow:
                if not any(one.family == family for one in trials):
                    untried[family] = slow
                studies.pop(family, None)
                queue = queue[:place] + [one for one in queue[place:] if one[0] != family]
                if place >= len(queue) and not studies:
                    break
                continue
            measure(len(trials), family, params, np.inf)
            bar.advance(time.monotonic() - start)
    if not any(one.scores for one in trials):
        raise InputError("minutes", got="no trial was finished", expected="more time")
    for name in known:
        if name not in untried and not any(one.scores for one in trials if one.family == name):
            failed = any(one.family == name for one in trials)
            untried[name] = "it could not be fitted to these events" if failed else "the time was up"
    return Race(_finished(trials, known, cuts, metric, until, run), untried)


def _finished(
    trials: list[Trial], known: Mapping[str, Any], cuts: Sequence[Cut], metric: str, until: float, run: Run
) -> list[Trial]:
    """The trials, in which those that are estimated to be the best are measured on all cuts, as long as time allows."""
    trials = list(trials)
    while True:
        best = Race(trials, {}).ranked()[0]
        if best.whole or time.monotonic() + best.left(len(cuts) - 1) > until:
            return trials
        start, place = time.monotonic(), trials.index(best)
        more = _values(known[best.family][0], best.family, best.params, cuts[len(best.scores) :], metric)
        scores, took = best.scores + [float(one.mean()) for one in more], time.monotonic() - start
        trials[place] = Trial(best.family, best.params, scores, True, best.seconds + took, float(np.mean(scores)))
        run.log(kind="trial", place=place, added=took, **vars(trials[place]))


def _next_family(names: Sequence[str], trials: Sequence[Trial], draw: int) -> str | None:
    """The family of a draw: rounds of the same number for each, and after a round only the better half remains."""
    top = {name: max((one.worth for one in trials if one.family == name), default=-np.inf) for name in names}
    ordered = sorted(names, key=lambda name: -top[name])
    size = len(ordered)
    while size > 2 and draw >= _DRAWS * size:
        draw -= _DRAWS * size
        size = (size + 1) // 2
    return ordered[draw % min(size, len(ordered))] if ordered else None


def _drawn(optuna: Any, study: Any, family: str, space: Mapping[str, Any], trials: Sequence[Trial]) -> dict[str, Any]:
    """A setting of a family, by what its other settings scored."""
    for one in [one for one in trials if one.family == family][study.user_attrs.get("told", 0) :]:
        _remember(optuna, study, space, one)
    study.set_user_attr("told", sum(one.family == family for one in trials))
    drawn = study.ask()
    params = {key: _suggest(drawn, key, one) for key, one in space.items()}
    study.tell(drawn, state=optuna.trial.TrialState.FAIL)  # what was judged is told with the next draw
    return params


def _too_slow(
    model: Recommender, family: str, params: Mapping[str, Any], cuts: Sequence[Cut], trials: Sequence[Trial],
    allowed: float,
) -> str:  # fmt: skip
    """Why a setting is not started: what one cut takes, as others of its family or a part of the users say; or ""."""
    took = [one.seconds / len(one.scores) for one in trials if one.family == family and one.scores]
    if not took and len(cuts[0].train) > _LARGE:
        train, parts = cuts[0].train, []
        try:
            for one_of in _PROBES:  # a growing part of the users shows how the time grows
                start = time.monotonic()
                made(model, params).fit(train.take(train.user % one_of == 0))
                parts.append(time.monotonic() - start)
                if parts[-1] * one_of > allowed:
                    break
        except (NinefoldError, np.linalg.LinAlgError):
            return ""
        grows = max(np.log(parts[-1] / parts[0]) / np.log(_PROBES[0] / _PROBES[-1]), 1.0) if len(parts) > 1 else 1.0
        took = [parts[-1] * _PROBES[len(parts) - 1] ** grows]
    seconds = min(took, default=0.0)
    return (
        f"one fit takes about {seconds:.0f} s, more than the {allowed:.0f} s left for it" if seconds > allowed else ""
    )


def _values(
    model: Recommender, family: str, params: dict[str, Any], cuts: Sequence[Cut], metric: str
) -> Iterator[np.ndarray]:
    """Values of each cut's users, one cut after the other."""
    days = None if family == "recent-popular" else params.get("days")  # there it is the model's own
    for cut in cuts:
        yield cut.judge(made(model, params), metric, days)


def _judged(
    model: Recommender, family: str, params: dict[str, Any], cuts: Sequence[Cut], metric: str,
    leader: list[np.ndarray], allowed: float = np.inf,
) -> tuple[Trial, list[np.ndarray]]:  # fmt: skip
    """A trial and its values on each cut. It stops where it is surely behind the leader, or would take too long."""
    start, values, stopped = time.monotonic(), [], False
    try:
        for found in _values(model, family, params, cuts, metric):
            values.append(found)
            if leader and len(values) < len(cuts):
                gaps = np.concatenate([one - other for one, other in zip(values, leader, strict=False)])
                stopped = bool(gaps.mean() < -_SURE * gaps.std() / np.sqrt(len(gaps)))
                if stopped or (time.monotonic() - start) * len(cuts) / len(values) > allowed:
                    break
    except (NinefoldError, np.linalg.LinAlgError):  # a setting that cannot be fitted, e.g. for its memory
        if family == "today":  # it is to be compared with at the end: said now
            raise
        values = []
    scores, best = [float(one.mean()) for one in values], [float(one.mean()) for one in leader]
    whole = len(scores) == len(cuts)
    if scores and not whole:
        worth = np.mean(best) + np.mean(scores) - np.mean(best[: len(scores)])
    else:
        worth = np.mean(scores) if scores else 0.0
    return Trial(family, params, scores, whole, time.monotonic() - start, float(worth), stopped), values


def _remember(optuna: Any, study: Any, space: Mapping[str, Any], trial: Trial) -> None:
    if not trial.scores:
        return
    distributions = {key: _distribution(optuna, one) for key, one in space.items()}
    inside = all(
        distributions[key]._contains(distributions[key].to_internal_repr(trial.params[key])) for key in distributions
    )
    if not inside:  # a start outside the space that is searched
        return
    study.add_trial(optuna.trial.create_trial(params=trial.params, distributions=distributions, value=trial.worth))


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
