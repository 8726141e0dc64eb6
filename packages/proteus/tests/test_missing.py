"""Missing values in the likelihood: no draw, no order, and with nothing missing the moderated t."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from proteus import Budget, Study, moderated_test, normalise
from proteus.differential._missing import MissingModel
from proteus.statistics._censored import NO_CURVE, SeenCurve, censored_test, fit_seen_curve
from proteus.statistics._linear_model import fit_linear_model
from proteus_experiments import published
from scipy import optimize, special

from .helpers import needs_data, noise, table

GROUP = ["a"] * 4 + ["b"] * 4


def gaps(features=400, samples=8, seed=0, changed=40, shift=2.0, slope=1.2, middle=23.0, sd=0.25):
    """Values seen with probability expit(slope (value - middle)); the first features differ between a and b."""
    values = noise(features, samples, seed, sd=sd)
    values[: changed // 2, : samples // 2] += shift
    values[changed // 2 : changed, : samples // 2] -= shift
    draw = np.random.default_rng(seed + 1).random(values.shape)
    values[draw > special.expit(slope * (values - middle))] = np.nan
    return values[~np.isnan(values).all(1)]


def sheet(values):
    half = values.shape[1] // 2
    return table(values, group=["a"] * half + ["b"] * half)


def test_the_curve_is_that_of_the_draws():
    found = fit_seen_curve(gaps(4000, seed=3, changed=0), np.repeat([[1.0, 0], [0, 1.0]], 4, axis=0))
    assert found.slope == pytest.approx(1.2, abs=0.25)
    assert found.middle == pytest.approx(23, abs=0.4)


def test_a_feature_that_one_group_lacks_does_not_bend_the_curve():
    values, design = gaps(1000, seed=3, changed=0), np.repeat([[1.0, 0], [0, 1.0]], 4, axis=0)
    lost = values.copy()
    lost[np.flatnonzero(np.nanmean(values, axis=1) > 27)[:30], 4:] = np.nan
    assert fit_seen_curve(lost, design).slope > 0.9 * fit_seen_curve(values, design).slope
    assert fit_seen_curve(lost).slope < 0.8 * fit_seen_curve(values).slope  # over all samples it would


def test_where_missing_says_nothing_there_is_no_curve():
    values = noise(400, 8)
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    values[values < 24] += 0.0
    found = fit_seen_curve(values)
    assert abs(found.slope) < 0.1
    assert fit_seen_curve(noise(50, 8)) == NO_CURVE


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3]))
def test_the_signed_root_equals_a_direct_maximisation(seed, lfc):
    """Two groups, by hand: one optimizer over both means, one over the mean that the bar leaves free."""
    rng = np.random.default_rng(seed)
    y = rng.normal(24, 0.5, 8)
    missing = rng.random(8) < 0.4
    missing[[0, 4]] = False
    values = np.where(missing, np.nan, y)[None]
    design = np.repeat([[1.0, 0], [0, 1.0]], 4, axis=0)
    curve, variance = SeenCurve(-23.5, 1.0), 0.09

    def loss(mean):
        level = design @ mean
        off = np.where(missing, 0.0, y - level)
        return (off**2).sum() / (2 * variance) + np.logaddexp(0, curve.intercept + curve.slope * level)[missing].sum()

    best = optimize.minimize(loss, [24.0, 24.0], method="BFGS", options={"gtol": 1e-9})
    effect = best.x[0] - best.x[1]
    bar = np.sign(effect) * lfc
    held = optimize.minimize_scalar(
        lambda level: loss(np.array([level + bar, level])), bounds=(10, 40), method="bounded", options={"xatol": 1e-10}
    )
    expected = np.sign(abs(effect) - lfc) * np.sqrt(max(2 * (held.fun - best.fun), 0))
    fit = fit_linear_model(values, design)
    found = censored_test(fit, np.array([1.0, -1.0]), np.array([variance]), curve, np.array([0]), lfc=lfc)
    assert found.effect[0] == pytest.approx(effect, abs=2e-5)
    assert found.above[0] * found.width[0] == pytest.approx(expected, abs=2e-5)
    assert found.width[0] >= 1


@pytest.mark.parametrize("lfc", [0.0, 0.5])
def test_with_nothing_missing_it_is_the_moderated_t(lfc):
    data = table(noise(300, 8), group=GROUP)
    one, other = (moderated_test(data, "~ group", "a-b", lfc=lfc, missing=kind).table for kind in ("modelled", "seen"))
    np.testing.assert_array_equal(one["p"], other["p"])
    values = gaps()
    whole = ~np.isnan(values).any(1)
    one, other = (
        moderated_test(sheet(values), "~ group", "a-b", lfc=lfc, missing=kind).table[whole]
        for kind in ("modelled", "seen")
    )
    np.testing.assert_array_equal(one["p"], other["p"])
    fit = fit_linear_model(values[whole], np.repeat([[1.0, 0], [0, 1.0]], 4, axis=0))
    rows = np.arange(whole.sum())
    found = censored_test(fit, np.array([1.0, -1.0]), fit.sigma**2, SeenCurve(-23, 1.0), rows, lfc=lfc)
    effect, deviation = (part[:, 0] for part in fit.contrast(np.array([1.0, -1.0])))
    np.testing.assert_allclose(found.above, (np.abs(effect) - lfc) / (fit.sigma * deviation), rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(found.error, fit.sigma * deviation, rtol=1e-7)


def test_hits_do_not_depend_on_the_order_of_rows_or_columns():
    data = sheet(gaps())
    first = moderated_test(data, "~ group", "a-b").table
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(len(first)), rng.permutation(8)
    mixed = data.take(features=rows).take(samples=columns)
    other = moderated_test(mixed, "~ group", "a-b").table.loc[first.index]
    for name in ("effect", "t", "p", "q", "ci_low", "ci_high"):
        np.testing.assert_allclose(other[name], first[name], rtol=1e-9, atol=1e-12)
    assert set(first.index[first["q"] <= 0.05]) == set(other.index[other["q"] <= 0.05])


def test_a_feature_that_one_group_lacks_has_counts_and_no_fold_change():
    found = moderated_test(sheet(gaps(seed=2, shift=5.0, changed=120)), "~ group", "a-b")
    alone = found.table[found.table["only_in"] != 0]
    assert (alone["q"] <= 0.05).sum() >= 3
    assert alone[["effect", "ci_low", "ci_high"]].isna().all(axis=None)
    assert alone.loc[alone["p"].notna(), "exact_p"].between(0, 1).all()
    four = alone[alone["n"] == 4]
    np.testing.assert_allclose(four["exact_p"], 2 / 70)  # of 8 runs, four: as one-sided as can be, and doubled
    assert (np.sign(alone["t"]) == alone["only_in"])[alone["q"] <= 0.05].all()
    assert any("carry no fold change" in note for note in found.notes)


def test_one_value_in_one_group_alone_is_not_tested():
    values = gaps()
    values[5] = np.nan
    values[5, 0] = 30.0
    assert np.isnan(moderated_test(sheet(values), "~ group", "a-b").table["p"].iloc[5])
    values[5, 1] = 30.0
    assert moderated_test(sheet(values), "~ group", "a-b").table["p"].iloc[5] < 0.05


def test_a_contrast_that_the_seen_values_do_not_have_is_not_tested():
    """Seen in a at one site and in b at the other: the difference may be the site's."""
    values = gaps(samples=12)
    values[5] = np.nan
    values[5, :3] = values[5, 9:] = 26.0
    data = table(values, group=["a"] * 6 + ["b"] * 6, site=list("xxxyyy" * 2))
    row = moderated_test(data, "~ site + group", "a-b").table.iloc[5]
    assert np.isnan(row["p"])
    assert np.isnan(row["effect"])


