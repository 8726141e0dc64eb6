"""Factorisation machines (Rendle 2010): y = w0 + sum x w + 1/2 sum_f [(sum x v_f)^2 - sum x^2 v_f^2].

The columns of a row are its user, its item and its context fields. A row's columns fall into a query part (user and
context) and an item part, and with l the sum of a part's x w - 1/2 x^2 |v|^2 and v the sum of its x v,

    y = w0 + l_query + l_item + 1/2 |v_query + v_item|^2 = (what the query alone says) + a_item + v_query . v_item,

so that a context's scores of the whole catalogue are one matrix product. What the tables about users and items say is
added to the parts of those: a known id is answered as before, and one without events by its row in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.fm._attributes import Attribute, attributes, chosen_columns, described
from recsys.fm._fields import Field, encode_all, make_fields, packed, unpacked
from recsys.recommender._learner import bounded
from recsys.recommender._query import FALLBACK, FEATURES, Query, check_length, context_rows
from recsys.recommender._rating import RatingModel, at

_CELLS = 1 << 23  # numbers held at a time while predicting


@dataclass(kw_only=True, eq=False, repr=False)
class FactorizationMachine(RatingModel):
    """Base of all factorisation machines. It holds samples of parameters (one, unless they are drawn) in parts:
    `user_part_` and `item_part_` (rows, samples, 1 + factors) hold l and v, `context_part_` w and v by column.

    Args:
        factors: dimension; 0 leaves the pairs out.
        context: fields: "all" context columns of the events, "none", or names with commas between.
        features: columns of the users' and items' tables: "none", "all", or names with commas between. A list of text,
            or a text such as "Action|Comedy", is a set.
        seed: of all draws.
    """

    fitted: ClassVar[tuple[str, ...]] = (
        *RatingModel.fitted, "base_", "user_part_", "item_part_", "context_part_", "described_users_",
        "described_items_",
    )  # fmt: skip
    shapes: ClassVar[dict[str, str]] = RatingModel.shapes | {
        "base_": "s", "user_part_": "users s w", "item_part_": "items s w", "context_part_": "c s w",
        "described_users_": "bool users", "described_items_": "bool items",
    }  # fmt: skip
    renamed: ClassVar[dict[str, str]] = {"told_users_": "described_users_", "told_items_": "described_items_"}
    vocabularies: ClassVar[tuple[str, ...]] = ("fields_",)
    per_user: ClassVar[tuple[str, ...]] = ("user_part_",)
    factors: int = bounded(10, least=0)
    context: str = "all"
    features: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        self.base_: np.ndarray
        self.user_part_: np.ndarray
        self.item_part_: np.ndarray
        self.context_part_: np.ndarray

    def seen_by(self, data: Dataset) -> Dataset:
        """What `fit` learns from: ids without events are kept where a column of `features` tells of them."""
        of_users, of_items = chosen_columns(self.features, data.users, data.items)
        return data.with_events_or(
            described(data.users, of_users, data.n_users) if of_users else None,
            described(data.items, of_items, data.n_items) if of_items else None,
        )

    def _attributes(self, data: Dataset) -> tuple[list[Attribute], list[Attribute]]:
        """Columns of the users' and of the items' table; remembers of whom they tell."""
        of_users, of_items = chosen_columns(self.features, data.users, data.items)
        self.described_users_ = described(data.users, of_users, data.n_users)
        self.described_items_ = described(data.items, of_items, data.n_items)
        return (
            attributes(data.users.select(of_users)) if data.users is not None else [],
            attributes(data.items.select(of_items)) if data.items is not None else [],
        )

    def _chosen(self, data: Dataset) -> pa.Table:
        """The context columns that are fields."""
        if self.context in ("all", "none"):
            return data.context if self.context == "all" else pa.table({})
        names = self.context.split(",")
        missing = [name for name in names if name not in data.context.column_names]
        if missing:
            known = ", ".join(data.context.column_names) or "none"
            raise InputError("context", got=f"no column {missing[0]!r} in the events", expected=f"of {known}")
        return data.context.select(names)

    def _parts(self, query_user: np.ndarray, context: pa.Table | None) -> np.ndarray:
        """l and v of users in contexts, (rows, samples, 1 + factors)."""
        part = at(self.user_part_, query_user)
        start = 0
        for field, (index, x) in zip(self._fields(), self._encoded(context, len(query_user)), strict=True):
            part += as_part(at(self.context_part_[start : start + field.size], index), x)
            start += field.size
        return part

    def _context_columns(self) -> list[str]:
        return [field.name for field in self._fields()]

    def _contexts_in(self, data: Dataset) -> list[str]:
        return self._chosen(data).column_names

    def _fields(self) -> list[Field]:
        return unpacked(self.fields_)

    def _encoded(self, context: pa.Table | None, rows: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
        return encode_all(self._fields(), context, rows)

    def _rate(self, user: np.ndarray, item: np.ndarray, context: pa.Table) -> np.ndarray:
        samples, width = self.user_part_.shape[1:]
        found, block = np.empty(len(user)), max(1, _CELLS // (samples * width))
        for start in range(0, len(user), block):
            rows = slice(start, start + block)
            part = self._parts(user[rows], context.slice(start, block) if context.num_columns else context)
            part += at(self.item_part_, item[rows])
            score = self.base_ + part[..., 0] + 0.5 * np.einsum("nsf,nsf->ns", part[..., 1:], part[..., 1:])
            found[rows] = self._link(score).mean(axis=1)
        return found

    def _link(self, score: np.ndarray) -> np.ndarray:
        """The values that scores (n, samples) mean."""
        return score

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray] | None:
        part, items = self._parts(query.codes, query.context), self.item_part_
        own = self.base_ + part[..., 0] + 0.5 * np.einsum("nsf,nsf->ns", part[..., 1:], part[..., 1:])
        ones, samples = np.ones((len(query), 1)), len(self.base_)
        bias = items[..., 0] + 0.5 * np.einsum("nsf,nsf->ns", items[..., 1:], items[..., 1:])
        left = np.hstack([part[..., 1:].reshape(len(part), -1), ones, own.mean(axis=1, keepdims=True)])
        right = [items[..., 1:].reshape(len(items), -1) / samples, bias.mean(axis=1)[:, None], np.ones((len(items), 1))]
        return left.astype(np.float32), np.hstack(right).astype(np.float32)

    def explain(self, user: Any, item: Any, k: int = 10, *, context: Any = None) -> pa.Table:
        """What each part of an event, and each pair of parts, adds to its score: table (part, share), greatest first.

        Parts are the user, the item and each field of the context ("scene=out"); "level" is w0. All shares add up to
        the score, of which a head's link (probit, logit) then makes the prediction.

        Args:
            user, item: ids of the fit.
            k: rows at most.
            context: one row, for a model of contexts.
        """
        check_length(k)
        code, target = self._known_pair(user, item)
        rows = context_rows(context, 1)
        names = [f"{self.names_.user}={user}", f"{self.names_.item}={item}"]
        parts = [self.user_part_[code], self.item_part_[target]]
        start = 0
        for field, (index, x) in zip(self._fields(), self._encoded(rows, 1), strict=True):
            assert rows is not None  # or encoding had refused
            names.append(f"{field.name}={rows[field.name][0].as_py()}")
            parts.append(as_part(at(self.context_part_[start : start + field.size], index), x)[0])
            start += field.size
        shares = {"level": self.base_}
        for place, (name, part) in enumerate(zip(names, parts, strict=True)):
            shares[name] = part[:, 0] + 0.5 * (part[:, 1:] ** 2).sum(axis=1)
            for other, beside in zip(names[:place], parts, strict=False):
                shares[f"{other} x {name}"] = (beside[:, 1:] * part[:, 1:]).sum(axis=1)
        found = np.array([one.mean() for one in shares.values()], np.float32)
        best = np.argsort(-np.abs(found), kind="stable")[:k]
        return pa.table({"part": [list(shares)[one] for one in best], "share": found[best]})

    def _item_vectors(self) -> np.ndarray:
        return self.item_part_[..., 1:].reshape(len(self.item_part_), -1)

    def _origins(self, query: Query) -> np.ndarray:
        origin = super()._origins(query)
        return np.where(origin == FALLBACK, self._without_events(query.codes), origin).astype(np.int8)

    def _without_events(self, user: np.ndarray, item: np.ndarray | None = None) -> np.ndarray:
        if self._fields():
            return np.full(len(user), FEATURES, np.int8)
        known = _true_at(self.described_users_ | (self.history_.counts > 0), user)
        if item is not None:
            known &= _true_at(self.described_items_ | (self.popular_ > 0), item)
        return np.where(known, FEATURES, FALLBACK).astype(np.int8)

    def _featured_items(self) -> np.ndarray:
        return self.described_items_

    def _start(self, data: Dataset) -> tuple[list[Field], list[tuple[np.ndarray, np.ndarray | None]]]:
        """The fields of the events, remembered, and their columns in each row."""
        chosen = self._chosen(data)
        fields = make_fields(chosen)
        self.fields_ = packed(fields)
        return fields, encode_all(fields, chosen, len(data))


def as_part(theta: np.ndarray, x: np.ndarray | None) -> np.ndarray:
    """l and v (n, samples, 1 + factors) of columns with parameters w and v (same shape) and values x (n,), or 1."""
    part = theta.copy() if x is None else theta * x[:, None, None]
    part[..., 0] -= 0.5 * np.einsum("nsf,nsf->ns", part[..., 1:], part[..., 1:])
    return part


def of_sets(sets: Csr, theta: np.ndarray) -> np.ndarray:
    """l and v of each set, (sets, samples, 1 + factors), from its columns' w and v (columns, samples, 1 + factors)."""
    columns, samples, width = theta.shape
    part = np.asarray(sets @ theta.reshape(columns, -1)).reshape(-1, samples, width)
    squares = np.einsum("nsf,nsf->ns", theta[..., 1:], theta[..., 1:])
    part[..., 0] -= 0.5 * (sets.multiply(sets) @ squares)
    return part


def _true_at(flags: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.append(flags, False)[codes]  # a code of -1 finds the last
