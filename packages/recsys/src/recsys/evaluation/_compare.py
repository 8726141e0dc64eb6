"""One honest table: the same events, the same users, intervals, paired tests, and popularity always in it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError
from ninefold.report import Table

from recsys.baselines._popular import Popular, RecentPopular
from recsys.data._dataset import Dataset, need_dataset
from recsys.evaluation._evaluate import (
    ERRORS,
    METRICS,
    Evaluation,
    check_metrics,
    check_targets,
    evaluate,
    metric_names,
)
from recsys.evaluation._next import evaluate_next
from recsys.evaluation._stats import bootstrap_interval, holm, randomisation_test
from recsys.factors._bias import Bias
from recsys.recommender._base import Recommender
from recsys.recommender._rating import RatingModel
from recsys.recommender._registry import as_model
from recsys.sequence._social import Social


@dataclass(frozen=True)
class Comparison:
    """Models on the same users.

    Attributes:
        evaluations: by model text, best first in the first metric; values are means over seeds. A user is cold in all
            if one model knows nothing of him: means are over the same users.
        metrics: names, the first one decides the order.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> found = recsys.compare([recsys.EASE(l2=50.0)], train, test, ["ndcg@10"])
        >>> found.best
        'EASE(l2=50.0)'
        >>> found.table().columns
        ['model', 'ndcg@10', '95 % interval', 'behind the best by', 'p (Holm)']
        >>> found.per_user().column_names
        ['user', 'EASE(l2=50.0) ndcg@10', 'RecentPopular() ndcg@10', 'Popular() ndcg@10']
    """

    evaluations: dict[str, Evaluation]
    metrics: tuple[str, ...]

    @property
    def best(self) -> str:
        """The best model by the first metric."""
        return next(iter(self.evaluations))

    def renamed(self, names: Mapping[str, str]) -> Comparison:
        """The same with other names of models."""
        found = {names.get(name, name): one for name, one in self.evaluations.items()}
        return dataclasses.replace(self, evaluations=found)

    def table(self) -> Table:
        """Each model with its interval, and how sure its distance from the best is (Holm over the models)."""
        first, best = self.metrics[0], self.evaluations[self.best]
        sign = -1 if first in ERRORS else 1
        others = list(self.evaluations)[1:]
        gaps = [sign * (best.of_users(first) - self.evaluations[name].of_users(first)) for name in others]
        corrected = holm([randomisation_test(gap) for gap in gaps])
        columns = ["model", first, "95 % interval", "behind the best by", "p (Holm)", *self.metrics[1:]]
        table = Table(columns, title=best.counts())
        for place, (name, one) in enumerate(self.evaluations.items()):
            low, high = one.interval(first)
            behind, p = "", None
            if place:
                gap = gaps[place - 1]
                if first == "rmse":  # a^2 - b^2 over a + b: the difference of the roots
                    gap = gap / max(one.mean(first) + best.mean(first), 1e-12)
                gap_low, gap_high = bootstrap_interval(gap)
                behind, p = f"{gap.mean():.4f} [{gap_low:.4f}, {gap_high:.4f}]", float(corrected[place - 1])
            rest = [round(one.mean(metric), 4) for metric in self.metrics[1:]]
            table.rows.append([name, round(one.mean(first), 4), f"[{low:.4f}, {high:.4f}]", behind, p, *rest])
        return table

    def per_user(self) -> pa.Table:
        """One row a user: id and, for each model, the values of each metric."""
        columns = {
            f"{name} {metric}": one.values[metric] for name, one in self.evaluations.items() for metric in self.metrics
        }
        return pa.table({"user": self.evaluations[self.best].users, **columns})


def compare(
    models: Sequence[Recommender | str],
    train: Dataset,
    test: Dataset,
    metrics: Sequence[str] | str = METRICS,
    *,
    seeds: int = 1,
    targets: str = "all",
    filter_seen: bool | None = True,
    min_value: float | None = None,
    gain: str | None = None,
    next_item: bool = False,
) -> Comparison:
    """Fit models on the same events and evaluate them on the same users; popular and recent-popular always join.

    Beside a `Social` stand its model without ties, and itself with shuffled ones.
    With metrics of errors ("rmse", "mae", "log_loss") values are predicted, the least error is best, and `Bias` joins.

    Args:
        models: not fitted ones are fitted on `train`; fitted ones are taken as they are. Texts name one each.
        train, test: as from `data.split`.
        metrics: the first one orders the table.
        seeds: a model with a `seed` is fitted with that many seeds from its own on, and a user's value is the mean.
        targets, filter_seen, min_value, gain: see `evaluate`; the same for all models. An item is warm if it has an
            event in `train`, whatever else a model knows of it.
        next_item: judge by the next item at each step, see `evaluate_next`, as each model does by itself.
    Raises:
        InputError: before anything is fitted, for what is asked wrongly or a model of contexts, whose values are of
            events; and for fitted models that know other users.
        MissingExtraError: before anything is fitted.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> found = recsys.compare([recsys.EASE(l2=50.0), recsys.ItemKNN()], train, test, ["ndcg@10"])
        >>> for name, one in found.evaluations.items():  # best first
        ...     print(f"{name:40} {one.mean('ndcg@10'):.2f}")
        ItemKNN()                                0.53
        EASE(l2=50.0)                            0.52
        RecentPopular()                          0.34
        Popular()                                0.34
    """
    need_dataset(train, "train")
    need_dataset(test, "test")
    if isinstance(models, (Recommender, str)):
        raise InputError("models", got=repr(models), expected="a list of models, e.g. [recsys.EASE()]")
    metrics, entries = metric_names(metrics), [as_model(one, "models") for one in models]
    if train.time is not None and test.time is not None and int(test.time.max()) < int(train.time.min()):
        message = "all events of test are earlier than those of train: compare(models, train, test) was meant?"
        warnings.warn(message, UserWarning, stacklevel=2)
    of_errors = check_request(metrics, targets, seeds)
    if next_item and (of_errors or min_value is not None or gain is not None):
        raise InputError("next_item", got="beside errors, min_value or gain", expected="none of these")
    if targets == "cold" and (of_errors or next_item):
        raise InputError("targets", got=repr(targets), expected="none: errors and next items take no notice of them")
    for model in entries:
        _check_entry(model, train, of_errors)
    _join_rivals(entries, train, of_errors)
    of_lists = not (of_errors or next_item)
    if targets != "all" and of_lists:  # here, once: models of features would take items without events for warm
        known = train.warm().item_ids.codes(test.item_ids.values)[test.item] >= 0
        test = test.take(known if targets == "warm" else ~known)
    options: dict[str, Any] = {} if of_errors else {"filter_seen": filter_seen}
    options |= {"min_value": min_value, "gain": gain} if of_lists else {}
    judge = evaluate_next if next_item else evaluate
    found: dict[str, Evaluation] = {}
    for model in entries:
        runs = [judge(fitted, test, metrics, **options) for fitted in _fitted(model, train, seeds)]
        values = {name: np.mean([run.values[name] for run in runs], axis=0) for name in metrics}
        name = _label(model, found)
        found[name] = dataclasses.replace(runs[0], model=name, values=values)
    first = next(iter(found.values()))
    for name, one in found.items():
        if one.users != first.users:
            raise InputError(f"model {name}", got="other test users", expected="models fitted on the same events")
    cold = np.any([one.cold for one in found.values()], axis=0)
    if cold.all():
        raise InputError(
            "test", got=f"{len(cold)} users, none known to all models", expected="users with events in train"
        )
    found = {name: dataclasses.replace(one, cold=cold) for name, one in found.items()}
    ordered = sorted(found.items(), key=lambda pair: (1 if of_errors else -1) * pair[1].mean(metrics[0]))
    return Comparison(dict(ordered), tuple(metrics))


def _join_rivals(entries: list[Recommender], train: Dataset, of_errors: bool) -> None:
    """Add what stands in every table: popularity and recent popularity, or the bias of ratings."""
    if of_errors:
        if not any(isinstance(one, Bias) for one in entries):
            entries.append(Bias())
        return
    for one in [one for one in entries if isinstance(one, Social) and not one.shuffle]:  # what its ties are worth
        known = {repr(other) for other in entries}
        controls = [*one.parts(), one.clone().set_params(shuffle=True)]
        entries += [other for other in controls if repr(other) not in known]
    if not any(type(one) is Popular for one in entries):
        entries.append(Popular())
    if train.time is not None and not any(isinstance(one, RecentPopular) for one in entries):
        entries.append(RecentPopular())


def check_request(metrics: Sequence[str], targets: str, seeds: int) -> bool:
    """InputError for an unknown metric or kind of targets, or no seed; whether the metrics are of errors."""
    of_errors = check_metrics(metrics)
    check_targets(targets)
    if seeds < 1:
        raise InputError("seeds", got=seeds, expected="at least 1")
    return of_errors


def _check_entry(model: Recommender, train: Dataset, of_errors: bool) -> None:
    fitted = hasattr(model, "item_ids_")
    if not fitted:
        model.check_extras()
    if of_errors and not isinstance(model, RatingModel):
        raise InputError(f"model {model!r}", got="a model whose scores are no values", expected="a model of ratings")
    columns = model._context_columns() if fitted else model._contexts_in(train)
    if columns and not of_errors:  # an event's predicted value is in its own context anyway
        raise InputError(
            f"model {model!r}", got=f"a model that is asked in a context {columns}",
            expected='context="none": values of events cannot be compared with those of users',
        )  # fmt: skip


def _label(model: Recommender, taken: Mapping[str, object]) -> str:
    """A model's text; of fitted ones of equal parameters, which may have learned from other events, a number too."""
    name, number = repr(model), 2
    while hasattr(model, "item_ids_") and name in taken:
        name, number = f"{model!r} ({number})", number + 1
    return name


def _fitted(model: Recommender, train: Dataset, seeds: int) -> list[Recommender]:
    if hasattr(model, "item_ids_"):
        return [model]
    params = model.get_params()
    name = next((one for one in ("seed", "model__seed") if one in params), None)
    if name is None:
        return [model.clone().fit(train)]
    return [model.clone().set_params(**{name: params[name] + offset}).fit(train) for offset in range(seeds)]
