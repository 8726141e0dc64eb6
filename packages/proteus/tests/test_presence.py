import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study
from proteus.knowledge._describe import describe
from proteus.statistics._detection import detection_p
from proteus.tools._context import Context
from proteus.tools._registry import tools
from proteus.tools._tools_presence import Presence
from scipy import stats


def gappy(features=200, per_group=12, seed=0):
    """A third of all values are missing at random; f0 is seen in a alone, f1 in b alone."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(20, 30, (features, 1)) + 0.3 * rng.standard_normal((features, 2 * per_group))
    values[rng.random(values.shape) < 0.33] = np.nan
    values[:2] = 24 + 0.1 * rng.standard_normal((2, 2 * per_group))
    values[0, per_group:] = values[1, :per_group] = np.nan
    sheet = pd.DataFrame(
        {"group": ["a"] * per_group + ["b"] * per_group}, index=[f"s{k}" for k in range(2 * per_group)]
    )
    return ProteomicsData(values, pd.DataFrame(index=[f"f{k}" for k in range(features)]), sheet)


def test_detection_p_is_fishers():
    rng = np.random.default_rng(0)
    sizes = np.array([7, 9])
    counts = np.stack([rng.integers(0, 8, 60), rng.integers(0, 10, 60)], 1)
    expected = [np.nan if a + b in (0, 16) else stats.fisher_exact([[a, 7 - a], [b, 9 - b]]).pvalue for a, b in counts]
    np.testing.assert_allclose(detection_p(counts, sizes), expected)


def test_the_objective_finds_what_one_group_lacks_and_nothing_in_random_gaps():
    report = Study(gappy()).run(Budget(objectives=6))
    answer = next(one for one in report.answers if one.objective.template == "on_off")
    assert {(one.entity, one.sign) for one in answer.findings()} == {("f0", -1), ("f1", 1)}
    for one in report.hypotheses:  # the contrast finds the same: both are evidence of one hypothesis
        if one.entities[0] in ("f0", "f1"):
            assert any(key.startswith(f"{answer.objective.id}.") for key in one.evidence)
    alone = Study(gappy()).run(Budget(objectives=12)).statements
    assert any(text.startswith("f1 is seen in 12 of 12 in b, not seen in 12 of 12 in a (exact p ") for text in alone)
    grades = {one.grade for one in report.hypotheses if one.entities[0] in ("f0", "f1")}
    assert grades <= {"A", "B"}


def test_the_objective_needs_gaps_and_five_runs_a_level():
    full = gappy().with_values(np.nan_to_num(gappy().values, nan=20.0))
    for data in (full, gappy(per_group=4)):
        report = Study(data).run(Budget(objectives=12, steps=1))
        assert "group_contrast" in {one.objective.template for one in report.answers}
        assert "on_off" not in {one.objective.template for one in report.answers}


def test_a_level_that_is_not_there_is_named():
    data = gappy()
    with pytest.raises(InputError, match="'c' against 'a'"):
        tools()["presence"].run(Context(data, describe(data)), Presence(factor="group", positive="c", negative="a"), [])
