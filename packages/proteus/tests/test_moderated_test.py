import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import ProteomicsData, moderated_test, normalise
from proteus.data._design import make_contrast, make_design
from proteus.differential._moderated_test import auto_lfc, contrast_groups
from proteus.statistics._detection import missing_falls_with_intensity
from proteus.statistics._moderated_t import z_of
from scipy import stats

from .helpers import noise, table

GROUP = ["a"] * 5 + ["b"] * 5


def planted(sd=0.3, shift=1.5, features=400, seed=0):
    values = noise(features, 10, seed, sd=sd)
    values[:20, :5] += shift
    return table(values, group=GROUP)


def test_planted_proteins_are_found_with_their_sign_and_size():
    result = moderated_test(planted(), "~ group", "a-b")
    hits = set(result.hits().index)
    assert len(hits & {f"f{place}" for place in range(20)}) >= 18
    assert len(hits) <= 23
    np.testing.assert_allclose(result.table["effect"].iloc[:20].mean(), 1.5, atol=0.2)
    inside = (result.table["ci_low"] <= 1.5) & (result.table["ci_high"] >= 1.5)
    assert inside.iloc[:20].mean() >= 0.8


def test_swapping_the_contrast_swaps_the_sign():
    one, other = (moderated_test(planted(), "~ group", c).table for c in ("a-b", "b-a"))
    np.testing.assert_allclose(one["effect"], -other["effect"], atol=1e-9)
    np.testing.assert_allclose(one["p"], other["p"], rtol=1e-9)


def test_p_is_uniform_without_signal():
    p = moderated_test(planted(shift=0, features=3000), "~ group", "a-b", lfc=0.0).table["p"]
    assert stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize(("sd", "bar"), [(0.05, 1.5), (0.2, 1.2), (0.5, 1.0)])
def test_fold_bar_follows_the_residual_sd(sd, bar):
    assert 2 ** auto_lfc(sd)[0] == pytest.approx(bar)


def test_technical_replicates_are_said_to_be_so():
    assert any("technical replicates" in note for note in moderated_test(planted(sd=0.05), "~ group", "a-b").notes)


def test_missing_correlation_sees_weak_features_missing():
    values = noise(500, 10)
    assert np.isnan(missing_falls_with_intensity(values))
    weak = values.mean(1, keepdims=True) < 24
    lost = np.where(weak & (np.random.default_rng(0).random(values.shape) < 0.5), np.nan, values)
    assert missing_falls_with_intensity(lost) < -0.5


def test_z_keeps_huge_statistics_apart():
    z = z_of(np.array([5.0, 300.0, 400.0]), np.array([1e4, 1e4, 1e4]))
    assert np.isfinite(z).all()
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose(
        z_of(np.array([-2.0]), np.array([5.0]))[0], stats.norm.ppf(stats.t.cdf(-2, 5)), rtol=1e-10
    )


def sheet(**columns):
    return pd.DataFrame(columns, index=[f"s{place}" for place in range(len(next(iter(columns.values()))))])


def test_design_codes_factors_numbers_and_interactions():
    samples = sheet(group=["b", "a", "b", "a"], age=[1.0, 2.0, 3.0, 5.0])
    design = make_design(samples, "~ group + age")
    assert design.names == ["Intercept", "groupb", "age"]
    np.testing.assert_array_equal(design.matrix[:, 1], [1, 0, 1, 0])
    assert make_design(samples, "~ 0 + group").names == ["groupa", "groupb"]
    assert make_design(samples, "~ group * age").names == ["Intercept", "groupb", "age", "groupb:age"]
    np.testing.assert_array_equal(make_contrast(design, "b-a"), [0, 1, 0])
    np.testing.assert_array_equal(make_contrast(design, "2*age"), [0, 0, 2])


def test_contrasts_are_arithmetic_over_level_means():
    samples = sheet(group=["a", "b", "c-1"] * 2)
    for formula in ("~ group", "~ 0 + group"):
        design = make_design(samples, formula)
        means = design.matrix[:3]
        np.testing.assert_allclose(make_contrast(design, "(a+b)/2-c-1"), (means[0] + means[1]) / 2 - means[2])
    assert contrast_groups(make_design(samples, "~ group"), "a-c-1")[1].tolist() == [False, False, True] * 2