def test_a_feature_that_is_seen_now_and_then_at_a_high_level_is_no_hit_of_chance():
    """Missed for other reasons than its level, in both groups alike: the curve alone would call what chance gives."""
    rng = np.random.default_rng(0)
    calls = 0
    for _ in range(20):
        values = noise(300, 60, sd=0.5)
        values[rng.random(values.shape) > special.expit(values - 22)] = np.nan
        values[:60][rng.random((60, 60)) < 0.9] = np.nan
        values = values[~np.isnan(values).all(1)]
        q = moderated_test(sheet(values), "~ group", "a-b", lfc=0.0).table["q"]
        calls += int((q <= 0.05).any())
    assert calls <= 3


def test_false_discoveries_stay_under_the_bar_where_values_are_missed_by_the_curve():
    shares, found = [], []
    for seed in range(12):
        values = noise(800, 6, seed)
        values[:80, :3] += np.where(np.arange(80) % 2, 2.0, -2.0)[:, None]
        draw = np.random.default_rng(seed + 100).random(values.shape)
        values[draw > special.expit(1.0 * (values - 23.5))] = np.nan
        q = moderated_test(table(values, group=list("aaabbb")), "~ group", "a-b", lfc=0.0).table["q"]
        hit = (q <= 0.05).to_numpy()
        shares.append((hit[80:].sum()) / max(hit.sum(), 1))
        found.append(hit[:80].sum())
    assert np.mean(shares) <= 0.06
    assert np.mean(found) > 35


