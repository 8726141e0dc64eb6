"""What a recommender answers: lists, scores and likenesses by original id, whose `source` says where they come from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold.progress import progress

from recsys.data._dataset import Dataset
from recsys.data._frame import as_table, need
from recsys.data._ids import IdMap, as_arrow, id_array
from recsys.data._order import tie_keys
from recsys.data._untyped import Csr, pc
from recsys.recommender._longest import top_of_factors
from recsys.recommender._query import FALLBACK, FEATURES, SOURCES, Query, check_length, context_rows, is_table
from recsys.recommender._similar import Likenesses
from recsys.recommender._store import save
from recsys.recommender._topk import Filter, Lists, top_of_product, top_of_scores


@dataclass(kw_only=True, eq=False, repr=False)
class Recommender(Likenesses):
    """Base of all models.

    A model fills in `_fit` and `_score` (or `_factors`), and lists in `fitted` the arrays that a file must hold.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> for model in (recsys.Popular(), recsys.ItemKNN(), recsys.EASE(l2=1.0)):  # one interface
        ...     print(model, model.fit(data).recommend(["bob"], k=2).column("item").to_pylist())
        Popular() ['coffee', 'filter']
        ItemKNN() ['mug']
        EASE(l2=1.0) ['mug', 'coffee']
        >>> isinstance(model, recsys.Recommender)
        True
    """

    # --- what a model fills in ---

    def _score(self, query: Query) -> np.ndarray:
        """Scores of all items for each row, float32 (rows, items), a fresh array; by default of what follows."""
        product = self._product(query)
        if product is not None:
            return (product[0] @ product[1]).toarray().astype(np.float32, copy=False)
        found = self._factors(query)
        if found is None:
            raise NotImplementedError
        return np.asarray(found[0] @ found[1].T, np.float32)

    def _product(self, query: Query) -> tuple[Csr, Csr] | None:  # noqa: ARG002
        """(CSR (rows, n), CSR (n, items)) if scores are their product, and 0 says nothing; else None."""
        return None

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray] | None:
        """(query vectors (rows, d), item vectors (items, d)) if scores are their inner products, else None; by default
        of a model that learned vectors of users and items."""
        users = getattr(self, "user_factors_", None)
        return None if users is None else (users[query.codes], self._item_vectors())

    def _context_columns(self) -> list[str]:
        """Columns that a context must have; none for a model that answers without one."""
        return []

    def _contexts_in(self, data: Dataset) -> list[str]:  # noqa: ARG002
        """The context columns that it would be asked in, were it fitted on these events."""
        return []

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
            candidates: ids of the only items to list; or a table of users and items: each user's only items.
            exclude: ids of items never to list.
            context: for models that use it: one row (dict or frame) for all users, or one row a user.
            strict: an unknown user is an InputError instead of a list of popular items.
            block: users scored at a time; memory is block x items.
        Returns: table (user, item, rank, score, source); columns are named as in the source. `source` is "model",
            "fold_in", "features" (of a user or item without events), or "fallback": what sold in the last 31 days
            (popular items, without times) for a user of whom nothing is known.
        """
        self._need_fit()
        k, block = check_length(k), check_length(block, "block")
        if context is not None and not self._context_columns():
            raise InputError("context", got="one", expected=f"none: {self!r} does not use it")
        if users is None:
            codes, ids = np.arange(len(self.user_ids_), dtype=np.int32), self.user_ids_.values
        else:
            codes, ids = self.user_ids_.find(users)
        if strict and (codes < 0).any():
            unknown = ids.filter(pa.array(codes < 0))
            raise InputError(
                "users", got=f"{len(unknown)} unknown, e.g. {unknown[0].as_py()!r}", expected="users of the events"
            )
        allowed, among = self._candidates(candidates, exclude, ids)
        rows = context_rows(context, len(ids))
        filter_seen = not self.counts_repeats if filter_seen is None else filter_seen
        if not len(ids):
            nothing = Lists(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
            return self._listed(ids, nothing, np.empty(0, np.int8))
        if len(ids) <= block:
            query = Query(codes, self.history_.take(codes), rows, users=tie_keys(ids))
            return self._listed(ids, *self._lists(query, k, filter_seen, allowed, among))
        parts = []
        with progress(len(ids), "lists") as bar:
            for start in range(0, len(ids), block):
                part = slice(start, start + block)
                there = None if rows is None else rows.slice(start, block)
                keys = tie_keys(ids.slice(start, block))
                query = Query(codes[part], self.history_.take(codes[part]), there, users=keys)
                own = None if among is None else among[part]
                lists, origin = self._lists(query, k, filter_seen, allowed, own)
                parts.append(self._listed(ids.slice(start, block), lists, origin))
                bar.advance(len(query))
        return pa.concat_tables(parts)

    def recommend_one(
        self, user: Any, k: int = 10, *, filter_seen: bool | None = None, exclude: Any = None
    ) -> list[tuple[Any, float]]:
        """The list of one user as (item, score) pairs, best first: `recommend` without the cost of a table."""
        self._need_fit()
        k = check_length(k)
        if self._context_columns():
            raise InputError("recommend_one", got="a model that is asked in a context", expected="recommend(context=)")
        filter_seen = not self.counts_repeats if filter_seen is None else filter_seen
        codes, ids = self.user_ids_.find([user])
        listed = self.item_ids_.listed
        query = Query(codes, self.history_.take(codes), users=tie_keys(ids))
        lists, _ = self._lists(query, k, filter_seen, self._allowed(None, exclude))
        return [(listed[item], score) for item, score in zip(lists.item.tolist(), lists.score.tolist(), strict=True)]

    def _lists(
        self, query: Query, k: int, filter_seen: bool, allowed: np.ndarray | None, among: Csr | None = None
    ) -> tuple[Lists, np.ndarray]:
        """(lists of item codes, origin of each row)."""
        if self.chooses_candidates and (allowed is not None or among is not None):
            query = dataclasses.replace(query, allowed=allowed, among=among)
        origin = self._origins(query)
        any_falls = FALLBACK in origin.tolist()
        rules = Filter(
            hidden=query.had if filter_seen else None, allowed=allowed, among=among,
            skips_zeros=self.zero_is_no_evidence, scale=self._scale(),
            falls_back=origin == FALLBACK if any_falls else None,
            fallback=self._fallback_scores() if any_falls else None,
            users=query.users,
        )  # fmt: skip
        product = self._product(query)
        if product is not None:
            return top_of_product(*product, k, rules), origin
        factors = self._factors(query)
        if factors is not None:
            return top_of_factors(*factors, k, rules), origin
        return top_of_scores(self._finite_scores(query), k, rules), origin

    def _answers(self, query: Query, origin: np.ndarray) -> np.ndarray:
        """Scores of all rows, popular items for those that fall back; -inf where a 0 says nothing."""
        scores, scale = self._finite_scores(query), self._scale()
        if scale is not None:
            np.multiply(scores, scale, out=scores, where=scores > 0)
            np.divide(scores, scale, out=scores, where=scores < 0)
        if self.zero_is_no_evidence:
            scores[scores == 0] = -np.inf
        scores[origin == FALLBACK] = self._fallback_scores()
        return scores

    def _finite_scores(self, query: Query) -> np.ndarray:
        scores = self._score(query)
        if not np.isfinite(scores).all():
            raise InputError(f"scores of {self!r}", got="NaN or infinite", expected="finite scores: was the fit sound?")
        return scores

    def _fallback_scores(self) -> np.ndarray:
        return np.where(self.popular_ > 0, self.fallback_, -np.inf).astype(np.float32)

    def _origins(self, query: Query) -> np.ndarray:
        """Where each row's answer comes from, int8 (rows,): an index into SOURCES."""
        ends, of_new = query.history.indptr, FEATURES if self.knows_cold_users else FALLBACK
        if len(ends) == 2:
            return np.array([self.origin_ if ends[0] < ends[1] else of_new], np.int8)
        return np.where(ends[1:] == ends[:-1], of_new, self.origin_).astype(np.int8)

    def _featured_items(self) -> np.ndarray | None:
        """Of which items features tell, bool (items,); None: of no item."""
        return np.ones(len(self.item_ids_), bool) if self.knows_cold_items else None

    def _listed(self, users: pa.Array, lists: Lists, origin: np.ndarray) -> pa.Table:
        many = len(lists.item)
        if len(users) == 1:
            user, rank = pa.repeat(users[0], many), _ranks(many)
        else:
            user, rank = IdMap(users, "user").ids(lists.row), as_arrow(lists.rank)
        if len(users) == 1 and self._featured_items() is None:
            source = _alike(many, int(origin[0]))
        else:
            source = pa.DictionaryArray.from_arrays(as_arrow(self._sources(lists, origin)), _SOURCES)
        columns = user, self.item_ids_.ids(lists.item), rank, as_arrow(lists.score), source
        return pa.Table.from_arrays(columns, [self.names_.user, self.names_.item, "rank", "score", "source"])

    def _sources(self, lists: Lists, origin: np.ndarray) -> np.ndarray:
        """Where each entry comes from, int8 (total,): an item that nobody had is listed for its features, if any."""
        source, described = origin[lists.row].astype(np.int8, copy=False), self._featured_items()
        if described is None:
            return source
        unseen = described[lists.item] & (self.popular_[lists.item] == 0) & (source != FALLBACK)
        return np.where(unseen, FEATURES, source).astype(np.int8)

    def predict(self, pairs: Any, *, block: int = 1024) -> pa.Table:
        """Scores of given pairs.

        Args:
            pairs: a frame with the user and item columns of the source (and context columns, for models that use them).
        Returns: table (user, item, score, source), rows as given; null where the model cannot score the item.
        """
        ids, user, item, extra = self._pairs(pairs)
        block = check_length(block, "block")
        score, origin = self._predict(user, item, extra, block)
        return pa.table(
            {
                **ids,
                "score": pa.array(score, mask=~np.isfinite(score)),
                "source": pa.DictionaryArray.from_arrays(pa.array(origin), _SOURCES),
            }
        )

    def _pairs(self, pairs: Any) -> tuple[dict[str, pa.Array], np.ndarray, np.ndarray, pa.Table]:
        """(the two id columns by name, user codes, item codes, the other columns) of a frame of pairs."""
        self._need_fit()
        names = self.names_
        table = as_table(pairs, ids=(names.user, names.item))
        need(table.column_names, (names.user, names.item), where="pairs")
        users, items = (id_array(table.column(one), one) for one in (names.user, names.item))
        user, item = self.user_ids_.codes(users), self.item_ids_.codes(items)
        return {names.user: users, names.item: items}, user, item, table.drop_columns([names.user, names.item])

    def _predict(
        self,
        user: np.ndarray,
        item: np.ndarray,
        context: pa.Table,  # noqa: ARG002
        block: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(scores float32 (n,), NaN where there is none; origins int8 (n,)) of pairs of codes, -1 if unknown.

        Each user is scored once.
        """
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
            score[places] = np.where(item[places] < 0, np.nan, scores[row, np.maximum(item[places], 0)])
            origin[places] = found[row]
        return score, origin

    # --- files ---

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the model as a folder of safetensors, JSON and Arrow files; see `recsys.load`."""
        return save(self, folder, force=force)

    def _candidates(self, candidates: Any, exclude: Any, users: pa.Array) -> tuple[np.ndarray | None, Csr | None]:
        """(items that may be listed, bool (items,); those of each user, CSR (users, items)); None: all."""
        if candidates is None or not is_table(candidates):
            return self._allowed(candidates, exclude), None
        names = self.names_
        table = as_table(candidates, ids=(names.user, names.item))
        need(table.column_names, (names.user, names.item), where="candidates")
        requested = IdMap(pc.unique(users), "user")
        row, item = requested.codes(table.column(names.user)), self.item_ids_.codes(table.column(names.item))
        known = (row >= 0) & (item >= 0)
        ones = np.ones(int(known.sum()), np.float32)
        among = sp.csr_matrix((ones, (row[known], item[known])), shape=(len(requested), len(self.item_ids_)))
        return self._allowed(None, exclude), among[requested.codes(users)]

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


_SOURCES = pa.array(SOURCES)


@lru_cache(16)  # a service makes the same columns for each list
def _ranks(many: int) -> pa.Array:
    return as_arrow(np.arange(1, many + 1, dtype=np.int32))


@lru_cache(16)
def _alike(many: int, origin: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(as_arrow(np.full(many, origin, np.int8)), _SOURCES)