@pytest.mark.parametrize(
    ("formula", "contrast", "message"),
    [
        ("group", "a-b", "formula such as"),
        ("~ nope", "a-b", "column 'nope'.*columns of samples: group, site"),
        ("~ group", "a-z", "arithmetic over: .*a, b"),
        ("~ group", "a-a", "zero"),
        ("~ site + group", "a-b", "aliased.*site x group: n a=0 b=5; s a=5 b=0"),
        ("~ group", "a", "'a', a level itself, expected a difference"),
        ("~ 0 + group", "(a+b)/2", "a level itself"),
        ("~ group", "a-1", "a number added to a level"),
        ("~ group", "a*b-b", "a product or quotient of levels"),
        ("~ group", "1/a", "a product or quotient of levels"),
        ("~ group", "a/0-b", "a division by zero"),
        ("~ group + group:site", "a-b", r"group:site without site, expected the main effects too, group\*site"),
        ("~ 0 + group:site", "a-b", "group:site without group, site"),
    ],
)
def test_bad_designs_are_named_with_their_crosstab(formula, contrast, message):
    data = table(noise(60, 10), group=GROUP, site=["s"] * 5 + ["n"] * 5)
    with pytest.raises(InputError, match=message):
        moderated_test(data, formula, contrast)


def test_the_mean_of_ratios_may_be_tested_against_zero():
    ratios = noise(60, 6) - 25
    ratios -= np.median(ratios, axis=1, keepdims=True)
    ratios[:5] += 2
    result = moderated_test(table(ratios, group=list("aaabbb")), "~ 0 + group", "(a+b)/2")
    assert set(result.hits().index) >= {"f0", "f1", "f2", "f3", "f4"}


def test_one_replicate_and_one_level_are_named():
    with pytest.raises(InputError, match="one replicate"):
        moderated_test(table(noise(60, 2), group=["a", "b"]), "~ group", "a-b")
    with pytest.raises(InputError, match=r"factor 'group'.*one level"):
        moderated_test(table(noise(60, 4), group=["a"] * 4), "~ group", "a-b")


def test_samples_without_a_value_are_left_out_and_said():
    data = planted()
    data = ProteomicsData(data.values, data.features, data.samples.assign(site=["x", "y"] * 4 + [None, "y"]))
    result = moderated_test(data, "~ site + group", "a-b")
    assert any("1 samples lack" in note for note in result.notes)
    assert result.table["n"].max() == 9


def test_blocks_gain_power_on_paired_data():
    rng = np.random.default_rng(0)
    values = noise(300, 12, sd=0.2) + np.repeat(rng.normal(0, 1, (300, 6)), 2, axis=1)
    values[:30, ::2] += 0.6
    data = table(values, group=["a", "b"] * 6, donor=[f"d{place // 2}" for place in range(12)])
    blocked = moderated_test(data, "~ group", "a-b", block="donor", lfc=0.0)
    assert len(blocked.hits()) > 2 * len(moderated_test(data, "~ group", "a-b", lfc=0.0).hits())
    assert any("consensus correlation" in note for note in blocked.notes)


def test_all_missing_and_constant_rows_do_not_disturb_the_rest():
    data = planted()
    values = data.values.copy()
    values[50] = np.nan
    values[51] = 25.0
    result = moderated_test(data.with_values(values), "~ group", "a-b")
    assert np.isnan(result.table["p"].iloc[50])
    assert result.table["p"].iloc[51] > 0.5
    assert len(result.hits()) >= 18


def test_counts_are_not_tested():
    with pytest.raises(InputError, match="counts"):
        moderated_test(table(noise(60, 10), group=GROUP).with_values(noise(60, 10), scale="counts"), "~ group", "a-b")


def test_score_tables_are_not_normalised():
    with pytest.raises(InputError, match="log2"):
        normalise(table(noise(60, 4)).with_values(noise(60, 4), scale="score"))
