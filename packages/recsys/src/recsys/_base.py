"""What a recommender is: parameters, fit, and answers by original id whose `source` says where they come from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.cli import progress
from ninefold.errors import InputError

from recsys._checkpoint import Checkpoint, fit_key
from recsys._dataset import Dataset
from recsys._frame import as_table, need
from recsys._history import History
from recsys._ids import IdMap, id_array
from recsys._params import Parameters
from recsys._similar import cosines
from recsys._topk import Lists, top_of_factors, top_of_scores
from recsys._untyped import Csr

SOURCES = ("model", "fold_in", "features", "fallback")
MODEL, FOLD_IN, FEATURES, FALLBACK = range(len(SOURCES))


@dataclass(frozen=True, eq=False)
class Query:
    """What a model may know of the users it answers, one row each.

    Attributes:
        codes: user codes in the model, int (rows,); -1 for users it never met.
        history: their events.
        context: one row each, or None.
    """

    codes: np.ndarray
    history: History
    context: pa.Table | None = None

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(kw_only=True, eq=False, repr=False)
class Recommender(Parameters):
    """Base of all models; its parameters are its dataclass fields, as in scikit-learn (get_params, set_params, clone).

    A model fills in `_fit` and `_score` (or `_factors`), and lists in `fitted` the arrays that a file must hold.
    """

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""  # the publication
    fitted: ClassVar[tuple[str, ...]] = ()  # attributes made by fit: arrays or CSR matrices
    per_user: ClassVar[tuple[str, ...]] = ()  # those of `fitted` with one row a user; `_fold` makes them
    knows_cold_items: ClassVar[bool] = False  # scores items without events (from features)
    knows_cold_users: ClassVar[bool] = False  # scores users without events (from features or context)
    zero_is_no_evidence: ClassVar[bool] = False  # a score of 0 says nothing: such items are not listed
    counts_repeats: ClassVar[bool] = False  # made for tasks in which seen items count: filter_seen is off by default

    # --- what a model fills in ---

    def _fit(self, data: Dataset) -> None:
        """Learn from events; `self.history_` holds them by user. Set what `fitted` lists."""
        raise NotImplementedError

    def _score(self, query: Query) -> np.ndarray:
        """Scores of all items for each row, float32 (rows, items), a fresh array; by default from `_factors`."""
        found = self._factors(query)
        if found is None:
            raise NotImplementedError
        return np.asarray(found[0] @ found[1].T, np.float32)

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray] | None:  # noqa: ARG002
        """(query vectors (rows, d), item vectors (items, d)) if scores are their inner products, else None."""
        return None

    def _fold(self, history: History) -> dict[str, np.ndarray]:  # noqa: ARG002
        """The `per_user` arrays for the users of a history, without touching what was learned of items."""
        if self.per_user:
            raise InputError(
                f"{type(self).__name__}.fold_in",
                got="a model that learns users only in fit",
                expected="e.g. IALS or EASE",
            )
        return {}

    def _item_vectors(self) -> Any:
        """Vectors (items, d), array or CSR, whose cosine says how alike items are; None if the model has none."""
        return None

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        """How alike some items are to all, float32 (codes, items), a fresh array; by default cosines of vectors."""
        vectors = self._item_vectors()
        if vectors is None:
            raise InputError(f"{type(self).__name__}.similar_items", got="a model without item vectors")
        return cosines(vectors, codes)

    # --- learning ---

    def fit(self, data: Dataset, *, checkpoint: str | Path | None = None) -> Self:
        """Learn from events. Items without events are left out unless the model knows them by their features.

        Args:
            data: events.
            checkpoint: a file that keeps the state after each epoch of an iterative model: after a kill the same call
                goes on from there, to the same result. It is deleted at the end.
        """
        data = self.seen_by(data)
        if len(data) == 0 or data.n_items < 2:
            raise InputError("events", got=f"{len(data)} events of {data.n_items} items", expected="two items or more")
        self.user_ids_, self.item_ids_, self.names_ = data.user_ids, data.item_ids, data.names
        self.history_ = data.history()
        self.popular_ = np.bincount(*_distinct_users(self.history_), minlength=data.n_items).astype(np.float32)
        self.now_ = None if data.time is None else int(data.time.max())
        self.origin_ = MODEL
        self.key_ = fit_key(repr(self), data)
        self._checkpoint = None if checkpoint is None else Checkpoint(checkpoint, self.key_)
        self._fit(data)
        self._check_finite(self.fitted, "after fit")
        if self._checkpoint is not None:
            self._checkpoint.remove()
        self._checkpoint = None
        return self

    def seen_by(self, data: Dataset) -> Dataset:
        """What `fit` learns from: a data set without the ids that have no events, unless features tell of them."""
        return data if self.knows_cold_items or self.knows_cold_users else data.warm()

    def _epochs(self, total: int, names: tuple[str, ...]) -> Iterator[int]:
        """Epochs still to do, from 0; after each, the arrays `names` are checked and kept, and progress is shown."""
        done = 0
        if self._checkpoint is not None:
            done, arrays = self._checkpoint.restore()
            for name, array in arrays.items():
                setattr(self, name, array)
        with progress(total, f"{self.name} epochs") as bar:
            bar.advance(done)
            for epoch in range(done, total):
                yield epoch
                self._check_finite(names, f"after epoch {epoch + 1}")
                if self._checkpoint is not None:
                    self._checkpoint.save(epoch + 1, {name: getattr(self, name) for name in names})
                bar.advance()

    def fold_in(self, events: Dataset) -> Self:
        """A copy that shares what was learned and answers the users of `events` instead, from these events.

        Events with items unknown to the model are left out. Nothing is trained.
        """
        history, users = self._history_of(events)
        copied = copy.copy(self)
        copied.user_ids_, copied.history_, copied.origin_ = users, history, FOLD_IN
        for name, array in self._fold(history).items():
            setattr(copied, name, array)
        return copied

    def partial_fit(self, events: Dataset) -> Self:
        """Add later events: known users' histories grow, new users join; what was learned of items stays.

        Items unknown to the model are left out until the next `fit`. Users' own vectors are computed anew.
        """
        self._need_fit()
        added, users = self._history_of(events)
        all_ids = self.user_ids_.extended(users.values)
        old, new = self.history_, added
        code_of_new = all_ids.codes(users.values)
        user = np.concatenate([old.rows(), code_of_new[new.rows()]]).astype(np.int32)
        if (old.time is None) != (new.time is None) or old.context.column_names != new.context.column_names:
            raise InputError("events", got="other columns than in fit", expected="the same time and context columns")
        context = pa.concat_tables([old.context, new.context]) if old.context.num_columns else old.context
        self.history_ = History.group(
            user, np.concatenate([old.item, new.item]), _joined(old.value, new.value), _joined(old.time, new.time),
            context, len(all_ids), len(self.item_ids_),
        )  # fmt: skip
        self.user_ids_ = all_ids
        for name, array in self._fold(self.history_).items():
            setattr(self, name, array)
        return self

    def _history_of(self, events: Dataset) -> tuple[History, IdMap]:
        self._need_fit()
        user, item = events.user, self.item_ids_.codes(events.item_ids.values)[events.item]
        known = item >= 0
        if not known.any():
            raise InputError("events", got="no item that the model knows", expected="items of the fitted catalogue")
        history = History.group(
            user[known], item[known], None if events.value is None else events.value[known],
            None if events.time is None else events.time[known],
            events.context.filter(pa.array(known)) if events.context.num_columns else events.context,
            events.n_users, len(self.item_ids_),
        )  # fmt: skip
        return history, events.user_ids

    # --- answers ---

    def recommend(
        self,
        users: Any = None,
        k: int = 10,
        *,
        filter_seen: bool | None = None,
        candidates: Any = None,
        exclude: Any = None,
        context: Any = None,
        strict: bool = False,
        block: int = 1024,
    ) -> pa.Table:
        """The k best items of each user.

        Args:
            users: ids; all users of the last fit or fold_in if None.
            k: greatest length of a list. A list is shorter if fewer items are left; it is never padded.
            filter_seen: leave out what a user had; on unless the model is made for repeats.
            candidates: ids of the only items to list; `exclude`: ids of items never to list.
            context: for models that use it: one row (dict or frame) for all users, or one row a user.
            strict: an unknown user is an InputError instead of a list of popular items.
            block: users scored at a time; memory is block x items.
        Returns: table (user, item, rank, score, source); columns are named as in the source. `source` is "model",
            "fold_in", "features", or "fallback": popular items for a user of whom nothing is known.
        """
        parts = list(
            self.recommend_blocks(
                users, k, filter_seen=filter_seen, candidates=candidates, exclude=exclude, context=context,
                strict=strict, block=block,
            )
        )  # fmt: skip
        return pa.concat_tables(parts)

    def recommend_blocks(
        self,
        users: Any = None,
        k: int = 10,
        *,
        filter_seen: bool | None = None,
        candidates: Any = None,
        exclude: Any = None,
        context: Any = None,
        strict: bool = False,
        block: int = 1024,
    ) -> Iterator[pa.Table]:
        """As `recommend`, a table for each block of users: for catalogues of users that do not fit in memory."""
        self._need_fit()
        if k < 1:
            raise InputError("k", got=k, expected="at least 1")
        ids = self.user_ids_.values if users is None else id_array(users, "user")
        codes = np.arange(len(ids), dtype=np.int32) if users is None else self.user_ids_.codes(ids)
        if strict and (codes < 0).any():
            unknown = ids.filter(pa.array(codes < 0))
            raise InputError(
                "users", got=f"{len(unknown)} unknown, e.g. {unknown[0].as_py()!r}", expected="users of the events"
            )
        allowed = self._allowed(candidates, exclude)
        rows = _context_rows(context, len(ids))
        filter_seen = not self.counts_repeats if filter_seen is None else filter_seen
        if len(ids) == 0:
            yield self._listed(ids, _empty(), np.empty(0, np.int8))
        with progress(len(ids), "lists") as bar:
            for start in range(0, len(ids), block):
                part = slice(start, start + block)
                query = Query(
                    codes[part], self.history_.take(codes[part]), None if rows is None else rows.slice(start, block)
                )
                lists, origin = self._lists(query, k, filter_seen, allowed)
                yield self._listed(ids.slice(start, block), lists, origin)
                bar.advance(len(query))

    def _lists(self, query: Query, k: int, filter_seen: bool, allowed: np.ndarray | None) -> tuple[Lists, np.ndarray]:
        """(lists of item codes, origin of each row)."""
        hidden = query.history.matrix() if filter_seen else None
        origin = self._origins(query)
        factors = self._factors(query) if allowed is None and not self.zero_is_no_evidence else None
        if factors is not None and (origin != FALLBACK).all():
            return top_of_factors(*factors, k, hidden), origin
        scores = self._answers(query, origin)
        mask_scores(scores, hidden)
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        return top_of_scores(scores, k), origin

    def _answers(self, query: Query, origin: np.ndarray) -> np.ndarray:
        """Scores of all rows, popular items for those that fall back; -inf where a 0 says nothing."""
        scores = self._score(query)
        if not np.isfinite(scores).all():
            raise InputError(f"scores of {self!r}", got="NaN or infinite", expected="finite scores: was the fit sound?")
        if self.zero_is_no_evidence:
            scores[scores == 0] = -np.inf
        scores[origin == FALLBACK] = np.where(self.popular_ > 0, self.popular_, -np.inf)
        return scores

    def _origins(self, query: Query) -> np.ndarray:
        """Where each row's answer comes from, int8 (rows,): an index into SOURCES."""
        empty = query.history.counts == 0
        missing = FEATURES if self.knows_cold_users else FALLBACK
        return np.where(empty, missing, self.origin_).astype(np.int8)

    def _listed(self, users: pa.Array, lists: Lists, origin: np.ndarray) -> pa.Table:
        row = lists.row
        return pa.table(
            {
                self.names_.user: users.take(pa.array(row)),
                self.names_.item: self.item_ids_.ids(lists.item),
                "rank": lists.rank,
                "score": lists.score,
                "source": pa.DictionaryArray.from_arrays(pa.array(origin[row]), list(SOURCES)),
            }
        )

    def predict(self, pairs: Any, *, block: int = 1024) -> pa.Table:
        """Scores of given pairs.

        Args:
            pairs: a frame with the user and item columns of the source (and context columns, for models that use them).
        Returns: table (user, item, score, source), rows as given; null where the item is unknown.
        """
        self._need_fit()
        names = self.names_
        table = as_table(pairs, ids=(names.user, names.item))
        need(table.column_names, (names.user, names.item), where="pairs")
        users, items = (id_array(table.column(one), one) for one in (names.user, names.item))
        user, item = self.user_ids_.codes(users), self.item_ids_.codes(items)
        extra = table.drop_columns([names.user, names.item])
        score, origin = self._predict(user, item, extra, block)
        return pa.table(
            {
                names.user: users,
                names.item: items,
                "score": pa.array(score, mask=(item < 0) | ~np.isfinite(score)),
                "source": pa.DictionaryArray.from_arrays(pa.array(origin), list(SOURCES)),
            }
        )

    def _predict(
        self,
        user: np.ndarray,
        item: np.ndarray,
        context: pa.Table,  # noqa: ARG002
        block: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(scores float32 (n,), origins int8 (n,)) of pairs of codes, -1 if unknown. Users are scored once each."""
        score, origin = np.zeros(len(user), np.float32), np.zeros(len(user), np.int8)
        order = np.argsort(user, kind="stable")
        distinct, first = np.unique(user[order], return_index=True)
        ends = np.append(first, len(user))
        for start in range(0, len(distinct), block):
            codes = distinct[start : start + block]
            query = Query(codes, self.history_.take(codes))
            found = self._origins(query)
            scores = self._answers(query, found)
            places = order[ends[start] : ends[min(start + block, len(distinct))]]
            row = np.searchsorted(codes, user[places])
            score[places], origin[places] = scores[row, np.maximum(item[places], 0)], found[row]
        return score, origin

    def similar_items(self, items: Any, k: int = 10) -> pa.Table:
        """The k items most like each given one: table (item, similar, rank, score), by cosine, itself left out."""
        self._need_fit()
        ids = id_array(items, "item")
        codes = self.item_ids_.codes(ids)
        if (codes < 0).any():
            raise InputError(
                "items", got=f"{ids.filter(pa.array(codes < 0))[0].as_py()!r}", expected="items of the events"
            )
        scores = self._similarities(codes)
        scores[np.arange(len(codes)), codes] = -np.inf
        if self.zero_is_no_evidence:
            scores[scores == 0] = -np.inf
        lists = top_of_scores(scores, k)
        return pa.table(
            {
                self.names_.item: ids.take(pa.array(lists.row)),
                "similar": self.item_ids_.ids(lists.item),
                "rank": lists.rank,
                "score": lists.score,
            }
        )

    def explain(self, user: Any, item: Any, k: int = 10) -> pa.Table:
        """Which of a user's items speak for one item: table (item, share), the shares adding up to the score."""
        self._need_fit()
        code, target = self.user_ids_.codes([user])[0], self.item_ids_.codes([item])[0]
        if code < 0 or target < 0:
            raise InputError(
                "explain", got=f"user {user!r}, item {item!r}", expected="a user and an item of the events"
            )
        seen, share = self._explain(int(code), int(target))
        best = np.argsort(-np.abs(share), kind="stable")[:k]
        return pa.table({self.names_.item: self.item_ids_.ids(seen[best]), "share": share[best].astype(np.float32)})

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """(item codes of the user's history, what each adds to the score)."""
        raise InputError(f"{type(self).__name__}.explain", got="a model that cannot say")

    # --- files ---

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the model as a folder of safetensors, JSON and Arrow files; see `recsys.load`."""
        from recsys._store import save

        return save(self, folder, force=force)

    # --- checks ---

    def _need_fit(self) -> None:
        if not hasattr(self, "item_ids_"):
            raise InputError(f"{type(self).__name__}", got="a model that is not fitted", expected="fit(data) first")

    def _check_finite(self, names: tuple[str, ...], when: str) -> None:
        for name in names:
            array = getattr(self, name)
            array = array.data if sp.issparse(array) else array
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise InputError(f"{name} of {self!r}", got=f"NaN or infinite values {when}", expected="finite ones")

    def _allowed(self, candidates: Any, exclude: Any) -> np.ndarray | None:
        """Which items may be listed, bool (items,), or None for all."""
        if candidates is None and exclude is None:
            return None
        allowed = np.full(len(self.item_ids_), candidates is None)
        if candidates is not None:
            codes = self.item_ids_.codes(candidates)
            allowed[codes[codes >= 0]] = True
        if exclude is not None:
            codes = self.item_ids_.codes(exclude)
            allowed[codes[codes >= 0]] = False
        return allowed


def mask_scores(scores: np.ndarray, hidden: Csr | None) -> None:
    """Set scores to -inf where `hidden` (rows by items) is stored, in place."""
    if hidden is not None:
        scores[np.repeat(np.arange(len(scores)), np.diff(hidden.indptr)), hidden.indices] = -np.inf


def _distinct_users(history: History) -> tuple[np.ndarray]:
    return (history.matrix().indices,)


def _joined(old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    return None if old is None or new is None else np.concatenate([old, new])


def _empty() -> Lists:
    return Lists(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def _context_rows(context: Any, n: int) -> pa.Table | None:
    if context is None:
        return None
    if isinstance(context, dict):
        context = {name: value if isinstance(value, (list, np.ndarray)) else [value] for name, value in context.items()}
    table = as_table(context).combine_chunks()
    if table.num_rows == 1:
        return table.take(pa.array(np.zeros(n, np.int64)))
    if table.num_rows != n:
        raise InputError("context", got=f"{table.num_rows} rows", expected=f"1 row, or {n}: one a user")
    return table
