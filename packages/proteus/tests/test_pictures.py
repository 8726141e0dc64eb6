"""What pictures of a run show, from the artists that are drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from ninefold.report import BLUE, ORANGE
from proteus import Budget, Study
from proteus.planning._headline import unit_of
from proteus.record._objects import DatasetProfile, Factor, Finding
from proteus.record._run_folder import Folder
from proteus.verification._outcome_plots import picture_of_survival
from proteus.verification._plots import draw
from proteus.verification._quality_plots import picture_of_quality
from proteus.verification._strips import pictures_of_samples

from .helpers import noise, table
from .test_tools import cells as cells


def predicts(row, target="days/died"):
    return Finding(
        id=f"O1.S2.v1.features#{row}", objective="O1", entity=row.upper(), relation="predicts", target=target, sign=1,
        artifact="O1.S2.v1.features", row=row,
    )  # fmt: skip


def test_kaplan_meier_curves_are_those_of_the_halves_above_and_below_the_median():
    values = np.array([[5.0, 1, 4, 2, 6, 3, np.nan], [1.0, 2, 3, 4, 5, 6, 7]])
    data = table(values, days=[2.0, 9, 4, 7, 4, 8, 1], died=[1, 0, 1, 1, 0, 0, 1])
    name, caption, made = picture_of_survival(data, [predicts("f0"), predicts("f1"), predicts("f0")])
    assert name == "survival"
    assert "95 % bands" in caption
    first, second = made.axes
    assert [one.get_title() for one in (first, second)] == ["F0", "F1"]
    above, below = (one for one in first.lines if one.get_drawstyle() == "steps-post")
    assert [to_hex(one.get_color()) for one in (above, below)] == [ORANGE, BLUE]
    np.testing.assert_array_equal(above.get_xdata(), [0, 2, 4])
    np.testing.assert_allclose(above.get_ydata(), [1, 2 / 3, 1 / 3])  # at 4 days one dies while two are at risk
    np.testing.assert_allclose(below.get_ydata(), [1, 2 / 3, 2 / 3, 2 / 3])
    assert [one.get_text() for one in first.get_legend().texts] == ["above (n 3, 2 events)", "below (n 3, 1 events)"]
    assert first.get_xlabel() == "days"
    assert picture_of_survival(data, []) is None


def test_spread_is_the_coefficient_of_variation_and_gaps_are_shares():
    values = noise(200, 8, sd=0.2)
    values[:50, 4:] = np.nan
    _, caption, made = picture_of_quality(table(values), table(values, group=["a"] * 4 + ["b"] * 4).samples["group"])
    by_sample, by_level, spread = made.axes
    shares = np.concatenate([one.get_ydata() for one in by_sample.lines if len(one.get_ydata())])
    np.testing.assert_allclose(shares, [0] * 4 + [25] * 4)
    assert len(by_level.lines[0].get_xdata()) == 20
    raw = np.log(2) * values[:, :4].std(axis=1, ddof=1)
    expected = 100 * np.sqrt(np.exp(raw**2) - 1)
    np.testing.assert_allclose(spread.lines[0].get_xdata(), np.sort(expected))
    assert len(spread.lines[2].get_xdata()) == 150  # of features that the group has
    assert spread.lines[1].get_xdata() == pytest.approx([np.median(expected)])
    assert "missing" in caption
    whole = picture_of_quality(table(noise(50, 6)), None)
    assert len(whole[2].axes) == 1
    assert "missing" not in whole[1]


def test_cells_are_drawn_by_type_with_the_medians_of_their_markers(cells, tmp_path):
    markers = {"CD20": "type", "CD3": "type", "pS6": "state", "pErk": "state"}
    rules = {"B cells": {"CD20": "+", "CD3": "-"}, "T cells": {"CD20": "-", "CD3": "+"}}
    Study(cells, markers=markers, rules=rules).run(Budget(objectives=1), out=tmp_path / "run")
    folder = Folder(tmp_path / "run")
    made = {name: (caption, picture) for name, caption, picture in pictures_of_samples(folder, None)}
    shades, *_ = made["markers"][1].axes
    names = [one.get_text() for one in shades.get_yticklabels()]
    assert sorted(names) == ["B cells (640)", "T cells (640)"]
    assert [one.get_text() for one in shades.get_xticklabels()][:2] == ["CD20", "CD3"]
    drawn = shades.images[0].get_array()
    assert drawn[names.index("B cells (640)"), :3].tolist() == [1.0, 0.0, 1.0]
    assert {name for name, _ in draw(folder)} >= {"markers.png"}


def test_units_of_axes_are_those_of_the_effect():
    profile = DatasetProfile(kind="protein", scale="log2", features=9, samples=9,
                             factors=[Factor(name="dose", levels={"d1": 3, "d2": 3, "d3": 3})])  # fmt: skip
    assert unit_of("changed_in", "a-b", profile) == "log2 change"
    assert unit_of("follows", "age", profile) == "log2 change for each unit of age"
    assert unit_of("follows", "dose", profile) == "log2 change for each step of dose"
    assert unit_of("predicts", "time/event", profile) == "log hazard ratio"
    scores = profile.model_copy(update={"scale": "score"})
    assert unit_of("changed_in", "a-b", scores) == "change in the table's own units"
