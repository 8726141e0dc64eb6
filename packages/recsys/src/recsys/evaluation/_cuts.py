"""Moving cuts: one log, several moments at which a model could have been launched; and what they say of the next."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from ninefold.errors import InputError
from scipy.stats import t as student

from recsys.data._dataset import Dataset
from recsys.data._history import by_user_and_time
from recsys.data._time import DAY
from recsys.evaluation._evaluate import evaluate
from recsys.recommender._base import Recommender

_HIDDEN = 5  # of what a visitor did within a window, the last of so many events is to be found


class Cut(NamedTuple):
    """A moment at which a model could have been launched.

    Attributes:
        train: the events before it.
        test: what is to be found after it: pairs new to their users, who have events to answer them from. Pairs
            of items that `train` does not have are kept, as `evaluate` keeps them: a model of `train` cannot find them.
        given: None for a shop, most of whose users are known before; for a log of visits, most of whose users are not,
            all that the test users did before what is to be found: they are answered from it, nothing is learned of it.
        repeats: share of the distinct pairs after it that their users had before: left out of `test`.
        new_items: share of the pairs of `test` whose item `train` does not have.
        every: all pairs after it, repeats among them; None where they are the pairs of `test`.
    """

    train: Dataset
    test: Dataset
    given: Dataset | None = None
    repeats: float = 0.0
    new_items: float = 0.0
    every: Dataset | None = None

    def judge(self, model: Recommender, metric: str, days: float | None = None) -> np.ndarray:
        """Values of a metric on `test`, (test users,), of a model of `train` or of its last days."""
        return self.score(learned(model, self.train, days, self.given), metric)

    def score(self, fitted: Recommender, metric: str, *, repeats: bool = False) -> np.ndarray:
        """Values of a metric, (test users,), of a model fitted on `train`; with `repeats` on `every` pair."""
        test = self.every if repeats and self.every is not None else self.test
        return evaluate(fitted, test, [metric], filter_seen=not repeats).values[metric]

    def some(self, most: int, seed: int = 0) -> Cut:
        """The cut with at most so many of its test users."""
        draw = np.random.default_rng(seed)

        def part(events: Dataset) -> Dataset:
            return events.take(_some(np.unique(events.user), events.n_users, most, draw)[events.user])

        return self._replace(test=part(self.test), every=None if self.every is None else part(self.every))


def learned(model: Recommender, events: Dataset, days: float | None, answers: Dataset | None = None) -> Recommender:
    """A model fitted on the events of the last days, or on all (None), that answers from all, or from other events."""
    if days is None or events.time is None:
        fitted = model.clone().fit(events)
        return fitted if answers is None else fitted.fold_in(answers)
    late = events.time >= int(events.time.max()) - int(days * DAY)
    return model.clone().fit(events.take(late)).fold_in(events if answers is None else answers)


def moving_cuts(data: Dataset, cuts: int = 5, *, share: float = 0.08, users: int = 2000, seed: int = 0) -> list[Cut]:
    """Moments of a log, oldest first; each window, from one to the next, holds as many events.

    Where most users of the windows have no event before them, as in a log of sessions, the last fifth of what each did
    in a window (at least one event) is to be found, given all before. Without times each cut hides one random event of
    each test user instead; no other cut learns from what the last one hides.

    Args:
        data: events.
        cuts: moments.
        share: of all events, in each window.
        users: at most so many test users a cut, drawn once.
        seed: of the draws.
    Raises:
        InputError: if the events are too few, or too many share a moment.
    """
    if cuts < 2 or not 0 < share * cuts < 0.9:
        raise InputError("cuts", got=cuts, expected=f"2 or more, of {share:.0%} of the events each")
    draw = np.random.default_rng(seed)
    if data.time is None:
        last = _one_hidden(data, users, draw)
        return [*(_one_hidden(last.train, users, draw) for _ in range(cuts - 1)), last]
    time = data.time
    ends = [int(np.quantile(time, 1 - share * (cuts - one), method="higher")) for one in range(cuts)]
    ends.append(int(time.max()) + 1)
    if len(set(ends)) <= cuts or ends[0] <= int(time.min()):
        raise InputError("cuts", got=f"events whose times allow no {cuts} windows", expected="fewer cuts")
    first = np.full(data.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, data.user, time)
    windows = [(a, np.unique(data.user[(time >= a) & (time < b)]), b) for a, b in itertools.pairwise(ends)]
    known = [float((first[there] < a).mean()) for a, there, _ in windows]
    if np.mean(known) < 0.5:
        return [_visits(data, there, a, b, users, draw) for a, there, b in windows]
    return [_window(data, there[first[there] < a], a, b, users, draw) for a, there, b in windows]


def _window(data: Dataset, known: np.ndarray, a: int, b: int, most: int, draw: np.random.Generator) -> Cut:
    """All that some users, known before, did in a window."""
    assert data.time is not None  # its cuts are moments
    inside = (data.time >= a) & (data.time < b) & _some(known, data.n_users, most, draw)[data.user]
    return _cut(data, data.time < a, inside)


def _visits(data: Dataset, there: np.ndarray, a: int, b: int, most: int, draw: np.random.Generator) -> Cut:
    """The last fifth of what each of some users did in a window, given all that they did before."""
    assert data.time is not None  # its cuts are moments
    able = there[np.bincount(data.user[data.time < b], minlength=data.n_users)[there] > 1]
    rows = np.flatnonzero(_some(able, data.n_users, most, draw)[data.user] & (data.time < b))
    rows = rows[by_user_and_time(data.user[rows], data.time[rows])]
    user = data.user[rows]
    within = np.bincount(user, weights=data.time[rows] >= a, minlength=data.n_users)
    from_end = np.searchsorted(user, user, side="right") - np.arange(len(user))  # 1 for a user's last event
    last = from_end <= np.maximum(within[user] // _HIDDEN, 1)
    hidden, given = (np.isin(np.arange(len(data)), rows[part]) for part in (last, ~last))
    return _cut(data, data.time < a, hidden, given)


def _one_hidden(data: Dataset, most: int, draw: np.random.Generator) -> Cut:
    """One random event of each of some users."""
    counts = np.bincount(data.user, minlength=data.n_users)
    rows = np.flatnonzero(_some(np.flatnonzero(counts > 1), data.n_users, most, draw)[data.user])
    order = rows[np.lexsort((draw.random(len(rows)), data.user[rows]))]
    hidden = np.zeros(len(data), bool)
    hidden[order[np.append(True, data.user[order][1:] != data.user[order][:-1])[: len(order)]]] = True
    return _cut(data, ~hidden, hidden)


def _cut(data: Dataset, train: np.ndarray, test: np.ndarray, given: np.ndarray | None = None) -> Cut:
    pair = data.user.astype(np.int64) * data.n_items + data.item
    had = np.isin(pair, pair[train if given is None else given])
    repeats = len(np.unique(pair[test & had])) / max(len(np.unique(pair[test])), 1)
    every = data.take(test) if repeats else None
    test = test & ~had
    known = np.isin(data.item, np.unique(data.item[train]))
    if not (test & known).any():
        raise InputError("cuts", got="a window in which no user takes a known item anew", expected="fewer cuts")
    new_items = 1 - len(np.unique(pair[test & known])) / len(np.unique(pair[test]))
    before = None if given is None else data.take(given)
    return Cut(data.take(train), data.take(test), before, repeats, new_items, every)


def _some(able: np.ndarray, n_users: int, most: int, draw: np.random.Generator) -> np.ndarray:
    """Whether a user is one of at most so many of the able ones, bool (users,)."""
    chosen = np.zeros(n_users, bool)
    chosen[able if len(able) <= most else draw.choice(able, most, replace=False)] = True
    return chosen


def next_interval(scores: np.ndarray, level: float = 0.9) -> tuple[float, float]:
    """Where the score of one more cut lies with this chance: Student's t over cuts, whose spread holds that of users.

    Args:
        scores: mean score of each cut, (cuts,), two or more; taken as draws of one normal law, which they are roughly.
        level: chance.
    """
    n = len(scores)
    if n < 2:
        raise InputError("scores", got=n, expected="two cuts or more")
    half = float(student.ppf((1 + level) / 2, n - 1)) * float(np.std(scores, ddof=1)) * np.sqrt(1 + 1 / n)
    return float(np.mean(scores) - half), float(np.mean(scores) + half)
