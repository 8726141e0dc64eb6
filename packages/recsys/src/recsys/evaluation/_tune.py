"""Search of parameters with the same budget for every model, judged on validation events alone; resumable."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.run import Run
from scipy.stats import qmc

from recsys.data._dataset import Dataset, need_dataset
from recsys.evaluation._evaluate import ERRORS, check_metrics, check_targets, evaluate
from recsys.evaluation._next import evaluate_next
from recsys.neural._checkpoint import fit_key
from recsys.recommender._base import Recommender
from recsys.recommender._query import check_length
from recsys.recommender._registry import as_model
from recsys.recommender._trend import TRENDS


@dataclass(frozen=True)
class Tuned:
    """Outcome of a search.

    Attributes:
        best: the model's parameters with the highest score; not fitted. Fit it on train and validation together.
        score: its score on the validation events, in the metric's own sign: of an error, the least.
        trials: (parameters tried, score) in order.
        metric: what was maximised, or minimised if it is an error.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> found = recsys.tune(recsys.ItemKNN(), train, trials=3, space={"k": [5, 20, 50]})
        >>> found.metric, sorted(params["k"] for params, score in found.trials)
        ('ndcg@10', [20, 50, 100])
        >>> found.table().columns[-1]
        'ndcg@10'
    """

    best: Recommender
    score: float
    trials: list[tuple[dict[str, Any], float]]
    metric: str

    def table(self) -> Table:
        """All trials, best first."""
        rows = sorted(self.trials, key=lambda one: one[1] if self.metric in ERRORS else -one[1])
        names = list(rows[0][0])
        return Table(
            [*names, self.metric], [[*params.values(), score] for params, score in rows], title=repr(self.best)
        )


def tune(
    model: Recommender | str,
    data: Dataset,
    *,
    metric: str = "ndcg@10",
    trials: int = 12,
    space: Mapping[str, Any] | None = None,
    seed: int = 0,
    targets: str = "warm",
    validation: tuple[Dataset, Dataset] | None = None,
    next_item: bool = False,
    run: str | Path | None = None,
) -> Tuned:
    """Try the model's own parameters and `trials` - 1 others, spread evenly over its space by a Sobol sequence.

    Args:
        model: the start, or its name; its class says which parameters to search (`space`).
        data: training events only. The latest fifth is held out to judge by (each user's last event without times).
        metric: to maximise, e.g. "ndcg@10"; or to minimise, if it is an error ("rmse", "mae", "log_loss").
        trials: fits, the start included: give every rival the same number.
        space: parameter -> (low, high), (low, high, "log"), or a list of choices; the class's own if None.
        seed: of the sequence.
        targets: see `evaluate`.
        validation: (train, validation) to use instead of the split above.
        next_item: judge by the next item at each step, see `evaluate_next`.
        run: folder that keeps each trial's score: rerun the same call to resume after an interruption.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> found = recsys.tune(recsys.EASE(), train, metric="ndcg@10", trials=4)
        >>> len(found.trials), found.metric, round(found.score, 1)
        (4, 'ndcg@10', 0.5)
        >>> model = found.best.fit(train)
    """
    need_dataset(data, "data")
    model, trials = as_model(model), check_length(trials, "trials")
    chosen = dict(space if space is not None else space_of(model, data))
    if not chosen:
        raise InputError(f"{type(model).__name__}", got="nothing to search", expected="a space of parameters")
    unknown = set(chosen) - set(model.get_params())
    if unknown:
        raise InputError(
            "space", got=f"unknown parameters {sorted(unknown)}", expected=f"of {sorted(model.get_params())}"
        )
    for name, one in chosen.items():
        _check_range(name, one)
    of_errors = check_metrics([metric])
    check_targets(targets)
    if next_item and (of_errors or targets != "warm"):
        raise InputError("next_item", got=(metric, targets), expected="a metric of lists, and no choice of targets")
    model.check_extras()
    judged_on = None if validation is None else [fit_key("", one) for one in validation]
    if validation is None:
        validation = data.split.time() if data.time is not None else data.split.leave_last_out()
    train, held = validation
    candidates = [{name: model.get_params()[name] for name in chosen}, *points(chosen, trials - 1, seed)]

    def score(fitted: Recommender) -> float:
        if next_item:
            return evaluate_next(fitted, held, [metric]).mean(metric)
        return evaluate(fitted, held, [metric], targets=targets).mean(metric)

    config = {"model": repr(model), "space": chosen, "metric": metric, "trials": trials, "seed": seed,
              "targets": targets, "data": fit_key("", data), "validation": judged_on}  # fmt: skip
    config |= {"next_item": True} if next_item else {}
    with contextlib.nullcontext() if run is None else Run(run, config) as kept:
        scores = _scores(model, candidates, train, score, kept)
    best = int(np.argmin(scores) if of_errors else np.argmax(scores))
    return Tuned(
        model.clone().set_params(**candidates[best]), scores[best], list(zip(candidates, scores, strict=True)), metric
    )


def _scores(
    model: Recommender,
    candidates: Sequence[dict],
    train: Dataset,
    score: Callable[[Recommender], float],
    run: Run | None,
) -> list[float]:
    scores = [line["score"] for line in run.metrics()] if run is not None else []
    with progress(len(candidates), f"tuning {model.name}") as bar:
        bar.advance(len(scores))
        for params in candidates[len(scores) :]:
            scores.append(score(model.clone().set_params(**params).fit(train)))
            if run is not None:
                run.log(params=json.loads(json.dumps(params)), score=scores[-1])
            bar.advance()
    return scores


def space_of(model: Recommender, data: Dataset) -> dict[str, Any]:
    """What the model's class would search, less half-life and trend of events where there are no times."""
    space = getattr(model, "space", {})
    of_times = ("half_life", *TRENDS)
    return {name: one for name, one in space.items() if data.time is not None or name.split("__")[-1] not in of_times}


def points(space: Mapping[str, Any], n: int, seed: int) -> list[dict[str, Any]]:
    """`n` points of a scrambled Sobol sequence in a space; whole numbers where the ends are whole."""
    if n == 0:
        return []
    unit = qmc.Sobol(len(space), rng=np.random.default_rng(seed)).random_base2(int(np.ceil(np.log2(n))))[:n]
    return [{name: _at(one, share) for (name, one), share in zip(space.items(), row, strict=True)} for row in unit]


def _check_range(name: str, one: Any) -> None:
    """InputError for anything but a list of choices, or (low, high) and, optionally, "log"."""
    expected = 'a list of choices, (low, high) or (low, high, "log"), there both ends above 0'
    if isinstance(one, list):
        good = len(one) > 0
    else:
        good = isinstance(one, tuple) and (len(one) == 2 or (len(one) == 3 and one[2] == "log"))
        good = good and all(isinstance(end, (int, float)) and np.isfinite(end) for end in one[:2])
        good = good and (len(one) == 2 or min(one[:2]) > 0)
    if not good:
        raise InputError(f"space of {name!r}", got=repr(one), expected=expected)


def _at(one: Any, share: float) -> Any:
    if isinstance(one, list):
        return one[min(int(share * len(one)), len(one) - 1)]
    low, high = one[0], one[1]
    value = low * (high / low) ** share if len(one) > 2 else low + (high - low) * share
    return round(value) if isinstance(low, int) and isinstance(high, int) else float(f"{value:.4g}")
