"""Offline evaluation that survives launch: the full catalogue is ranked, seen items are removed, nothing is sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.report import Table

from recsys.data._dataset import Dataset, need_dataset
from recsys.data._frame import need
from recsys.data._history import History
from recsys.data._metrics import Ranks, cut_off, ranking_metric, row_auc, value_metric
from recsys.data._order import tie_keys
from recsys.evaluation._ranks import rank_targets
from recsys.evaluation._stats import bootstrap_interval, by_group
from recsys.recommender._base import Recommender
from recsys.recommender._query import FALLBACK, Query
from recsys.recommender._trend import Trend
from recsys.recommender._weighted import Weighted

ERRORS = ("rmse", "mae", "log_loss")  # of each event's predicted value: the less the better
VALUE_METRICS = (*ERRORS, "row_auc")
GAINS = (None, "value", "count")
TARGETS = ("all", "warm", "cold")
METRICS = ("ndcg@10", "recall@10", "hr@10", "mrr")
_CELLS = 1 << 23  # scores held at a time


@dataclass(frozen=True)
class Evaluation:
    """Values of each test user, and what was counted on the way.

    Attributes:
        model: the model as text.
        users: ids of the users with a target, (n,).
        values: metric -> value of each user, float64 (n,).
        cold: users that the model knows nothing of, bool (n,): they get popular items and are reported apart.
        targets: distinct (user, item) pairs to be found.
        cold_targets: those whose item the model does not know. They are kept, as misses.
        seen_targets: pairs of the test set left out because the user had the item before.
        unit: what `values` are of: "users", "events" for a model of contexts and for errors of predicted values (whose
            squares are kept for "rmse"), or "steps" of `evaluate_next`.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> found = recsys.evaluate(recsys.ItemKNN().fit(train), test, ["recall@10"])
        >>> found.counts()
        '52 users, 0 cold; 85 targets, 0 of cold items; 184 seen pairs left out'
        >>> found.table().columns
        ['metric', 'mean', '95 % interval', 'cold users']
        >>> len(found.users), found.values["recall@10"].shape
        (52, (52,))
    """

    model: str
    users: pa.Array
    values: dict[str, np.ndarray]
    cold: np.ndarray
    targets: int
    cold_targets: int
    seen_targets: int
    unit: str = "users"

    def known(self, metric: str) -> np.ndarray:
        """Values of the users that the model knows, float64."""
        return self.values[metric][~self.cold]

    def of_users(self, metric: str) -> np.ndarray:
        """One value for each known user, float64, with the mean of `known`: what intervals and tests resample.

        Where values are of events or steps, those of one user hang together; see `recsys.evaluation._stats.by_group`.
        """
        return self.known(metric) if self.unit == "users" else by_group(self.known(metric), self._codes()[~self.cold])

    def _codes(self) -> np.ndarray:
        """A number for the user of each value."""
        return self.users.dictionary_encode().indices.to_numpy()

    def mean(self, metric: str) -> float:
        """Mean over the users that the model knows; its root for "rmse"."""
        return in_unit(metric, float(self.known(metric).mean()))

    def interval(self, metric: str) -> tuple[float, float]:
        """95 % bootstrap interval of the mean, over users."""
        low, high = bootstrap_interval(self.of_users(metric))
        return in_unit(metric, low), in_unit(metric, high)

    def table(self) -> Table:
        """Each metric with its 95 % bootstrap interval over users (not events), and its mean over cold users."""
        table = Table(["metric", "mean", "95 % interval", "cold users"], title=f"{self.model}: {self.counts()}")
        for metric, values in self.values.items():
            low, high = self.interval(metric)
            cold = float(values[self.cold].mean()) if self.cold.any() and metric not in ERRORS else None
            table.rows.append([metric, self.mean(metric), f"[{low:.4f}, {high:.4f}]", cold])
        return table

    def counts(self) -> str:
        """How many users and targets, in words."""
        return (
            f"{int((~self.cold).sum()):,} {self.unit}, {int(self.cold.sum()):,} cold; {self.targets:,} targets, "
            f"{self.cold_targets:,} of cold items; {self.seen_targets:,} seen pairs left out"
        )

    def by_group(self, groups: Mapping[Any, str], metric: str) -> Table:
        """One metric for each group of users, with intervals: whom the model serves.

        Args:
            groups: user id -> group; users without one are "unknown".
            metric: of those evaluated.
        """
        name = np.array([groups.get(user, "unknown") for user in self.users.to_pylist()])
        table = Table(["group", "users", metric, "95 % interval", "gap to all"], title=self.model)
        for group in sorted(set(name[~self.cold])):
            inside = (name == group) & ~self.cold
            values = by_group(self.values[metric][inside], self._codes()[inside])
            low, high = (in_unit(metric, one) for one in bootstrap_interval(values))
            mean = in_unit(metric, float(values.mean()))
            interval = f"[{low:.4f}, {high:.4f}]"
            table.rows.append([str(group), len(values), mean, interval, mean - self.mean(metric)])
        return table

    def per_user(self) -> pa.Table:
        """One row a user: id, cold, each metric."""
        return pa.table({"user": self.users, "cold": self.cold, **self.values})


def evaluate(
    model: Recommender,
    test: Dataset,
    metrics: Sequence[str] | str = METRICS,
    *,
    filter_seen: bool | None = None,
    candidates: Any = None,
    targets: str = "all",
    min_value: float | None = None,
    gain: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Rank the whole catalogue for each test user and score where the user's test items stand.

    With metrics of errors ("rmse", "mae", "log_loss") predicted values are compared with those of the events instead.

    A model of contexts is asked once for each test event, in that event's context; values are then those of events, and
    `users` names the user of each.

    Args:
        model: fitted; its users' histories are what it was fitted (or folded in) on.
        test: later events; their ids are looked up in the model, so unknown items are cold targets.
        metrics: names as in `recsys.data._metrics`, e.g. "ndcg@10", "recall_min@20", "auc".
        filter_seen: leave out pairs that the user had, as candidates and as targets; the model's own default if None.
        candidates: ids of the only items to rank, e.g. the new ones; targets outside are left out.
        targets: "all", or only "warm" or "cold" ones.
        min_value: a target is an event of at least this value, e.g. a rating of 4; None: of one above 0, if any.
        gain: gain of a target in NDCG: its "value" (or their sum), the "count" of its events, or 1 (None).
        seed: of the order of ties; lists have that of 0.
    Raises:
        InputError: if no target is left, or the model knows none of the users.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> model = recsys.ItemKNN().fit(train)
        >>> found = recsys.evaluate(model, test, ["ndcg@10", "recall@10"])
        >>> {name: round(found.mean(name), 2) for name in found.values}
        {'ndcg@10': 0.53, 'recall@10': 0.78}
        >>> [round(one, 2) for one in found.interval("ndcg@10")]  # 95 %, over users
        [0.44, 0.62]
    """
    metrics = metric_names(metrics)
    check_judged(model, test)
    if set(metrics) <= set(ERRORS):
        return _errors(model, test, metrics)
    functions = {name: ranking_metric(name) for name in metrics}
    check_gain(gain, metrics, test)
    filter_seen = not model.counts_repeats if filter_seen is None else filter_seen
    wanted = _targets(model, test, filter_seen, candidates, targets, min_value, gain)
    allowed = model._allowed(candidates, None)
    size = len(wanted.users)
    values = {name: np.empty(size) for name in functions}
    cold = np.empty(size, bool)
    codes, keys = model.user_ids_.codes(wanted.users), tie_keys(wanted.users)
    block = max(1, min(4096, _CELLS // len(model.item_ids_)))
    depth = cut_off(metrics) if seed == 0 else None  # lists have the order of ties of seed 0
    with progress(size, f"ranking with {model.name}") as bar:
        for start in range(0, size, block):
            rows = slice(start, min(start + block, size))
            events = slice(*np.searchsorted(wanted.row, [rows.start, rows.stop]))
            context = None if wanted.context is None else wanted.context.slice(start, rows.stop - start)
            query = Query(codes[rows], model.history_.take(codes[rows]), context, allowed, users=keys[rows])
            ranks, cold[rows] = block_ranks(
                model, query, wanted.row[events] - start, wanted.item[events], filter_seen, allowed, seed,
                None if wanted.gain is None else wanted.gain[events], depth,
            )  # fmt: skip
            for name, function in functions.items():
                values[name][rows] = function(ranks)
            bar.advance(len(query))
    if cold.all():
        raise InputError("test", got=f"{size} users, all unknown to the model", expected="users with events in train")
    unit, of_cold = "users" if wanted.context is None else "events", int((wanted.item < 0).sum())
    return Evaluation(repr(model), wanted.users, values, cold, len(wanted.item), of_cold, wanted.seen, unit)


def block_ranks(
    model: Recommender,
    query: Query,
    row: np.ndarray,
    item: np.ndarray,
    filter_seen: bool,
    allowed: np.ndarray | None,
    seed: int,
    gain: np.ndarray | None = None,
    depth: int | None = None,
) -> tuple[Ranks, np.ndarray]:
    """(ranks of a block's targets, rows that fell back).

    With `depth` the ranks are read from the lists that `recommend` returns: targets below that rank get rank 0.
    """
    rank, warm = np.zeros(len(item), np.int64), item >= 0
    if depth is not None:
        lists, origin = model._lists(query, depth, filter_seen, allowed)
        listed = lists.row * len(model.item_ids_) + lists.item
        order = np.argsort(listed)
        rank[warm] = _looked_up(listed[order], lists.rank[order], (row * len(model.item_ids_) + item)[warm])
        return Ranks(row, rank, np.zeros(len(query), np.int64), gain), origin == FALLBACK
    origin = model._origins(query)
    scores = model._answers(query, origin)
    if filter_seen:
        scores[query.history.rows(), query.history.item] = -np.inf
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    users = np.arange(len(query)) if query.users is None else query.users
    rank[warm], candidates = rank_targets(scores, row[warm], item[warm], users, seed)
    return Ranks(row, rank, candidates, gain), origin == FALLBACK


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key among sorted keys; 0 where it is absent."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


@dataclass(frozen=True)
class _Targets:
    users: pa.Array
    row: np.ndarray  # position in `users`, sorted
    item: np.ndarray  # code in the model, -1: cold
    seen: int
    context: pa.Table | None = None  # of each row, for models that are asked once an event
    gain: np.ndarray | None = None


def _targets(
    model: Recommender, test: Dataset, filter_seen: bool, candidates: Any, which: str, min_value: float | None,
    gain: str | None,
) -> _Targets:  # fmt: skip
    check_targets(which)
    if min_value is not None:
        if test.value is None:
            raise InputError("min_value", got="a test set without values", expected="a value column")
        test = test.take(np.asarray(test.value) >= min_value)
    elif test.value is not None:
        test = test.take(np.asarray(test.value) > 0)  # what was given back, or a label of 0, is no target
    columns = model._context_columns()
    if columns:
        need(test.context.column_names, columns, where="the context of the test events")
        own_user, own_item, pair = test.user, test.item, np.arange(len(test))
    else:
        pairs, pair = np.unique(test.user.astype(np.int64) * test.n_items + test.item, return_inverse=True)
        own_user, own_item = np.divmod(pairs, test.n_items)
    item = model.item_ids_.codes(test.item_ids.values)[own_item]
    user = model.user_ids_.codes(test.user_ids.values)[own_user]
    keep = np.ones(len(item), bool)
    if candidates is not None:
        among = np.isin(own_item, test.item_ids.codes(candidates))
        keep &= among
    seen = 0
    if filter_seen:
        had = _contains(model.history_, user, item)
        seen = int((had & keep).sum())
        keep &= ~had
    if which != "all":
        keep &= (item < 0) if which == "cold" else (item >= 0)
    if not keep.any():
        raise InputError("test", got="no target left", expected="an event with an item that is new to its user")
    if columns:
        context = test.context.select(columns).filter(pa.array(keep)).combine_chunks()
        users, row = own_user[keep], np.arange(int(keep.sum()))
    else:
        users, row = np.unique(own_user[keep], return_inverse=True)
        context = None
    worth = None if gain is None else np.bincount(pair, test.value if gain == "value" else None, len(keep))[keep]
    return _Targets(test.user_ids.ids(users), row, item[keep], seen, context, worth)


def _errors(model: Recommender, test: Dataset, metrics: Sequence[str]) -> Evaluation:
    """The error of each test event's predicted value; cold: events whose item the model cannot score."""
    if test.value is None:
        raise InputError("test", got="events without values", expected="a value column")
    if metrics and isinstance(model, (Trend, Weighted)):
        raise InputError("model", got=f"{model!r}, whose scores are no values", expected="a model of ratings")
    score = model.predict(test.to_table()).column("score")
    known = score.is_valid().to_numpy()
    if not known.any():
        raise InputError("test", got="only items unknown to the model", expected="known items")
    values = {}
    for name in metrics:
        values[name] = np.zeros(len(test))
        values[name][known] = value_metric(name, test.value[known], score.to_numpy()[known])
    users = test.user_ids.ids(test.user)
    return Evaluation(repr(model), users, values, ~known, len(test), int((~known).sum()), 0, "events")


def metric_names(metrics: Sequence[str] | str) -> list[str]:
    """Names of metrics, of which there may be a single one; InputError for none."""
    if not len(metrics):
        raise InputError("metrics", got="none", expected="at least one name, e.g. ndcg@10")
    return [metrics] if isinstance(metrics, str) else list(metrics)


def check_judged(model: Any, test: Any) -> None:
    """InputError unless it is a fitted model, and a data set to judge it by."""
    if not isinstance(model, Recommender):
        got = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise InputError("model", got=got, expected="a fitted model, e.g. recsys.EASE().fit(train)")
    model._need_fit()
    need_dataset(test, "test")


def in_unit(metric: str, mean: float) -> float:
    """A mean in the metric's own unit: of squared errors, their root."""
    return float(np.sqrt(max(mean, 0.0))) if metric == "rmse" else mean


def check_metrics(metrics: Sequence[str]) -> bool:
    """Whether metrics are of errors, which are to be small; InputError for an unknown one, or both kinds together."""
    of_errors = set(metrics) <= set(ERRORS)
    for name in () if of_errors else metrics:
        if name in VALUE_METRICS:
            expected = (
                "metrics of lists, or of errors alone" if name in ERRORS else "evaluate_values(): it has no users"
            )
            raise InputError("metric", got=repr(name), expected=expected)
        ranking_metric(name)
    return of_errors


def check_gain(gain: str | None, metrics: Sequence[str], test: Dataset) -> None:
    """InputError for a gain that is none, that no metric counts, or without values."""
    if gain not in GAINS:
        raise InputError("gain", got=repr(gain), expected=f"one of {GAINS}")
    if gain is not None and not any(name.startswith("ndcg") for name in metrics):
        raise InputError("gain", got=repr(gain), expected="none: only NDCG counts what a target is worth")
    if gain == "value" and test.value is None:
        raise InputError("gain", got="a test set without values", expected="a value column")


def check_targets(which: str) -> None:
    """InputError for a name that `evaluate` does not know."""
    if which not in TARGETS:
        raise InputError("targets", got=repr(which), expected='"all", "warm" or "cold"')


def _contains(history: History, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Whether the user of each pair had its item, bool (n,); False for codes of -1."""
    asked, row = np.unique(np.maximum(user, 0), return_inverse=True)
    theirs = history.take(asked)
    stored = theirs.rows() * history.n_items + theirs.item
    return np.isin(row * history.n_items + item, stored) & (user >= 0) & (item >= 0)


def evaluate_values(
    model: Recommender, test: Dataset, metrics: Sequence[str] | str = ("rmse", "mae")
) -> dict[str, float]:
    """Compare predicted with true values of the test's events, e.g. of ratings.

    Args:
        model: fitted.
        test: events with values.
        metrics: of "rmse", "mae", "log_loss" (labels 0, 1) and "row_auc" (over all rows, of all users).
    Returns: metric -> value; and "unscored", the share of events with an item unknown to the model, which are left out.

    Examples:
        >>> import recsys

        >>> stars = {
        ...     "user": ["ann", "ann", "ann", "bob", "bob", "bob", "cy", "cy", "dee", "dee"],
        ...     "item": ["Alien", "Dune", "Emma", "Alien", "Dune", "Emma", "Dune", "Solaris", "Emma", "Dune"],
        ...     "stars": [5.0, 5.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0],
        ... }
        >>> data = recsys.Dataset.from_frame(stars, user="user", item="item", value="stars")

        >>> model = recsys.Bias().fit(data)
        >>> test = recsys.Dataset.from_frame(
        ...     {"user": ["cy", "dee"], "item": ["Alien", "Alien"], "stars": [5.0, 1.0]},
        ...     user="user", item="item", value="stars",
        ... )
        >>> {name: round(value, 2) for name, value in recsys.evaluate_values(model, test).items()}
        {'rmse': 1.94, 'mae': 1.89, 'unscored': 0.0}
    """
    metrics = metric_names(metrics)
    check_judged(model, test)
    for name in metrics:
        if name not in VALUE_METRICS:
            raise InputError("metric", got=repr(name), expected=f"one of {', '.join(VALUE_METRICS)}")
    errors = _errors(model, test, [name for name in metrics if name != "row_auc"])
    result = {name: errors.mean(name) for name in errors.values}
    if "row_auc" in metrics:
        score, known = model.predict(test.to_table()).column("score").to_numpy(), ~errors.cold
        assert test.value is not None  # else _errors had refused
        result["row_auc"] = row_auc(test.value[known], score[known].astype(np.float64))
    return {name: result[name] for name in metrics} | {"unscored": float(errors.cold.mean())}
