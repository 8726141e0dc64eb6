"""One data model for all kinds of recommendation: events of users with items, and optional tables about both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError
from numpy.typing import ArrayLike

from recsys.data._doctor import Finding, doctor
from recsys.data._frame import as_table, need, null_mask, numbers, one_kind_of_text, rows_text, were_decimals
from recsys.data._history import History, rows_at
from recsys.data._ids import IdMap, encode, id_array
from recsys.data._side import align, side_table
from recsys.data._split import Split
from recsys.data._ties import count_ties, read_ties
from recsys.data._time import as_text, latest, microseconds
from recsys.data._untyped import Csr, pc


@dataclass(frozen=True)
class Names:
    """The user's own column names, used again wherever tables are written."""

    user: str = "user"
    item: str = "item"
    value: str | None = None
    time: str | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Events in the order of the file, with the catalogue of users and items they may refer to.

    Attributes:
        user_ids, item_ids: original ids by code. Ids of the side tables come after those of the events.
        user, item: codes of each event, int32 (n,).
        value: rating, count or label of each event, float32 (n,), or None.
        time: int64 microseconds since 1970 UTC (n,), or None.
        context: what else is known of each event; n rows, possibly no columns.
        users, items: side tables by code, without the id column; null where an id was not listed; or None.
        ties: between users, weights float32 CSR (users, users): a row's user listens to those of its columns; or None.
        users_listed, items_listed: whether a side table listed the id, bool by code; or None.
        names: the columns' names in the source.
        notes: what was found and done while loading, with counts.

    Examples:
        >>> import recsys

        >>> sales = {
        ...     "customer": ["ann", "ann", "bob", "bob"],
        ...     "sku": [17, 21, 17, 17],
        ...     "pieces": [2.0, 1.0, 3.0, -3.0],
        ...     "at": ["2026-01-02", "2026-01-05", "2026-01-06", "2026-01-07"],
        ... }
        >>> data = recsys.Dataset.from_frame(sales, user="customer", item="sku", value="pieces", time="at")
        >>> data
        Dataset(4 events, 2 users, 2 items, values, times)
        >>> data.clicks()  # what was given back is no click
        Dataset(3 events, 2 users, 2 items, times)
        >>> train, test = data.split.time(cut="2026-01-06")
        >>> train.to_table().column("sku").to_pylist(), test.to_table().column("customer").to_pylist()
        ([17, 21], ['bob', 'bob'])
    """

    user_ids: IdMap
    item_ids: IdMap
    user: np.ndarray
    item: np.ndarray
    value: np.ndarray | None = None
    time: np.ndarray | None = None
    context: pa.Table = dataclasses.field(default_factory=lambda: pa.table({}))
    users: pa.Table | None = None
    items: pa.Table | None = None
    ties: Csr | None = None
    users_listed: np.ndarray | None = None
    items_listed: np.ndarray | None = None
    names: Names = Names()
    notes: tuple[str, ...] = ()

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        user: str,
        item: str,
        value: str | None = None,
        time: str | None = None,
        context: Sequence[str] | str = (),
        users: Any = None,
        items: Any = None,
        ties: Any = None,
        directed: bool = False,
        duplicates: str = "keep",
        nulls: str = "error",
        scale: tuple[float, float] | None = None,
        time_unit: str | None = None,
    ) -> Dataset:
        """Load events and optional tables about users and items.

        Args:
            frame: dict of columns, pyarrow, pandas or polars frame, or the path of a .csv, .tsv or .parquet file.
            user, item: columns of ids, integer or text; they come back as they are. Whole floats (7.0), as columns with
                missing values hold, are read as integers, with a note.
            value: column of ratings, counts or labels.
            time: column of timestamps, dates, ISO text or numbers since 1970.
            context: further columns that describe an event.
            users, items: side tables (any frame) with a column named as `user` or `item`, one row an id.
            ties, directed: see `with_ties`.
            duplicates: of a (user, item) pair: "keep" all events, "sum" their values (or count them), keep the "last"
                in time, or "error"; "distinct" keeps one of the events that agree in user, item, value and time.
            nulls: in an id column: "error", or "drop" those rows and note how many.
            scale: least and greatest value allowed.
            time_unit: of numeric times: "s", "ms", "us", "ns" or "index"; found by their size if None. Or how times are
                written that are no ISO text, e.g. "%d/%m/%Y %H:%M".
        Raises:
            InputError: for a missing, empty or all-null column, ids of other types in two tables, NaN or infinite
                values, values off the scale, unclear times, forbidden duplicates; it names the column and rows.
        """
        if user == item:
            raise InputError("user, item", got=f"column {user!r} twice", expected="two columns")
        context = [context] if isinstance(context, str) else context
        wanted = [user, item, value, time, *context]
        chosen = list(dict.fromkeys(name for name in wanted if name))
        table = as_table(frame, columns=chosen, ids=(user, item))
        if table.num_rows == 0:
            raise InputError("events", got="no rows", expected="at least one event")
        notes: list[str] = []
        table = _without_null_ids(table, (user, item), nulls, notes)
        numeric = None if value is None else numbers(table.column(value), value)
        if numeric is not None and scale is not None:
            off = (numeric < scale[0]) | (numeric > scale[1])
            if off.any():
                raise InputError(f"column {value!r}", got=f"outside in {rows_text(off)}", expected=f"values in {scale}")
        when = None if time is None else microseconds(table.column(time), time, time_unit)
        user_codes, user_ids = encode(table.column(user), "user")
        item_codes, item_ids = encode(table.column(item), "item")
        decimals = [name for name in (user, item) if were_decimals(table.schema.field(name))]
        notes += [f"column {name!r}: ids such as 7.0 are read as integers, 7" for name in decimals]
        names = Names(user, item, value, time)
        extra = one_kind_of_text(table.select(list(context))) if context else pa.table({})
        data = cls(user_ids, item_ids, user_codes, item_codes, numeric, when, extra, names=names)
        data = data._with_side("user", side_table(users, user, "users"))
        data = data._with_side("item", side_table(items, item, "items"))
        data = data if ties is None else data.with_ties(ties, directed=directed)
        notes += data.notes
        data = data._deduplicated(duplicates, notes)
        if when is not None and (late := int((when > latest(when)).sum())):
            what = "1 event is" if late == 1 else f"{late} events are"
            notes.append(
                f"{what} dated ten years or more after all others, up to {as_text(int(when.max()))}: no clock follows"
            )
        return dataclasses.replace(data, notes=tuple(notes))

    @classmethod
    def from_csr(cls, X: Csr, *, users: Any = None, items: Any = None) -> Dataset:
        """Load a sparse matrix of users by items, as implicit takes it.

        Args:
            X: stored entries are events; other values than 1 are kept as values.
            users, items: ids of rows and columns, integer or text; their numbers from 0 if None.
        Raises:
            InputError: for entries that are not finite, and for ids that repeat or whose number is not X's.
        """
        X = sp.csr_matrix(X)
        X.sum_duplicates()
        if X.nnz == 0:
            raise InputError("X", got="no entry", expected="at least one event")
        value = np.asarray(X.data, np.float32)
        if not np.isfinite(value).all():
            raise InputError("X", got=f"not finite in {rows_text(~np.isfinite(value))}", expected="finite numbers")
        maps: list[IdMap] = []
        for ids, size, what in ((users, X.shape[0], "user"), (items, X.shape[1], "item")):
            values = id_array(np.arange(size) if ids is None else ids, what)
            if len(values) != size or len(pc.unique(values)) < size:
                got = f"{len(values)}, {len(pc.unique(values))} of them distinct"
                raise InputError(f"{what} ids", got=got, expected=f"{size} distinct ones, as X has")
            maps.append(IdMap(values, what))
        row = np.repeat(np.arange(X.shape[0], dtype=np.int32), np.diff(X.indptr))
        value = None if (value == 1).all() else value
        return cls(maps[0], maps[1], row, X.indices.astype(np.int32), value=value)

    # --- size and shape ---

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: Any) -> Dataset:
        """Some events, by position, slice or mask, as `take`: what scikit-learn's searches split a data set by."""
        rows = rows[0] if isinstance(rows, tuple) else rows  # [rows, ...] names all columns
        return self.take(np.atleast_1d(np.arange(len(self))[rows]))

    @property
    def shape(self) -> tuple[int, int]:
        """(events, 2), for scikit-learn."""
        return len(self), 2

    def __repr__(self) -> str:
        return f"Dataset({self._summary()})"

    def _summary(self) -> str:
        """Numbers of events, users and items, and what else the events have."""
        parts = [f"{len(self):,} events", f"{self.n_users:,} users", f"{self.n_items:,} items"]
        parts += [name for name, has in (("values", self.value), ("times", self.time)) if has is not None]
        ties = [] if self.ties is None else [f"{count_ties(self.ties):,} ties"]
        return ", ".join([*parts, *ties, *self.context.column_names])

    @property
    def n_users(self) -> int:
        """Users in the catalogue."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Items in the catalogue."""
        return len(self.item_ids)

    @property
    def split(self) -> Split:
        """Ways to split the events: `.time() .leave_last_out() .user_held_out() .kfold() .rows()`."""
        return Split(self)

    def doctor(self, test: Dataset | None = None) -> list[Finding]:
        """What looks wrong in the events, or between them and a test set; see `recsys.doctor`."""
        return doctor(self, test)

    # --- views ---

    def history(self) -> History:
        """The events grouped by user code, oldest first."""
        return History.group(self.user, self.item, self.value, self.time, self.context, self.n_users, self.n_items)

    def take(self, rows: ArrayLike) -> Dataset:
        """Some events (positions or a mask, in that order) with the ids they use or a side table lists."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns = {name: rows_at(getattr(self, name), rows) for name in ("user", "item", "value", "time", "context")}
        part = dataclasses.replace(self, **columns, notes=())
        return part._compacted(part.users_listed, part.items_listed)

    def warm(self) -> Dataset:
        """The same events with only the ids that occur in them: what a collaborative model can learn about."""
        return self._compacted(None, None)

    def clicks(self) -> Dataset:
        """The events without their values, for models that do not read them; a value of 0 or less is no click.

        Raises:
            InputError: if no value is above 0.
        """
        return dataclasses.replace(self.positive(), value=None)

    def positive(self) -> Dataset:
        """Only the events of a value above 0, e.g. without what was given back; all if there are no values.

        Raises:
            InputError: if no value is above 0.
        """
        if self.value is None or (self.value > 0).all():
            return self
        kept = self.value > 0
        if not kept.any():
            raise InputError("clicks", got="no event of a value above 0", expected="purchases, plays, ratings")
        note = f"{int((~kept).sum())} events of a value of 0 or less left out: they are no clicks"
        return dataclasses.replace(self.take(kept), notes=(*self.notes, note))

    def with_ties(self, ties: Any, *, columns: tuple[str, ...] | None = None, directed: bool = False) -> Dataset:
        """With a table of ties between users, e.g. friends, for `recsys.Social`; those without events join the users.

        Args:
            ties: any frame or file, a row a tie; the greater weight counts where a pair occurs both ways.
            columns: names of user, user and, optionally, weight; the table's first two or three if None.
            directed: the first user of a row follows the second, but not the other way round.
        Raises:
            InputError: for missing columns, ids of another type than the events', weights of 0 or less, no tie at all.

        Examples:
            >>> import recsys

            >>> data = recsys.Dataset.from_frame({"user": ["ann", "bob"], "item": [1, 2]}, user="user", item="item")
            >>> data = data.with_ties({"a": ["ann", "cy"], "b": ["bob", "ann"]})
            >>> data, data.ties.nnz
            (Dataset(2 events, 3 users, 2 items, 2 ties), 4)
        """
        ids, matrix, own = read_ties(ties, self.user_ids, columns, directed)
        listed = np.zeros(len(ids), bool) if self.users_listed is None else np.resize(self.users_listed, len(ids))
        listed[self.n_users :] = False
        users = self.users
        if users is not None and len(ids) > self.n_users:
            place = pa.array(np.arange(len(ids)), mask=np.arange(len(ids)) >= self.n_users)
            users = users.take(place)
        notes = (*self.notes, *([f"{own} ties of a user with himself left out"] if own else []))
        listed |= np.diff(matrix.indptr) + np.bincount(matrix.indices, minlength=len(ids)) > 0
        return dataclasses.replace(self, user_ids=ids, users=users, users_listed=listed, ties=matrix, notes=notes)

    def with_events_or(self, users: np.ndarray | None, items: np.ndarray | None) -> Dataset:
        """As `warm`, but ids at which `users` or `items` (bool by code) hold stay without events."""
        return self._compacted(users, items)

    def to_table(self) -> pa.Table:
        """The events with original ids and the source's column names; times as UTC timestamps."""
        columns: dict[str, Any] = {
            self.names.user: self.user_ids.ids(self.user),
            self.names.item: self.item_ids.ids(self.item),
        }
        if self.value is not None:
            columns[self.names.value or "value"] = self.value
        if self.time is not None:
            columns[self.names.time or "time"] = pa.array(self.time).cast(pa.timestamp("us"))
        return pa.table({**columns, **dict(zip(self.context.column_names, self.context.columns, strict=True))})

    def encoded(self, user_ids: IdMap, item_ids: IdMap) -> tuple[np.ndarray, np.ndarray]:
        """Codes of each event in other id maps, int32 (n,) twice; -1 for ids unknown there."""
        return user_ids.codes(self.user_ids.values)[self.user], item_ids.codes(self.item_ids.values)[self.item]

    # --- parts of loading ---

    def _with_side(self, kind: str, side: tuple[pa.Array, pa.Table] | None) -> Dataset:
        if side is None:
            return self
        ids, table, listed = align(getattr(self, f"{kind}_ids"), *side)
        return dataclasses.replace(self, **{f"{kind}_ids": ids, f"{kind}s": table, f"{kind}s_listed": listed})

    def _deduplicated(self, policy: str, notes: list[str]) -> Dataset:
        if policy not in ("keep", "distinct", "sum", "last", "error"):
            raise InputError("duplicates", got=repr(policy), expected='"keep", "distinct", "sum", "last" or "error"')
        if policy == "keep":
            return self
        pair = self.user.astype(np.int64) * self.n_items + self.item
        agree = [self.value, self.time, pair] if policy == "distinct" else [pair]
        agree = [one for one in agree if one is not None]
        order = np.lexsort(agree if self.time is None or policy == "distinct" else (self.time, pair))
        last = np.append(np.any([np.diff(one[order]) != 0 for one in agree], axis=0), True)
        repeated = len(pair) - int(last.sum())
        if repeated and policy == "error":
            again = np.zeros(len(pair), bool)
            again[order[1:][~last[:-1]]] = True
            raise InputError("events", got=f"a pair again in {rows_text(again)}", expected="each pair once")
        value = self.value
        if policy == "sum":
            weight = np.ones(len(pair), np.float64) if value is None else value.astype(np.float64)
            total = np.add.reduceat(weight[order], np.append(0, np.flatnonzero(last)[:-1] + 1))
            value = np.zeros(len(pair), np.float32)
            value[order[last]] = total
        what = "events with the user, item, value and time of another" if policy == "distinct" else "(user, item) pairs"
        notes.append(f"{repeated} repeated {what}: {policy}")
        names = dataclasses.replace(self.names, value=self.names.value or "count") if policy == "sum" else self.names
        return dataclasses.replace(self, value=value, names=names).take(np.sort(order[last]))

    def _compacted(self, keep_users: np.ndarray | None, keep_items: np.ndarray | None) -> Dataset:
        users_kept, items_kept = _used(self.user, self.n_users, keep_users), _used(self.item, self.n_items, keep_items)
        if users_kept.all() and items_kept.all():
            return self
        user_ids, new_user = self.user_ids.subset(users_kept)
        item_ids, new_item = self.item_ids.subset(items_kept)
        return dataclasses.replace(
            self,
            user_ids=user_ids,
            item_ids=item_ids,
            user=new_user[self.user],
            item=new_item[self.item],
            users=None if self.users is None else self.users.filter(pa.array(users_kept)),
            items=None if self.items is None else self.items.filter(pa.array(items_kept)),
            users_listed=None if self.users_listed is None else self.users_listed[users_kept],
            items_listed=None if self.items_listed is None else self.items_listed[items_kept],
            ties=None if self.ties is None else self.ties[users_kept][:, users_kept],
        )