def test_the_runs_of_one_subject_count_once():
    values = noise(200, 12, sd=0.2)
    values[np.random.default_rng(0).random(values.shape) > special.expit(values - 22)] = np.nan
    values[0, :6], values[0, 6:] = 25.0 + 0.1 * np.arange(6), np.nan
    donors = [f"d{place // 2}" for place in range(12)]
    data = table(values, group=["a"] * 6 + ["b"] * 6, donor=donors)
    alone = moderated_test(data, "~ group", "a-b", lfc=0.0).table["p"].iloc[0]
    assert moderated_test(data, "~ group", "a-b", lfc=0.0, block="donor").table["p"].iloc[0] > 3 * alone


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "drawn"}, "missing.*'drawn'.*modelled"), ({"slope": 2.0}, "slope"), ({"floor": 0.0}, "floor")],
)
def test_a_wrong_model_is_named(change, message):
    with pytest.raises(InputError, match=message):
        MissingModel(**change)


def graded(report):
    return {
        (one.entities[0], one.context, one.direction): (one.firm, one.scores.reliability) for one in report.hypotheses
    }


UBI_BUDGET = Budget(objectives=1, hypotheses=60)


@pytest.fixture(scope="module")
def ubi():
    """What a study of Ubi's table finds."""
    return Study(published.ubi_length()).run(UBI_BUDGET, seed=0)


@needs_data
def test_ubi_hits_and_grades_do_not_depend_on_seed_or_order(ubi):
    data = published.ubi_length()
    first = graded(ubi)
    rng = np.random.default_rng(0)
    mixed = data.take(features=rng.permutation(data.shape[0])).take(samples=rng.permutation(data.shape[1]))
    assert graded(Study(mixed).run(UBI_BUDGET, seed=1)) == first
    assert {firm for firm, _ in first.values()} >= {True}


@needs_data
def test_ubi_figures_do_not_depend_on_order_to_1e_9():
    data = published.ubi_length()
    rng = np.random.default_rng(0)
    orders = [(rng.permutation(data.shape[0]), rng.permutation(data.shape[1])) for _ in range(5)]
    first = moderated_test(normalise(data), "~ condition", "Ubi4-Ctrl").table
    for rows, columns in orders:
        mixed = moderated_test(normalise(data.take(features=rows, samples=columns)), "~ condition", "Ubi4-Ctrl")
        other = mixed.table.loc[first.index]
        for name in ("effect", "t", "p", "q", "ci_low", "ci_high"):
            np.testing.assert_allclose(other[name], first[name], rtol=1e-9, atol=1e-10, err_msg=name)


@needs_data
@pytest.mark.parametrize("contrast", ["Ubi6-Ctrl", "Ubi4-Ctrl"])
def test_ubi_keeps_each_hit_of_the_seen_values_and_shows_no_change_of_what_is_not_seen(contrast):
    data = normalise(published.ubi_length())
    found = moderated_test(data, "~ condition", contrast)
    seen = moderated_test(data, "~ condition", contrast, missing="seen")
    assert set(seen.hits().index) <= set(found.hits().index)
    lacks = np.stack([np.isnan(data.values[:, (data.samples["condition"] == level).to_numpy()]).all(1)
                      for level in contrast.split("-")]).any(0)  # fmt: skip
    assert found.table.loc[lacks, ["effect", "ci_low", "ci_high"]].isna().all(axis=None)


@needs_data
def test_ubi_grade_a_holds_at_floors_that_are_no_refits(ubi):
    data = normalise(published.ubi_length())
    contrast = ubi.answers[0].objective.contrast
    rows = {one.evidence[0].split("#")[1]: one for one in ubi.hypotheses if one.firm}
    assert len(rows) >= 20
    for floor in (0.01, 0.02, 0.05, 0.1):
        other = moderated_test(data, "~ condition", contrast, missing=MissingModel(kind="floor", floor=floor)).hits()
        side = {str(name): np.sign(t) for name, t in other["t"].items()}
        kept = [side.get(row, 0) == (1 if one.direction == "up" else -1) for row, one in rows.items()]
        assert np.mean(kept) >= 0.95


@needs_data
@pytest.mark.parametrize(("comparison", "true", "false"), [("50Vs0.5", 46, 0.12), ("50Vs5", 45, 0.10)])
def test_ups_in_yeast_is_found(comparison, true, false):
    spike = published.ups1_yeast(comparison)
    hit = (moderated_test(normalise(spike.data), spike.design, spike.contrast).table["q"] <= 0.05).to_numpy()
    assert (hit & (spike.truth != 0)).sum() >= true
    assert (hit & (spike.truth == 0)).sum() <= false * hit.sum()
