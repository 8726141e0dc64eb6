"""A model and what happened since its fit: lists for many requests at once, new users folded in, rules by request."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError, NinefoldError

from recsys.data._dataset import Dataset
from recsys.data._frame import need
from recsys.data._history import History
from recsys.data._order import tie_keys
from recsys.data._side import side_table
from recsys.data._untyped import is_text, pc, value_kind
from recsys.recommender._base import Recommender
from recsys.recommender._query import SOURCES, Query, context_rows
from recsys.recommender._topk import Lists
from recsys.serving._events import Event

_RULED = ("candidates", "exclude", "where", "most", "first", "context", "strict")
_MORE = 10  # lists that a rule shortens are made so many times as long, until they are full


class Live:
    """A fitted model with events that came after it; one thread uses it at a time.

    An event dated at or before the last moment of the fit is taken as learned. Events of items that the model does not
    know are kept in the log, and count from the next model on.

    Args:
        model: fitted.
        items: a table about the items (any frame, or a path), whose columns `where` and `most` may name.
    """

    def __init__(self, model: Recommender, items: Any = None) -> None:
        model._need_fit()
        self.model = model
        self.added: dict[Any, list[tuple[int, float, int, dict[str, Any]]]] = {}
        self.place = 0  # of the last event learned from the log
        self.unknown_items = 0
        self._columns = _item_columns(model, items)
        self._masks: dict[tuple[str, str], np.ndarray] = {}

    def warm(self) -> None:
        """Answer each kind of question once, so that compiled code is there before the first request."""
        users = self.model.user_ids_.values[:1].to_pylist() or [None]
        if not self.model._context_columns():
            self.lists([{"users": users, "k": 10}])
            item = self.model.item_ids_.listed[0]
            code = self.model.item_ids_.code(item)
            self.model.recommend(users, 1, exclude=[item])
            self._answer(["\0nobody"], {"k": 10}, [[(code, 1.0, self.model.now_ or 0, {})]])

    # --- events ---

    def learn(self, events: Iterable[Event]) -> None:
        """Take events into account from now on."""
        model = self.model
        for one in events:
            if not self._fits(one.context):  # of an older log
                continue
            try:
                code = model.item_ids_.code(one.item)
            except InputError:  # an id of another type, of an older log
                code = -1
            if code < 0:
                self.unknown_items += 1
            elif model.now_ is None or one.time is None or one.time > model.now_:
                self.added.setdefault(one.user, []).append(
                    (code, 1.0 if one.value is None else one.value, one.time or 0, one.context)
                )

    def read(self, frame: dict[str, list[Any]]) -> list[Event]:
        """Events of a request, checked as those of a fit are; without times they happen now.

        Raises:
            InputError: that names the column and the rows.
        """
        events = self._events(frame)
        self.model._refuse_values(events)
        users, items = events.user_ids.ids(events.user).to_pylist(), events.item_ids.ids(events.item).to_pylist()
        for known, ids in ((self.model.user_ids_, users), (self.model.item_ids_, items)):
            known.codes(ids)  # refuses ids of another type
        value = [None] * len(events) if events.value is None else events.value.tolist()
        when = [time.time_ns() // 1000] * len(events) if events.time is None else events.time.tolist()
        context = events.context.to_pylist() if events.context.num_columns else [{} for _ in range(len(events))]
        return [Event(*one) for one in zip(users, items, value, when, context, strict=True)]

    def _events(self, frame: dict[str, list[Any]]) -> Dataset:
        model, names = self.model, self.model.names_
        valued = None if model.history_.value is None else names.value or "value"
        timed = names.time or "time"
        columns = [one for one in model.history_.context.column_names if one in frame or one in model._reads()]
        if timed not in frame and model.history_.time is not None:
            frame = {**frame, timed: [time.time_ns() // 1000] * len(next(iter(frame.values()), []))}
        known = [names.user, names.item, valued, timed, *model.history_.context.column_names]
        for name in frame:
            if name not in known:
                raise InputError(
                    f"column {name[:80]!r}", got="unknown", expected=f"one of {[one for one in known if one]}"
                )
        events = Dataset.from_frame(
            frame, user=names.user, item=names.item, value=valued, context=columns,
            time=timed if timed in frame else None,
        )  # fmt: skip
        for name in columns:
            kind, own = events.context.schema.field(name).type, model.history_.context.schema.field(name).type
            if not all(self._fits({name: one}) for one in pc.unique(events.context[name]).to_pylist()):
                raise InputError(f"column {name!r}", got=str(kind), expected=f"{own}, as in the fit")
        return events

    def _fits(self, context: dict[str, Any]) -> bool:
        """Whether what is said about an event is of the types of the fit's context."""
        schema = self.model.history_.context.schema
        try:
            for name in schema.names:
                pa.array([context.get(name)], schema.field(name).type)
        except (pa.ArrowException, OverflowError):
            return False
        return True

    # --- answers ---

    def lists(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any] | NinefoldError]:
        """The answer of each request, or its error; requests of users alone are answered together."""
        answers: list[Any] = [None] * len(requests)
        together: dict[tuple[Any, ...], list[int]] = {}
        for number, request in enumerate(requests):
            plain = not any(request.get(name) for name in _RULED)
            key = (request["k"], request.get("filter_seen")) if plain else (number,)
            together.setdefault(key, []).append(number)
        for numbers in together.values():
            users, owners = [], []
            for number in numbers:
                try:
                    for user in requests[number]["users"]:
                        self.model.user_ids_.code(user)  # refuses an id of another type
                except NinefoldError as error:
                    answers[number] = error
                    continue
                users += requests[number]["users"]
                owners += [number] * len(requests[number]["users"])
            if not users:
                continue
            try:
                found = self._answer(users, requests[numbers[0]])
            except NinefoldError as error:
                for number in set(owners):
                    answers[number] = error
                continue
            for number, one in zip(owners, found, strict=True):
                answers[number] = answers[number] or {"lists": []}
                answers[number]["lists"].append(one)
        return answers

    def fold_in(self, request: dict[str, Any]) -> dict[str, Any]:
        """Lists for the events of a request, which are not kept."""
        rows: dict[Any, list[tuple[int, float, int, dict[str, Any]]]] = {}
        for one in self.read(request["events"]):
            code = self.model.item_ids_.code(one.item)
            listed = rows.setdefault(one.user, [])
            if code >= 0:
                listed.append((code, 1.0 if one.value is None else one.value, one.time or 0, one.context))
        return {"lists": self._answer(list(rows), request, list(rows.values()), alone=True)}

    def _answer(
        self, users: list[Any], request: dict[str, Any],
        added: list[list[tuple[int, float, int, dict[str, Any]]]] | None = None, *, alone: bool = False,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """A list for each user: those with new events by what they have now, the others as the model has them."""
        model = self.model
        known = [-1] * len(users) if alone or added is not None else [model.user_ids_.code(one) for one in users]
        codes = np.array(known, np.int32)
        new = [self.added.get(one) for one in users] if added is None else added
        if request.get("strict"):
            unknown = [one for one, code, events in zip(users, known, new, strict=True) if code < 0 and not events]
            if unknown:
                raise InputError("users", got=f"{len(unknown)} unknown, e.g. {unknown[0]!r}", expected="known users")
        if request.get("context") is not None and not model._context_columns():
            raise InputError("context", got="one", expected=f"none: {model!r} does not use it")
        context = context_rows(request.get("context") or None, 1)
        answers: list[Any] = [None] * len(users)
        is_new = np.array([bool(one) for one in new])
        for rows in (np.flatnonzero(~is_new), np.flatnonzero(is_new)):
            if not len(rows):
                continue
            there = None if context is None else context.take(pa.array(np.zeros(len(rows), np.int64)))
            if is_new[rows[0]]:
                asked, query = self._folded(codes[rows], [new[row] or [] for row in rows], there)
            else:
                asked, query = model, Query(codes[rows], model.history_.take(codes[rows]), there)
            query = dataclasses.replace(query, users=tie_keys([users[row] for row in rows]))
            for row, (items, scores, sources) in zip(rows, self._ruled(asked, query, request), strict=True):
                answers[row] = {"user": users[row], "items": items, "scores": scores, "sources": sources}
        return answers

    def _folded(
        self, codes: np.ndarray, added: list[list[tuple[int, float, int, dict[str, Any]]]], context: pa.Table | None
    ) -> tuple[Recommender, Query]:
        """A model that knows these users by what they have now, and the question about them."""
        model, base = self.model, self.model.history_.take(codes)
        rows = [row for row, events in enumerate(added) for _ in events]
        flat = [one for events in added for one in events]
        extra = base.context
        if extra.num_columns:
            listed = [{name: one[3].get(name) for name in extra.column_names} for one in flat]
            extra = pa.concat_tables([extra, pa.Table.from_pylist(listed, schema=extra.schema)])
        item, value, when = (np.array([one[place] for one in flat]) for place in range(3))
        history = History.group(
            np.concatenate([base.rows(), np.array(rows, np.int64)]),
            np.concatenate([base.item, item.astype(np.int32)]),
            None if base.value is None else np.concatenate([base.value, value.astype(np.float32)]),
            None if base.time is None else np.concatenate([base.time, when.astype(np.int64)]),
            extra, len(added), base.n_items,
        )  # fmt: skip
        try:
            return model.answering(history), Query(np.arange(len(codes), dtype=np.int32), history, context)
        except InputError:  # a model that learns users only in fit: what they had is hidden all the same
            nobody = np.flatnonzero(codes < 0)
            kept = np.ones(len(history.item), bool)
            kept[np.isin(history.rows(), nobody)] = False
            return model, Query(codes, history.keep(kept), context)

    def _ruled(self, model: Recommender, query: Query, request: dict[str, Any]) -> list[tuple[list, list, list]]:
        k, filter_seen = request["k"], request.get("filter_seen")
        filter_seen = not model.counts_repeats if filter_seen is None else filter_seen
        allowed = model._allowed(request.get("candidates"), request.get("exclude"))
        for name, wanted in (request.get("where") or {}).items():
            mask = self._mask(name, wanted)
            allowed = mask if allowed is None else allowed & mask
        most = self._limits(request.get("most"))
        items = len(model.item_ids_)
        length = k if most is None else min(k * _MORE, items)
        codes = [code for one in request.get("first") or [] if (code := model.item_ids_.code(one)) >= 0]
        tops: list[tuple[list, list, list]] = [([], [], [])] * len(query)
        if codes:
            pinned = np.zeros(items, bool)
            pinned[codes] = True
            pinned &= True if allowed is None else allowed
            tops = _rows_of(model, *model._lists(query, len(codes), filter_seen, pinned))
        while True:
            listed = _rows_of(model, *model._lists(query, length, filter_seen, allowed))
            found = [_pinned(codes, top, one) for top, one in zip(tops, listed, strict=True)]
            if most is None:
                break
            found = [_at_most(*most, one) for one in found]  # a cap is never broken: what is too much makes room
            if length >= items or all(len(a[0]) >= k or len(b[0]) < length for a, b in zip(found, listed, strict=True)):
                break
            length = min(length * _MORE, items)
        names = model.item_ids_.listed
        return [
            ([names[code] for code in codes[:k]], scores[:k], [SOURCES[one] for one in sources[:k]])
            for codes, scores, sources in found
        ]

    def _mask(self, name: str, wanted: Any) -> np.ndarray:
        """Items whose column has one of the values, bool (items,)."""
        key = (name, repr(wanted))
        if key not in self._masks:
            column = self._column(name)
            values = wanted if isinstance(wanted, list) else [wanted]
            places = np.arange(len(column))
            if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):  # e.g. tags: one of them is enough
                places, column = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
            try:
                among = pa.array(values)
                if is_text(among.type) != is_text(column.type):
                    raise ValueError
                has = pc.fill_null(pc.is_in(column, value_set=among.cast(column.type)), False)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                raise InputError(
                    f"where {name!r}", got=repr(wanted)[:80], expected=f"values of {column.type}"
                ) from None
            mask = np.zeros(len(self.model.item_ids_), bool)
            mask[places[has.to_numpy(zero_copy_only=False)]] = True
            if len(self._masks) > 256:
                self._masks.clear()
            self._masks[key] = mask
        return self._masks[key]

    def _limits(self, most: dict[str, Any] | None) -> tuple[np.ndarray, int] | None:
        if not most:
            return None
        ((name, n), *more) = most.items()
        if more or isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InputError("most", got=repr(most)[:80], expected="one column -> a whole number of at least 1")
        encoded = self._column(name).dictionary_encode()
        return np.asarray(pc.fill_null(encoded.indices, -1)), n

    def _column(self, name: str) -> pa.Array:
        if name not in self._columns:
            got = "no item table was given to the service" if not self._columns else f"no column {name[:80]!r}"
            raise InputError("where, most", got=got, expected=f"one of {sorted(self._columns)}")
        return self._columns[name]


