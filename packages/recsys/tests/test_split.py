"""Splits to the event: which rows lie on which side, what the edges are, what is refused."""

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from recsys import Dataset


def data_of(users, times=None):
    table = {"user": list(users), "item": [f"i{row}" for row in range(len(users))]}
    if times is not None:
        table["time"] = pd.to_datetime(np.array(times), unit="D", origin="2024-01-01")
    return Dataset.from_frame(pd.DataFrame(table), user="user", item="item", time="time" if times is not None else None)


def items(data):
    return {data.item_ids.values[one].as_py() for one in data.item}


def users(data):
    return [data.user_ids.values[one].as_py() for one in data.user]


def numbers(*rows):
    return {f"i{row}" for row in rows}


def test_time_takes_the_share_from_the_cut_on_and_a_cut_itself_is_late():
    data = data_of("abcde", [5, 1, 4, 2, 3])
    train, test = data.split.time(test=0.4)
    assert (items(train), items(test)) == (numbers(1, 3, 4), numbers(0, 2))
    train, test = data.split.time(test=0.3)  # between two events the later one is the cut: fewer, not more
    assert items(test) == numbers(0, 2)
    train, test = data.split.time("2024-01-04")
    assert (items(train), items(test)) == (numbers(1, 3), numbers(0, 2, 4))


@pytest.mark.parametrize(("cut", "side"), [("2020-01-01", "before it"), ("2030-01-01", "from it on")])
def test_time_names_the_side_that_is_empty(cut, side):
    with pytest.raises(InputError, match=f"no event {side}.*2024-01-02.*2024-01-04"):
        data_of("aab", [1, 2, 3]).split.time(cut)


def test_leave_last_out_goes_by_time_then_by_row_and_keeps_short_users_whole():
    data = data_of("aabaabb", [3, 1, 9, 3, 2, 9, 1])
    train, test = data.split.leave_last_out()
    assert items(test) == numbers(3, 5)  # of equal times the later row
    train, test = data.split.leave_last_out(3)
    assert (items(train), items(test)) == (numbers(1, 2, 5, 6), numbers(0, 3, 4))  # b has three events: none goes
    with pytest.raises(InputError, match="n: got 0"):
        data.split.leave_last_out(0)
    with pytest.raises(InputError, match="no user has more"):
        data.split.leave_last_out(4)


def test_user_held_out_shares_out_each_held_users_events():
    data = data_of("aaaaabbbbbccddddde")
    train, fold, later = data.split.user_held_out(2, fold_in=0.8, seed=3)
    held = set("abcde") - set(users(train))
    assert len(held) == 2
    assert "e" not in held
    assert items(train) | items(fold) | items(later) == items(data)
    assert len(train) + len(fold) + len(later) == len(data)
    for user in held:
        total = "aaaaabbbbbccddddde".count(user)
        kept = users(fold).count(user)
        assert kept == min(max(round(total * 0.8), 1), total - 1)
    assert items(data.split.user_held_out(2, fold_in=0.8, seed=3)[1]) == items(fold)
    assert len(data.split.user_held_out(0.4, seed=0)[1].user_ids) == 2  # a share is of all users with events


@pytest.mark.parametrize("wanted", [0, 5])
def test_user_held_out_says_how_many_users_it_can_hold(wanted):
    with pytest.raises(InputError, match=f"{wanted} users to hold out.*1 to 3 with 2 events"):
        data_of("aabbccd").split.user_held_out(wanted)


def test_kfold_shares_out_every_event_once_in_even_parts():
    data = data_of("aabbccddee")
    parts = list(data.split.kfold(3, seed=1))
    assert sorted(len(test) for _, test in parts) == [3, 3, 4]
    assert set().union(*(items(test) for _, test in parts)) == items(data)
    assert all(items(train) == items(data) - items(test) for train, test in parts)
    assert [items(test) for _, test in data.split.kfold(3, seed=1)] == [items(test) for _, test in parts]
    assert [items(test) for _, test in data.split.kfold(3, seed=2)] != [items(test) for _, test in parts]
    for k in (1, 11):
        with pytest.raises(InputError, match="2 to 10"):
            next(data.split.kfold(k))


def test_rows_takes_the_share_to_the_event():
    data = data_of("aabbccddee")
    train, test = data.split.rows(0.26, seed=4)
    assert (len(train), len(test)) == (7, 3)
    assert items(train) | items(test) == items(data)
    assert items(data.split.rows(0.26, seed=5)[1]) != items(test)
    with pytest.raises(InputError, match="leaves one side empty"):
        data.split.rows(0.01)
    for share in (0, 1):
        with pytest.raises(InputError, match="between 0 and 1"):
            data.split.rows(share)
