"""Moving cuts: one log, several moments at which a model could have been launched; and what they say of the next."""

from __future__ import annotations

import itertools

import numpy as np
from ninefold.errors import InputError
from scipy.stats import t as student

from recsys.data._dataset import Dataset


def moving_cuts(
    data: Dataset, cuts: int = 5, *, share: float = 0.08, users: int = 2000, seed: int = 0
) -> list[tuple[Dataset, Dataset]]:
    """(events before, events from it to the next cut) of each moment, oldest first; each window holds as many events.

    Without times each cut hides one random event of each user instead.

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
        parts = [_one_hidden(data, np.random.default_rng([seed, one])) for one in range(cuts)]
    else:
        time = data.time
        ends = [int(np.quantile(time, 1 - share * (cuts - one), method="higher")) for one in range(cuts)]
        ends.append(int(time.max()) + 1)
        if len(set(ends)) <= cuts or ends[0] <= int(time.min()):
            raise InputError("cuts", got=f"events whose times allow no {cuts} windows", expected="fewer cuts")
        parts = [(data.take(time < a), data.take((time >= a) & (time < b))) for a, b in itertools.pairwise(ends)]
    return [(train, _some_users(test, users, draw)) for train, test in parts]


def _one_hidden(data: Dataset, draw: np.random.Generator) -> tuple[Dataset, Dataset]:
    order = np.lexsort((draw.random(len(data)), data.user))
    counts = np.bincount(data.user, minlength=data.n_users)
    first = np.append(True, data.user[order][1:] != data.user[order][:-1]) & (counts[data.user[order]] > 1)
    if not first.any():
        raise InputError("cuts", got="no user with two events", expected="users to hide an event of")
    hidden = np.zeros(len(data), bool)
    hidden[order[first]] = True
    return data.take(~hidden), data.take(hidden)


def _some_users(test: Dataset, most: int, draw: np.random.Generator) -> Dataset:
    if test.n_users <= most:
        return test
    chosen = np.zeros(test.n_users, bool)
    chosen[draw.choice(test.n_users, most, replace=False)] = True
    return test.take(chosen[test.user])


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