def _rows_of(model: Recommender, lists: Lists, origin: np.ndarray) -> list[tuple[list, list, list]]:
    """(item codes, scores, sources) of each row."""
    sources = model._sources(lists, origin).tolist()
    item, score, ends = lists.item.tolist(), lists.score.tolist(), np.cumsum(lists.counts).tolist()
    starts = [0, *ends[:-1]]
    return [(item[a:b], score[a:b], sources[a:b]) for a, b in zip(starts, ends, strict=True)]


def _at_most(group: np.ndarray, n: int, row: tuple[list, list, list]) -> tuple[list, list, list]:
    """The entries of a list but those that are more than n of one group; items without a group (-1) are all kept."""
    counts: dict[int, int] = {}
    kept = []
    for place, code in enumerate(row[0]):
        one = int(group[code])
        counts[one] = counts.get(one, 0) + 1
        if one < 0 or counts[one] <= n:
            kept.append(place)
    codes, scores, sources = ([part[place] for place in kept] for part in row)
    return codes, scores, sources


def _pinned(codes: list[int], top: tuple[list, list, list], row: tuple[list, list, list]) -> tuple[list, list, list]:
    """A list with pinned items first, in the order of `codes`."""
    places = {code: place for place, code in enumerate(top[0])}
    first = [places[code] for code in dict.fromkeys(codes) if code in places]
    rest = [place for place, code in enumerate(row[0]) if code not in places]
    found = [[a[one] for one in first] + [b[one] for one in rest] for a, b in zip(top, row, strict=True)]
    return found[0], found[1], found[2]


def _item_columns(model: Recommender, items: Any) -> dict[str, pa.Array]:
    """Columns of a table about items, in the order of the model's items; null where it says nothing."""
    side = side_table(items, model.names_.item, "items")
    if side is None:
        return {}
    ids, table = side
    need([str(ids.type)], [str(model.item_ids_.values.type)], where="the types of the item table's ids")
    placed = table.take(pc.index_in(model.item_ids_.values, value_set=ids)).combine_chunks()
    columns = {name: placed.column(name).combine_chunks() for name in placed.column_names}
    return {name: one.cast(value_kind(one)) for name, one in columns.items()}  # entries of a dictionary as values
