"""What comes next, asked at every step of every test session: the protocol of session-based recommendation."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError
from ninefold.progress import progress

from recsys.data._dataset import Dataset
from recsys.data._frame import as_in_fit
from recsys.data._history import History
from recsys.data._metrics import cut_off, ranking_metric
from recsys.data._order import tie_keys
from recsys.evaluation._evaluate import Evaluation, block_ranks, check_judged, metric_names
from recsys.recommender._base import Recommender
from recsys.recommender._query import Query

NEXT_METRICS = ("mrr@10", "hr@10")
_CELLS, _EVENTS = 1 << 23, 1 << 20  # scores and events of histories held at a time


def evaluate_next(
    model: Recommender,
    test: Dataset,
    metrics: Sequence[str] | str = NEXT_METRICS,
    *,
    filter_seen: bool | None = None,
    seed: int = 0,
) -> Evaluation:
    """For each event of a test user but the first, rank the whole catalogue given all that came before it.

    A user whom the model was fitted on also brings the events of the fit, and then the first event counts, too. Models
    with vectors of users compute them from the events so far, so that every model is asked the same.

    Args:
        model: fitted.
        test: later events with the context columns of the fit.
        metrics: names as in `recsys.data._metrics`; one item is relevant at each step.
        filter_seen: never list what the user had; the model's own default if None. Steps to such an item are then
            left out and counted.
        seed: of the order of ties.
    Returns: values of each step; `users` names the user of each, and `cold` the steps before which the user had only
        items that the model does not know. Means are over steps, intervals over users.
    Raises:
        InputError: if there is no step to ask.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, transitions=0.9, seed=0).data.clicks().split.time()

        >>> model = recsys.Markov().fit(train)
        >>> steps = recsys.evaluate_next(model, test, ["mrr@10", "hr@1"])
        >>> steps.unit, round(steps.mean("hr@1"), 2)
        ('steps', 0.91)
    """
    check_judged(model, test)
    functions = {name: ranking_metric(name) for name in metric_names(metrics)}
    filter_seen = not model.counts_repeats if filter_seen is None else filter_seen
    history, users, own, starts, stops = _steps(model, test)
    item = history.item[stops]
    seen = np.zeros(len(stops), bool)
    if filter_seen:
        seen = _had(history, starts, stops)
        own, starts, stops, item = own[~seen], starts[~seen], stops[~seen], item[~seen]
    if len(stops) == 0:
        raise InputError("test", got="no step left", expected="a user with two events or more")
    values = {name: np.empty(len(stops)) for name in functions}
    cold = np.empty(len(stops), bool)
    codes, keys = model.user_ids_.codes(users)[own], tie_keys(users)
    depth = cut_off(list(functions)) if seed == 0 else None  # lists have the order of ties of seed 0
    with progress(len(stops), f"next items with {model.name}") as bar:
        for part in _blocks(stops - starts, len(model.item_ids_)):
            before = history.ranges(starts[part], stops[part])
            folded, query = as_folded(model, Query(codes[part], before.keep(before.item >= 0), users=keys[own[part]]))
            row = np.arange(len(query))
            ranks, cold[part] = block_ranks(folded, query, row, item[part], filter_seen, None, seed, depth=depth)
            for name, function in functions.items():
                values[name][part] = function(ranks)
            bar.advance(len(query))
    if cold.all():
        raise InputError("test", got=f"{len(cold)} steps after unknown items alone", expected="items of the fit")
    steps = users.take(pa.array(own))
    return Evaluation(repr(model), steps, values, cold, len(stops), int((item < 0).sum()), int(seen.sum()), "steps")


def as_folded(model: Recommender, query: Query) -> tuple[Recommender, Query]:
    """A model and query in which vectors of users come from the query's own histories."""
    if not model.per_user:
        return model, query
    folded = copy.copy(model)
    for name, array in model._fold(query.history).items():
        setattr(folded, name, array)
    return folded, Query(np.arange(len(query), dtype=np.int32), query.history, query.context, users=query.users)


def _steps(model: Recommender, test: Dataset) -> tuple[History, pa.Array, np.ndarray, np.ndarray, np.ndarray]:
    """(events of the test users, those of the fit first, item -1 if unknown; the users' ids; and of each step: its
    user's row, where the user's events start, where the target stands)."""
    old = model.history_
    if test.context.column_names != old.context.column_names or (test.time is None) != (old.time is None):
        got = f"context {test.context.column_names}, {'no ' if test.time is None else ''}times"
        expected = f"context {old.context.column_names}, {'no ' if old.time is None else ''}times, as in the fit"
        raise InputError("test", got=got, expected=expected)
    context = as_in_fit(test.context, old.context.schema)
    codes = model.user_ids_.codes(test.user_ids.values)
    had = old.take(codes)
    join = np.concatenate
    history = History.group(
        join([had.rows(), test.user]).astype(np.int32),
        join([had.item, model.item_ids_.codes(test.item_ids.values)[test.item]]),
        None,
        None if test.time is None or had.time is None else join([had.time, test.time]),
        pa.concat_tables([had.context, context]) if context.num_columns else context,
        test.n_users,
        len(model.item_ids_),
    )
    place = np.arange(len(history.item)) - history.indptr[history.rows()]
    target = (place >= np.maximum(had.counts, 1)[history.rows()]).nonzero()[0]
    own = history.rows()[target]
    return history, test.user_ids.values, own, history.indptr[own], target


def _had(history: History, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Whether the user had the target's item before, bool (steps,)."""
    keys = history.rows() * (history.n_items + 1) + history.item + 1
    order = np.argsort(keys, kind="stable")
    again = np.zeros(len(keys), bool)
    again[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return again[stops] & (history.item[stops] >= 0) & (starts < stops)


def _blocks(lengths: np.ndarray, items: int) -> Iterator[slice]:
    rows = max(1, _CELLS // items)
    start = 0
    while start < len(lengths):
        events = np.cumsum(lengths[start : start + rows])
        stop = start + max(1, int(np.searchsorted(events, _EVENTS, side="right")))
        yield slice(start, min(stop, len(lengths)))
        start = stop
