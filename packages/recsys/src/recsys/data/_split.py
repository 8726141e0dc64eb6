"""Splits that keep the future out of the past. Each part knows only its own ids and those of the side tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ninefold.errors import InputError

from recsys.data._history import by_user_and_time
from recsys.data._time import as_text, moment

if TYPE_CHECKING:
    from recsys.data._dataset import Dataset


@dataclass(frozen=True, eq=False)
class Split:
    """Ways to split a data set; reach it as `data.split`."""

    data: Dataset

    def time(
        self, cut: str | int | dt.datetime | dt.date | np.datetime64 | None = None, *, test: float = 0.2
    ) -> tuple[Dataset, Dataset]:
        """Events before a moment, and from it on: what a launch would have seen. The default when times exist.

        Args:
            cut: ISO text, datetime, or int64 microseconds; if None, the moment after which a share `test` lies.
            test: share of events from the cut on.
        Returns: (train, test).
        """
        time = self.data.time
        if time is None:
            raise InputError("split.time", got="data without times", expected="a time column", hint="name it: time=...")
        if cut is None:
            _share(test, "test")
            cut = int(np.quantile(time, 1 - test, method="higher"))
        at = moment(cut)
        late = time >= at
        if late.all() or not late.any():
            side = "before it" if late.all() else "from it on"
            raise InputError(
                "cut",
                got=f"{as_text(at)}, with no event {side}",
                expected=f"a moment between {as_text(time.min())} and {as_text(time.max())}",
            )
        return self.data.take(~late), self.data.take(late)

    def leave_last_out(self, n: int = 1) -> tuple[Dataset, Dataset]:
        """Each user's last `n` events against all before; users with no more than `n` stay in train whole.

        Equal times are taken in the file's order. Beware: it lets a model see other users' future.
        """
        if n < 1:
            raise InputError("n", got=n, expected="at least 1 event")
        data = self.data
        order = by_user_and_time(data.user, data.time)
        counts = np.bincount(data.user, minlength=data.n_users)
        ends = np.cumsum(counts)
        user = data.user[order]
        from_end = ends[user] - np.arange(len(user))  # 1 for a user's last event
        last = np.zeros(len(data), bool)
        last[order] = (from_end <= n) & (counts[user] > n)
        return self._parts(last, "no user has more than that many events")

    def user_held_out(
        self, test: float | int = 0.2, *, fold_in: float = 0.8, seed: int = 0
    ) -> tuple[Dataset, Dataset, Dataset]:
        """Hold whole users out; their lists come from a random share of their events (Liang et al. 2018).

        Args:
            test: share, or number, of users held out; users with a single event stay in train.
            fold_in: share of a held-out user's events that the model may see.
            seed: of the choice.
        Returns: (train, fold-in events of the held-out users, their other events). Use `model.fold_in(fold)`.
        """
        _share(fold_in, "fold_in")
        data, draw = self.data, np.random.default_rng(seed)
        counts = np.bincount(data.user, minlength=data.n_users)
        able = np.flatnonzero(counts > 1)
        wanted = test if isinstance(test, int) else round(_share(test, "test") * int((counts > 0).sum()))
        if not 0 < wanted <= len(able) or wanted >= (counts > 0).sum():
            raise InputError(
                "test", got=f"{wanted} users to hold out", expected=f"1 to {len(able)} with 2 events or more"
            )
        held = np.zeros(data.n_users, bool)
        held[draw.choice(able, wanted, replace=False)] = True
        rows = np.flatnonzero(held[data.user])
        order = rows[np.lexsort((draw.random(len(rows)), data.user[rows]))]  # users together, each in random order
        user = data.user[order]
        starts = np.searchsorted(user, user)
        seen = np.clip(np.round(counts[user] * fold_in), 1, counts[user] - 1)
        later = np.arange(len(user)) - starts >= seen
        return data.take(~held[data.user]), data.take(np.sort(order[~later])), data.take(np.sort(order[later]))

    def kfold(self, k: int = 5, *, seed: int = 0) -> Iterator[tuple[Dataset, Dataset]]:
        """`k` pairs (train, test) whose tests share out the events at random. For ratings without times."""
        if not 2 <= k <= len(self.data):
            raise InputError("k", got=k, expected=f"2 to {len(self.data)}, the number of events")
        fold = np.random.default_rng(seed).permutation(np.arange(len(self.data)) % k)
        for index in range(k):
            yield self.data.take(fold != index), self.data.take(fold == index)

    def rows(self, test: float = 0.2, *, seed: int = 0) -> tuple[Dataset, Dataset]:
        """A random share of the events against the rest: only for data whose rows have no order."""
        size = round(_share(test, "test") * len(self.data))
        chosen = np.zeros(len(self.data), bool)
        chosen[np.random.default_rng(seed).permutation(len(self.data))[:size]] = True
        return self._parts(chosen, f"a share of {test} of {len(self.data)} events leaves one side empty")

    def _parts(self, test: np.ndarray, why: str) -> tuple[Dataset, Dataset]:
        if not test.any() or test.all():
            raise InputError("split", got="an empty side", expected="events on both", hint=why)
        return self.data.take(~test), self.data.take(test)


def _share(value: float, what: str) -> float:
    if not 0 < value < 1:
        raise InputError(what, got=value, expected="a share between 0 and 1")
    return value
