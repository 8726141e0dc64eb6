import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import ProteomicsData, datasets, from_matrix, profile
from proteus.data._design import count_pairs
from proteus_experiments.baselines import BASELINES
from proteus_experiments.baselines._peptides import RobustSummary, robust_summary
from scipy import stats

from .helpers import noise, table


def test_embedded_set_is_whole():
    data = datasets.ups1_peptides()
    assert data.shape == (10_599, 12)
    assert (data.features["species"] == "UPS1").sum() == 392
    assert data.samples["group"].value_counts().to_dict() == {"fmol25": 4, "fmol50": 4, "fmol100": 4}


@pytest.mark.parametrize(
    ("features", "samples", "message"),
    [
        (["a", "a"], ["x", "y"], "feature id.*1 duplicated, e.g. 'a'"),
        (["a", ""], ["x", "y"], "feature id in row 2.*empty name"),
        (["a", "b"], ["x", "x"], "sample name.*duplicated"),
        (["a"], ["x", "y"], "values.*shape"),
    ],
)
def test_inconsistent_tables_are_refused(features, samples, message):
    with pytest.raises(InputError, match=message):
        from_matrix(np.ones((2, 2)), features, pd.DataFrame(index=samples))


def test_infinite_values_are_named():
    values = np.ones((2, 2))
    values[1, 0] = -np.inf
    with pytest.raises(InputError, match=r"infinite value.*zeros are missing"):
        from_matrix(values, ["a", "b"], pd.DataFrame(index=["x", "y"]))


def test_take_and_factor():
    data = table(noise(4, 3), group=["a", "b", "a"])
    part = data.take(features=[2, 0], samples=np.array([True, False, True]))
    assert part.features.index.tolist() == ["f2", "f0"]
    assert part.shape == (2, 2)
    with pytest.raises(InputError, match=r"'nope'.*one of: group"):
        data.factor("nope")


def test_anndata_has_samples_in_rows():
    pytest.importorskip("anndata")
    data = table(noise(4, 3), group=["a", "b", "a"])
    found = data.to_anndata()
    assert found.shape == (3, 4)
    assert found.obs["group"].tolist() == ["a", "b", "a"]


def test_profile_sees_batch_missingness_and_outcome():
    values = noise(300, 12, sd=0.2)
    values[:, 6:] += np.random.default_rng(0).normal(0, 1, (300, 1))
    values[values < 23] = np.nan
    values[:, 4] += np.random.default_rng(1).normal(0, 3, 300)
    columns = {
        "batch": ["x"] * 6 + ["y"] * 6,
        "group": ["a", "b"] * 6,
        "run": ["x1"] * 6 + ["y1"] * 6,
        "alone": ["q"] + ["r"] * 11,
    }
    found = profile(table(values, **columns, time=list(range(1, 13)), event=[0, 1] * 6))
    assert found.outcome == ("time", "event")
    assert found.aliasing.loc["batch", "run"] == pytest.approx(1)
    assert found.variance_explained.loc["batch"].max() > 0.5 > found.variance_explained.loc["group"].max()
    assert found.outliers == ["s4"]
    assert any("batch and run cannot be told apart: batch x run: x x1=6 y1=0" in one for one in found.warnings)
    assert any("one replicate only: alone q" in one for one in found.warnings)


@pytest.mark.parametrize("name", ["time", "Time", "time_days", "os_time", "survival_months", "follow_up"])
def test_follow_up_is_told_by_name(name):
    found = profile(table(noise(20, 12), **{name: list(range(1, 13)), "status": [0, 1] * 6}))
    assert found.outcome == (name, "status")


@pytest.mark.parametrize("name", ["timepoint", "time_point", "timepoint_h"])
def test_a_point_in_time_is_no_follow_up(name):
    found = profile(table(noise(20, 12), **{name: [0, 2, 4, 8] * 3, "status": [0, 1] * 6}))
    assert found.outcome is None
    assert found.numbers == [name]


def test_import_is_light():
    heavy = "('torch', 'matplotlib', 'pandas', 'scipy')"
    code = f"import sys, proteus, proteus.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FIRST = np.arange(10) < 5


@pytest.mark.parametrize("name", BASELINES)
def test_rival_finds_planted_and_little_else(name):
    values = noise(500, 10, sd=0.2)
    values[:40, :5] += 2
    counts = np.random.default_rng(0).integers(1, 20, 500).astype(float)
    found = BASELINES[name]().test(values, FIRST, ~FIRST, seed=0, n_peptides=counts)
    hit = found.q <= 0.05
    assert hit[:40].sum() >= 36
    assert hit[40:].sum() <= 6
    assert found.effect[:40].mean() == pytest.approx(2, abs=0.2)


