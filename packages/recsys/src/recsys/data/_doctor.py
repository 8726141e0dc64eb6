"""A data doctor: what looks wrong in events before a number built on them is trusted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table

from recsys.data._metrics import row_auc
from recsys.data._time import as_text, moment
from recsys.data._untyped import pc

if TYPE_CHECKING:
    from recsys.data._dataset import Dataset

_HEAVY = 0.05  # share of all events that one user must not reach quietly


@dataclass(frozen=True)
class Finding:
    """One thing seen.

    Attributes:
        level: "error" (numbers would be wrong), "warning" (look at it) or "note".
        check: what was looked at.
        text: what was found, with counts.
    """

    level: str
    check: str
    text: str


def doctor(data: Dataset, test: Dataset | None = None) -> list[Finding]:
    """Look for leaks, clashing or restarted ids, odd times, duplicates, odd values and idle columns.

    Args:
        data: events (of training, if `test` is given).
        test: events held out from `data`.
    Returns: findings, errors first.

    Examples:
        >>> import recsys

        >>> sales = {
        ...     "user": ["ann", "bob", "bob"],
        ...     "item": [17, 17, 21],
        ...     "at": ["2026-01-02", "2026-01-05", "2062-01-06"],
        ... }
        >>> data = recsys.Dataset.from_frame(sales, user="user", item="item", time="at")
        >>> for finding in recsys.doctor(data):
        ...     if finding.level != "note":
        ...         print(f"{finding.level}: {finding.text}")
        error: 1 event lies in the future: another unit, or typing errors?
    """
    for what, one in (("data", data), ("test", data if test is None else test)):
        if not hasattr(one, "user_ids"):
            hint = "recsys.Dataset.from_frame(frame, user=COLUMN, item=COLUMN)"
            raise InputError(what, got=f"a {type(one).__name__}", expected="a recsys.Dataset", hint=hint)
    found = [Finding("note", "loading", text) for text in data.notes]
    for check in (_sizes, _namespaces, _duplicates, _times, _values, _contexts):
        found += check(data)
    if test is not None:
        found += [*_leaks(data, test), *_restarted_ids(data, test)]
    return sorted(found, key=lambda one: ("error", "warning", "note").index(one.level))


def findings_table(found: list[Finding], title: str = "") -> Table:
    """Findings as a table."""
    return Table(["level", "check", "finding"], [[one.level, one.check, one.text] for one in found], title=title)


def _sizes(data: Dataset) -> Iterator[Finding]:
    yield Finding("note", "size", data._summary())
    by_user = np.bincount(data.user, minlength=data.n_users)
    by_item = np.bincount(data.item, minlength=data.n_items)
    for counts, what in ((by_user, "user"), (by_item, "item")):
        if (counts > 0).sum() < 2:
            yield Finding("error", "size", f"a single {what}: nothing can be compared")
        ones = int((counts == 1).sum())
        yield Finding("note", "size", f"{ones:,} {what}s with one event, {int((counts == 0).sum()):,} with none")
    top = int(by_user.argmax())
    if by_user[top] > max(_HEAVY * len(data), 100):
        who = data.user_ids.values[top].as_py()
        yield Finding("warning", "heavy user", f"user {who!r} has {by_user[top]:,} of {len(data):,} events: a robot?")


def _namespaces(data: Dataset) -> Iterator[Finding]:
    if data.user_ids.values.type != data.item_ids.values.type:
        return
    shared = int(pc.sum(pc.is_in(data.user_ids.values, value_set=data.item_ids.values)).as_py() or 0)
    small = min(data.n_users, data.n_items)
    if small > 1 and shared > 0.5 * small:
        text = f"{shared:,} ids name a user and an item: two namespaces; never join them by number"
        yield Finding("warning", "ids", text)
    for ids in (data.user_ids, data.item_ids):
        if ids.type_name == "text":
            tail = pc.match_substring_regex(ids.values, r"^-?[0-9]+\.0$")
            count = int(pc.sum(tail).as_py() or 0)
            if count:
                yield Finding("error", "ids", f'{count:,} {ids.what} ids look like "17850.0": numbers that became text')
            blank = int(pc.sum(pc.not_equal(ids.values, pc.utf8_trim_whitespace(ids.values))).as_py() or 0)
            if blank:
                yield Finding("warning", "ids", f"{blank:,} {ids.what} ids begin or end with a blank")
            folded = len(ids) - len(pc.unique(pc.utf8_lower(ids.values)))
            if folded:
                yield Finding("warning", "ids", f"{folded:,} {ids.what} ids differ from another only in case")


def _duplicates(data: Dataset) -> Iterator[Finding]:
    pair = data.user.astype(np.int64) * data.n_items + data.item
    repeated = len(pair) - len(np.unique(pair))
    if repeated:
        text = f"{repeated:,} events repeat an earlier event of the same user and item"
        yield Finding("note", "duplicates", text)
    if data.time is not None:
        order = np.lexsort((data.time, pair))
        same = (np.diff(pair[order]) == 0) & (np.diff(data.time[order]) == 0)
        if same.any():
            text = f"{int(same.sum()):,} events repeat user, item and time: written twice?"
            yield Finding("warning", "duplicates", f'{text} duplicates="distinct" keeps one of each')


def _times(data: Dataset) -> Iterator[Finding]:
    if data.time is None:
        yield Finding("warning", "time", "no times: a random split may let the future into the past")
        return
    low, high = int(data.time.min()), int(data.time.max())
    yield Finding("note", "time", f"from {as_text(low)} to {as_text(high)}")
    if low == high:
        yield Finding("warning", "time", "all events have the same time")
    future = int((data.time > time.time() * 1e6).sum())
    if future:
        what = "1 event lies" if future == 1 else f"{future:,} events lie"
        yield Finding("error", "time", f"{what} in the future: another unit, or typing errors?")
    early = int((data.time < moment("1990-01-01")).sum())
    if early:
        yield Finding("warning", "time", f"{early:,} events lie before 1990: another unit, or missing values?")
    order = np.lexsort((data.time, data.user))
    ties = (np.diff(data.user[order]) == 0) & (np.diff(data.time[order]) == 0)
    if len(ties) and ties.mean() > 0.01:
        text = f"{ties.mean():.0%} of events share user and time with another; the file's order decides"
        yield Finding("note", "time", text)


def _values(data: Dataset) -> Iterator[Finding]:
    if data.value is None:
        return
    distinct = np.unique(data.value)
    if len(distinct) == 1:
        yield Finding("warning", "values", f"every value is {distinct[0]:g}")
    if below := int((data.value < 0).sum()):
        yield Finding("warning", "values", f"{below:,} values are negative: returns, or dislikes?")
    zeros = int((data.value == 0).sum())
    if zeros and len(distinct) > 2:
        yield Finding("warning", "values", f"{zeros:,} values are 0; as weights they would count for nothing")


def _contexts(data: Dataset) -> Iterator[Finding]:
    binary = data.value is not None and set(np.unique(data.value).tolist()) == {0.0, 1.0}
    for name, column in zip(data.context.column_names, data.context.columns, strict=True):
        codes = column.combine_chunks().dictionary_encode()
        distinct = len(codes.dictionary)
        if distinct == 1:
            yield Finding("warning", "context", f"column {name!r} is constant")
        elif binary and data.value is not None and distinct < len(data) / 10:
            group = pc.fill_null(codes.indices, distinct).to_numpy(zero_copy_only=False)
            rate = np.bincount(group, weights=data.value) / np.maximum(np.bincount(group), 1)
            if row_auc(data.value, rate[group]) > 0.99:
                yield Finding("error", "leak", f"column {name!r} alone gives the value away")


def _leaks(train: Dataset, test: Dataset) -> Iterator[Finding]:
    user, item = test.encoded(train.user_ids, train.item_ids)
    known = (user >= 0) & (item >= 0)
    had = np.isin(user[known].astype(np.int64) * train.n_items + item[known],
                  train.user.astype(np.int64) * train.n_items + train.item)  # fmt: skip
    if had.any():
        level, check = ("warning", "leak") if train.time is None else ("note", "split")
        yield Finding(level, check, f"{int(had.sum()):,} of {len(test):,} test events repeat a pair of train")
    if train.time is not None and test.time is not None:
        late = int((train.time > test.time.min()).sum())
        if late:
            share = late / len(train)
            text = f"{late:,} train events ({share:.0%}) are later than the first test event: the future is in the past"
            yield Finding("warning", "leak", text)
    cold_users, cold_items = float((user < 0).mean()), float((item < 0).mean())
    text = f"{cold_users:.1%} of test events are of users, {cold_items:.1%} of items, new to train"
    yield Finding("note", "split", text)
    if (user < 0).all():
        yield Finding("error", "split", "every test user is unknown to train; fold their events in, or split by time")


def _restarted_ids(train: Dataset, test: Dataset) -> Iterator[Finding]:
    """Users of a test file who share numbers, but hardly an item, with those of the training file."""
    if train.time is not None or train.user_ids.values.type != test.user_ids.values.type:
        return
    share = (train.user_ids.codes(test.user_ids.values) >= 0).mean()
    low, low_test = (pc.min(one.user_ids.values).as_py() for one in (train, test))
    if train.user_ids.type_name == "integer" and share > 0.9 and low == low_test:
        text = f"{share:.0%} of test users have a number of train, both from {low}: the same people?"
        yield Finding("warning", "ids", text)
