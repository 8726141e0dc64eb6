"""Models that follow the days: items learn in `partial_fit`, new ones join, and the order of events is kept."""

import numpy as np
import pytest
import recsys
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from recsys import EASE, IALS, Dataset, Trend
from recsys.data._history import by_user_and_time

from .helpers import events


def later(users=("u1", "newcomer"), items=("i0", "fresh")):
    frame = {"who": [*users] * 2, "what": [*items, *reversed(items)], "when": 1_700_000_000 + np.arange(4)}
    return Dataset.from_frame(frame, user="who", item="what", time="when")


@pytest.mark.parametrize("options", [{}, {"half_life": 30.0}, {"transform": "bm25"}])
def test_items_learn_and_new_ones_join(options, tmp_path):
    data = events(60, 30, 900, text=True)
    model = IALS(factors=8, reg=0.05, **options).fit(data)
    before, old = model.user_factors_.copy(), model.item_factors_.copy()
    model.partial_fit(later(), items=True)
    fresh, new = model.item_ids_.code("fresh"), model.user_ids_.code("newcomer")
    assert np.abs(model.item_factors_[fresh]).max() > 0
    touched = np.array([model.user_ids_.code("u1"), new])
    rows = model._rows(model.history_)
    np.testing.assert_allclose(
        model.user_factors_[touched], model._solve(rows, model.item_factors_)[touched], rtol=1e-3, atol=1e-5
    )  # as a fold-in of all that they had
    others = np.setdiff1d(np.arange(len(before)), touched)
    np.testing.assert_array_equal(model.user_factors_[others], before[others])
    same = np.setdiff1d(np.arange(len(old)), [model.item_ids_.code("i0")])
    np.testing.assert_array_equal(model.item_factors_[same], old[same])
    assert model.popular_[fresh] == 2
    assert recsys.load(model.save(tmp_path / "m")).recommend(k=3).equals(model.recommend(k=3))
    assert "fresh" in model.recommend(["u2"], k=40)["what"].to_pylist()


def test_a_trend_follows_and_other_models_refuse():
    data = events(60, 30, 900, text=True)
    model = Trend(model=IALS(factors=8)).fit(data).partial_fit(later(), items=True)
    assert len(model.item_scale_) == len(model.item_ids_) == data.warm().n_items + 1
    with pytest.raises(InputError, match=r"items.*IALS"):
        Trend(model=EASE()).fit(data).partial_fit(later(), items=True)


def test_refused_events_leave_the_model_as_it_was():
    model = IALS(factors=4).fit(events(60, 30, 900, text=True))
    users, items = len(model.user_ids_), len(model.item_ids_)
    with pytest.raises(InputError, match="time"):
        model.partial_fit(Dataset.from_frame({"u": ["u1"], "i": ["i1"]}, user="u", item="i"), items=True)
    assert (
        (len(model.user_ids_), len(model.item_ids_))
        == (users, items)
        == (len(model.user_factors_), model.history_.n_items)
    )


@settings(deadline=None)  # scipy is loaded in the first
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=40))
def test_events_are_ordered_by_user_then_time_then_place(rows):
    user, time = (np.array([row[side] for row in rows], np.int64) for side in (0, 1))
    np.testing.assert_array_equal(by_user_and_time(user, time), np.lexsort((time, user)))
    order = np.argsort(time, kind="stable")
    np.testing.assert_array_equal(by_user_and_time(user[order], time[order]), np.lexsort((time[order], user[order])))


@settings(deadline=None)  # scipy is loaded in the first
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 50)), min_size=1, max_size=40))
def test_a_pair_weighs_as_its_latest_event(rows):
    user, item, day = (np.array([row[side] for row in rows]) for side in range(3))
    frame = {"u": user, "i": item, "t": day * 86400 + 1_600_000_000}
    data = Dataset.from_frame(frame, user="u", item="i", time="t")
    X = data.history().matrix(half_life=7.0).toarray()
    for u, i in zip(user, item, strict=True):
        age = day.max() - day[(user == u) & (item == i)].max()
        place = data.user_ids.code(int(u)), data.item_ids.code(int(i))
        assert X[place] == pytest.approx(2 ** (-age / 7), rel=1e-5)
    assert (X > 0).sum() == len(set(zip(user, item, strict=True)))
