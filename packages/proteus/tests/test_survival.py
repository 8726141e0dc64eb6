import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import tl
from proteus.outcomes._cox import cox
from proteus.outcomes._panel import area_under_curve, biomarker_panel, elastic_net_path
from proteus.outcomes._survival import (
    concordance,
    restricted_mean,
    restricted_mean_difference,
    survival_curve,
)
from scipy import optimize

from .helpers import noise, reference, table

TIME, EVENT = reference("survival", "time"), reference("survival", "event")
X, AGE, GROUP = reference("survival", "x"), reference("survival", "age"), reference("survival", "grp")


@pytest.mark.parametrize("adjusted", [False, True])
def test_cox_equals_r(adjusted):
    found = cox(X, TIME, EVENT, covariates=AGE[:, None] if adjusted else None)
    expected = reference("survival", "cox" if adjusted else "cox1")
    np.testing.assert_allclose(found[["log_hr", "error", "p"]], expected, rtol=1e-6)
    if not adjusted:
        np.testing.assert_allclose(found["ph_p"], reference("survival", "zph"), rtol=1e-6)


def test_cox_with_missing_values_equals_the_fit_without_them():
    values = X.copy()
    values[0, [3, 10, 40]] = np.nan
    kept = ~np.isnan(values[0])
    one, other = cox(values, TIME, EVENT), cox(X[:1, kept], TIME[kept], EVENT[kept])
    np.testing.assert_allclose(
        one.iloc[0][["log_hr", "error"]].astype(float), other.iloc[0][["log_hr", "error"]].astype(float), rtol=1e-8
    )
    assert one["n"].iloc[0] == 57


def test_constant_covariates_are_left_out():
    both = np.column_stack([AGE, np.ones(len(AGE))])
    pd.testing.assert_frame_equal(
        cox(X, TIME, EVENT, covariates=both), cox(X, TIME, EVENT, covariates=AGE[:, None])
    )  # fmt: skip
    pd.testing.assert_frame_equal(cox(X, TIME, EVENT, covariates=both[:, 1:]), cox(X, TIME, EVENT))


def test_a_feature_that_a_covariate_determines_has_no_ratio():
    found = cox(np.vstack([2 * AGE + 1, X]), TIME, EVENT, covariates=AGE[:, None])
    assert found.iloc[0][["log_hr", "p"]].isna().all()
    np.testing.assert_allclose(
        found.iloc[1:][["log_hr", "p"]], cox(X, TIME, EVENT, covariates=AGE[:, None])[["log_hr", "p"]]
    )


def test_covariates_that_determine_each_other_are_refused():
    with pytest.raises(InputError, match=r"covariates.*others determine"):
        cox(X, TIME, EVENT, covariates=np.column_stack([AGE, 3 * AGE]))


def test_monotone_likelihood_is_marked():
    time = np.arange(1.0, 21)
    found = cox(np.array([-time, np.zeros(20)]), time, np.ones(20))
    assert not found["converged"].any()
    assert np.isnan(found["p"]).all()


def test_curves_equal_r():
    curve = survival_curve(TIME, EVENT)
    np.testing.assert_allclose(curve.survival, reference("survival", "km"), rtol=1e-9)
    inside = curve.survival > 0
    np.testing.assert_allclose(
        (curve.error / np.maximum(curve.survival, 1e-9))[inside], reference("survival", "km_se")[inside], rtol=1e-9
    )
    means = [restricted_mean(TIME[group == GROUP], EVENT[group == GROUP], 15) for group in (0, 1)]
    np.testing.assert_allclose(means, reference("survival", "rmst"), rtol=1e-6)
    np.testing.assert_allclose(concordance(X, TIME, EVENT), reference("survival", "c"), rtol=1e-9)


def test_restricted_mean_difference_has_the_sign_of_the_longer_lived():
    time = np.concatenate([np.arange(1, 31), np.arange(1, 31) * 2]).astype(float)
    difference, error, p = restricted_mean_difference(time, np.ones(60), np.arange(60) >= 30)
    assert difference > 0
    assert p < 0.05
    assert error > 0


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([1, 2, 3], [0, 0, 0], "0 events"),
        ([1, 2, 3], [1, 0, 0], "1 events"),
        ([1, 0, 3], [1, 1, 0], "follow-up time"),
        ([1, 2, 3], [1, 2, 0], "event.*2.*expected 0 or 1"),
    ],
)
def test_bad_outcomes_are_named(time, event, message):
    with pytest.raises(InputError, match=message):
        cox(np.zeros((1, 3)), np.array(time), np.array(event))


def test_survival_tool_ranks_the_marker_first_and_adjusts():
    data = table(noise(40, 60, sd=0.5), time=TIME.tolist(), event=EVENT.tolist(), arm=["x", "y"] * 30)
    values = data.values.copy()
    values[7] = 25 - np.log(TIME) + 0.3 * np.random.default_rng(0).standard_normal(60)
    found = tl.survival(data.with_values(values), covariates=["arm"])
    assert found.index[0] == "f7"
    assert found["log_hr"].iloc[0] > 0
    assert found["c_index"].iloc[0] > 0.7


def test_elastic_net_minimises_its_objective():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 6))
    y = x[:, 0] + 0.5 * rng.standard_normal(80) > 0
    share, l1 = 0.2, 0.5
    intercept, beta = elastic_net_path(x, y, l1, np.array([share]), iterations=5000)[0]
    most = np.abs(x.T @ (y - y.mean())).max() / 80 / l1

    def objective(b):
        eta = np.where(y, 1, -1) * (x @ b[1:] + b[0])
        return np.logaddexp(0, -eta).mean() + share * most * (
            l1 * np.abs(b[1:]).sum() + (1 - l1) / 2 * (b[1:] ** 2).sum()
        )

    ours = objective(np.concatenate([[intercept], beta]))
    best = optimize.minimize(objective, np.zeros(7), method="Powell", options={"xtol": 1e-9, "ftol": 1e-12}).fun
    assert ours <= best + 1e-4


def test_panel_finds_signal_and_not_noise():
    positive = np.arange(40) < 20
    values = noise(150, 40, sd=0.3)
    noisy = biomarker_panel(table(values), positive, folds=3, permutations=9)
    assert noisy.auc < 0.75
    assert noisy.p > 0.1
    values[:3, :20] += 0.8
    found = biomarker_panel(table(values), positive, folds=3, permutations=9)
    assert found.auc > 0.9
    assert found.p == pytest.approx(0.1)
    assert {"f0", "f1", "f2"} <= set(found.weights.index)


def test_area_under_curve_counts_pairs():
    assert area_under_curve(np.array([1, 2, 2, 3.0]), np.array([False, True, False, True])) == pytest.approx(3.5 / 4)


def test_panel_needs_samples_in_each_fold():
    with pytest.raises(InputError, match=r"panel.*3 against 17"):
        biomarker_panel(table(noise(10, 20)), np.arange(20) < 3)