def test_welch_and_student_equal_scipys():
    values = noise(6, 10)
    values[0, 1] = np.nan
    for name, equal in (("Welch", False), ("Student", True)):
        found = BASELINES[name]().test(values, FIRST, ~FIRST, seed=0, n_peptides=None).p
        expected = [
            stats.ttest_ind(row[FIRST][~np.isnan(row[FIRST])], row[~FIRST], equal_var=equal).pvalue for row in values
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_sam_is_quiet_without_signal():
    found = BASELINES["SAM s0"]().test(noise(800, 10), FIRST, ~FIRST, seed=0, n_peptides=None)
    assert (found.q <= 0.05).sum() <= 2


def test_saved_table_opens_as_it_was(tmp_path):
    data = table(noise(4, 3), group=["a", "b", "a"]).with_values(noise(4, 3), "a note")
    data.save(tmp_path / "t")
    again = ProteomicsData.open(tmp_path / "t")
    np.testing.assert_array_equal(again.values, data.values)
    pd.testing.assert_frame_equal(again.samples, data.samples)
    assert again.notes == ["a note"]


@pytest.mark.parametrize("name", BASELINES)
def test_a_fold_bar_is_the_same_question_for_each_rival(name):
    """Changes of 0.6 at a bar of 1.0 are no hits; changes of 3 are; with no bar it is the test as it was."""
    values = noise(400, 10, sd=0.1)
    values[:20, FIRST] += 0.6
    values[20:40, FIRST] += 3.0
    counts = np.full(400, 4.0)
    q = BASELINES[name](lfc=1.0).test(values, FIRST, ~FIRST, seed=0, n_peptides=counts).q
    assert (q[20:40] <= 0.05).mean() >= 0.9
    assert (np.delete(q, np.arange(20, 40)) <= 0.05).sum() == 0
    plain = BASELINES[name]().test(values, FIRST, ~FIRST, seed=0, n_peptides=counts).q
    assert (plain[:20] <= 0.05).mean() >= 0.9


def test_robust_summary_is_least_squares_without_outliers_and_stands_one():
    rng = np.random.default_rng(0)
    runs = rng.normal(0, 1, (50, 6))
    peptides = rng.normal(25, 2, (50, 4))
    clean = (runs[:, None, :] + peptides[:, :, None]).reshape(200, 6)
    codes = np.repeat(np.arange(50), 4)
    mean = clean.reshape(50, 4, 6).mean(1)
    np.testing.assert_allclose(robust_summary(clean, codes), mean, atol=1e-9)
    noisy = clean + rng.normal(0, 0.02, clean.shape)
    noisy[::4, 2] += 5.0  # one peptide of each protein, in one run
    noisy[1::4, 4] = np.nan
    found = robust_summary(noisy, codes)
    assert np.abs(found - mean)[:, [0, 1, 3, 5]].max() < 0.15
    assert np.median(np.abs(found - mean)[:, 2]) < 0.1  # the mean would be 1.25 off


def test_peptide_rival_finds_changes_and_keeps_to_its_bar():
    rng = np.random.default_rng(1)
    values = rng.normal(25, 2, (1200, 1)) + rng.normal(0, 0.2, (1200, 8))
    codes = np.repeat(np.arange(400), 3)
    first = np.arange(8) < 4
    values[np.ix_(codes < 40, first)] += 0.8
    found = RobustSummary().test(values, codes, first, ~first)
    assert (found.q[:40] <= 0.05).mean() > 0.9
    assert (found.q[40:] <= 0.05).mean() < 0.02
    assert (RobustSummary(lfc=1.0).test(values, codes, first, ~first).q[:40] <= 0.05).mean() < 0.1


def test_pairs_of_levels_are_counted_as_pandas_does():
    draw = np.random.default_rng(0)
    levels = np.array(["b", "a", "c", None], dtype=object)
    for length in range(1, 30):
        words = pd.Series(levels[draw.integers(0, 4, length)])
        ordered = pd.Series(pd.Categorical(words, ["c", "unused", "b", "a"]))
        numbers = pd.Series(draw.integers(0, 3, length).astype(float)).where(draw.random(length) < 0.8)
        for one, other in ((words, numbers), (numbers, ordered), (ordered, numbers > 1), (words, words)):
            counts, expected = count_pairs(one, other), pd.crosstab(one, other).to_numpy()
            assert counts.size == expected.size
            assert expected.size == 0 or np.array_equal(counts, expected)
