import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from proteus.statistics._ebayes import _winsorised_log_f, natural_spline, squeeze_variances, trigamma_inverse
from proteus.statistics._lowess import lowess
from scipy import special, stats


@given(st.floats(1e-5, 1e5))
def test_trigamma_inverse_inverts(x):
    np.testing.assert_allclose(special.polygamma(1, trigamma_inverse(x)), x, rtol=1e-9)


def draws(n, d, d0, s0=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return np.sqrt(s0**2 * (d0 / rng.chisquare(d0, n)) * rng.chisquare(d, n) / d)


@pytest.mark.parametrize("prior", ["moment", "likelihood"])
def test_prior_is_recovered(prior):
    d = np.tile([3, 5, 8], 4000).astype(float)
    found = squeeze_variances(draws(12_000, d, 6), d, prior=prior)
    np.testing.assert_allclose(found.d0[0], 6, rtol=0.15)
    np.testing.assert_allclose(found.s0_squared[0], 0.25, rtol=0.05)


def test_likelihood_estimate_is_a_maximum():
    d = np.tile([2.0, 4.0, 7.0], 300)
    sigma = draws(900, d, 5)
    found = squeeze_variances(sigma, d, prior="likelihood")
    w = 1 / special.polygamma(1, d / 2)
    e = np.log(sigma**2) - special.digamma(d / 2) + np.log(d / 2)
    mean = (w * e).sum() / w.sum()

    def loglik(d0):
        s0 = np.exp(mean + special.digamma(d0 / 2) - np.log(d0 / 2))
        return (stats.f.logpdf(sigma**2 / s0, d, d0) - np.log(s0)).sum()

    best = loglik(found.d0[0])
    assert all(best >= loglik(found.d0[0] * factor) for factor in (0.9, 0.97, 1.03, 1.1))


@settings(max_examples=6, deadline=None)
@given(st.floats(0.01, 100), st.booleans(), st.booleans())
def test_scaling_the_data_scales_the_variances(factor, robust, trend):
    d = np.full(200, 4.0)
    sigma = draws(200, d, 5)
    covariate = np.linspace(18, 30, 200) if trend else None
    one = squeeze_variances(sigma, d, robust=robust, covariate=covariate)
    other = squeeze_variances(factor * sigma, d, robust=robust, covariate=covariate)
    np.testing.assert_allclose(other.posterior, factor**2 * one.posterior, rtol=1e-6)
    np.testing.assert_allclose(other.d0, one.d0, rtol=1e-5)


def test_posterior_lies_between_own_and_prior_variance():
    d = np.full(300, 3.0)
    sigma = draws(300, d, 4)
    found = squeeze_variances(sigma, d)
    low, high = np.minimum(sigma**2, found.s0_squared), np.maximum(sigma**2, found.s0_squared)
    assert ((found.posterior >= low * (1 - 1e-12)) & (found.posterior <= high * (1 + 1e-12))).all()


def test_protein_without_residuals_takes_the_prior():
    d = np.full(50, 4.0)
    sigma = draws(50, d, 5)
    d[0], sigma[0] = 0, np.nan
    found = squeeze_variances(sigma, d)
    assert found.posterior[0] == pytest.approx(found.s0_squared[0])
    assert found.df_total[0] == pytest.approx(found.d0[0])


def test_robust_prior_ignores_outliers():
    d = np.full(400, 5.0)
    sigma = draws(400, d, 8)
    sigma[:8] *= 15
    plain, robust = squeeze_variances(sigma, d), squeeze_variances(sigma, d, robust=True)
    assert plain.d0_bulk < 0.7 * robust.d0_bulk
    assert robust.d0[:8].max() < 0.5 * robust.d0_bulk


def test_winsorised_moments_equal_a_simulation():
    x = np.log(stats.f.rvs(4, 6, size=400_000, random_state=np.random.default_rng(0)))
    low, high = np.quantile(x, [0.05, 0.9])
    mean, variance = _winsorised_log_f(4, 6)
    clipped = np.clip(x, low, high)
    assert mean == pytest.approx(clipped.mean(), abs=0.01)
    assert variance == pytest.approx(clipped.var(), rel=0.02)


def test_spline_spans_lines_and_is_linear_outside_nothing():
    x = np.random.default_rng(0).normal(size=80)
    basis = natural_spline(x, 4)
    assert basis.shape == (80, 4)
    for target in (np.ones(80), x):
        np.testing.assert_allclose(basis @ (basis.T @ target), target, atol=1e-9)


def test_lowess_keeps_lines_and_resists_outliers():
    x = np.sort(np.random.default_rng(0).uniform(0, 10, 500))
    np.testing.assert_allclose(lowess(x, 2 * x + 1), 2 * x + 1, atol=1e-8)
    np.testing.assert_allclose(
        lowess(x, 2 * x + 1, weights=np.random.default_rng(1).uniform(1, 2, 500)), 2 * x + 1, atol=1e-8
    )
    y = np.sin(x)
    y[::25] += 20
    assert np.abs(lowess(x, y, span=0.2, iterations=4) - np.sin(x)).max() < 0.3


def test_one_replicate_is_named():
    with pytest.raises(InputError, match=r"residual degrees of freedom.*one replicate"):
        squeeze_variances(np.full(10, np.nan), np.zeros(10))


def test_constant_table_is_named():
    with pytest.raises(InputError, match="zero for half"):
        squeeze_variances(np.zeros(10), np.full(10, 3.0))