def _used(codes: np.ndarray, size: int, keep: np.ndarray | None) -> np.ndarray:
    used = np.zeros(size, bool) if keep is None else keep.copy()
    used[codes] = True
    return used


def _without_null_ids(table: pa.Table, columns: Sequence[str], policy: str, notes: list[str]) -> pa.Table:
    if policy not in ("error", "drop"):
        raise InputError("nulls", got=repr(policy), expected='"error" or "drop"')
    need(table.column_names, columns, where=None)
    bad = np.zeros(table.num_rows, bool)
    for name in columns:
        missing = null_mask(table.column(name))
        if missing.all():
            raise InputError(f"column {name!r}", got=f"null in all {len(missing)} rows", expected="ids")
        if missing.any() and policy == "error":
            hint = 'nulls="drop" (--nulls drop) leaves those rows out'
            raise InputError(
                f"column {name!r}", got=f"null in {rows_text(missing)}", expected="an id in each row", hint=hint
            )
        bad |= missing
    if not bad.any():
        return table
    notes.append(f"{int(bad.sum())} rows without an id dropped")
    if bad.all():
        raise InputError("events", got="no row with both ids", expected="at least one event")
    return table.filter(pc.invert(pa.array(bad)))


def need_dataset(data: Any, what: str) -> None:
    """InputError unless it is a Dataset; says how frames and matrices become one."""
    if isinstance(data, Dataset):
        return
    if sp.issparse(data):
        hint = "recsys.Dataset.from_csr(X, users=ids, items=ids)"
    else:
        hint = "recsys.Dataset.from_frame(frame, user=COLUMN, item=COLUMN)"
    raise InputError(what, got=f"a {type(data).__name__}", expected="a recsys.Dataset", hint=hint)
