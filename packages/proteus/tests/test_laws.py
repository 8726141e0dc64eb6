"""Our formulas against `scipy.stats`, far tails included."""

import subprocess
import sys

import numpy as np
import pytest
from proteus.statistics import _laws as laws
from proteus.statistics._detection import detection_p
from proteus.statistics._ebayes import _log_density, _Prior, _to_equal_df, _winsorised_log_f
from proteus.statistics._moderated_t import z_of
from scipy import stats

X = np.array([0.0, 1e-3, 0.7, 3.0, 12.0, 37.0, 400.0, np.inf, np.nan])
DF = np.array([0.5, 1.0, 3.7, 12.0, 250.0, 1e5])[:, None]
P = np.array([1e-300, 1e-20, 0.025, 0.5, 0.975])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (laws.normal_sf(X), stats.norm.sf(X)),
        (laws.normal_sf(-X), stats.norm.sf(-X)),
        (laws.normal_quantile(P), stats.norm.ppf(P)),
        (laws.normal_density(X[:5], 0.3), stats.norm.pdf(X[:5], scale=0.3)),
        (laws.normal_mass(-1.5, 2.5, 0.4, 0.8), stats.norm.cdf(2.5, 0.4, 0.8) - stats.norm.cdf(-1.5, 0.4, 0.8)),
        (laws.t_sf(X, DF), stats.t.sf(X, DF)),
        (laws.t_sf(-X, DF), stats.t.sf(-X, DF)),
        (laws.t_quantile(P[1:], DF[1:]), stats.t.ppf(P[1:], DF[1:])),
        (laws.chi2_sf(X, DF), stats.chi2.sf(X, DF)),
        (laws.chi2_sf(-1e-17, 2), 1.0),
        (laws.f_sf(X, DF, 7.0), stats.f.sf(X, DF, 7.0)),
        (laws.f_sf(X, 2, DF), stats.f.sf(X, 2, DF)),
        (laws.f_log_density(X[1:7], DF, 7.0), stats.f.logpdf(X[1:7], DF, 7.0)),
        (_log_density(X[1:6], 4.0, np.inf), stats.chi2.logpdf(X[1:6], 4, scale=1 / 4)),
    ],
)
def test_tails_and_quantiles_equal_those_of_scipy_stats(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_ranks_and_what_rests_on_them_equal_those_of_scipy_stats():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 60).astype(float), rng.standard_normal(60)
    np.testing.assert_array_equal(laws.ranks(x), stats.rankdata(x))
    np.testing.assert_allclose(laws.spearman(x, y), stats.spearmanr(x, y)[0], rtol=1e-12)
    np.testing.assert_allclose(laws.pearson(x, x + y), stats.pearsonr(x, x + y), rtol=1e-12)
    assert laws.pearson(x[:2], np.array([3.0, 1.0]))[1] == 1.0
    assert np.isnan([*laws.pearson(x, np.ones(60)), laws.spearman(np.ones(60), y)]).all()
    np.testing.assert_allclose(laws.trimmed_mean(y, 0.15), stats.trim_mean(y, 0.15), rtol=1e-12)
    p = rng.random(300) ** 6
    np.testing.assert_array_equal(laws.adjusted(p), stats.false_discovery_control(p))


def test_winsorised_moments_equal_those_of_draws_of_scipy_stats():
    for d0, law in ((6.0, stats.f(4, 6)), (np.inf, stats.chi2(4, scale=1 / 4))):
        low, high = law.ppf(0.05), law.isf(0.1)
        z = np.log(np.clip(law.ppf((np.arange(20_000) + 0.5) / 20_000), low, high))
        np.testing.assert_allclose(_winsorised_log_f(4.0, d0), (z.mean(), z.var()), rtol=3e-4)


@pytest.mark.parametrize("d0", [6.0, np.inf])
def test_a_variance_keeps_its_tail_probability_on_other_degrees_of_freedom(d0):
    """Far out too, where 1 - tail is 1: a variance was infinite there, and not a number for an infinite d0."""
    d = np.array([3.0, 3.0, 3.0, 9.0])
    ratio = np.array([0.2, 1.5, 1e9 if np.isfinite(d0) else 30.0, 2.0])
    moved = _to_equal_df(2 * ratio, d, _Prior(np.full(4, d0), np.full(4, 2.0), d0)) / 2
    sf = stats.f.sf if np.isfinite(d0) else lambda x, d, _: stats.chi2.sf(x * d, d)
    np.testing.assert_allclose(sf(moved, 9.0, d0), sf(ratio, d, d0), rtol=1e-9)


def test_z_is_the_normal_quantile_of_the_tail_of_t():
    t = np.array([-8.0, -1.0, 0.5, 30.0])
    np.testing.assert_allclose(
        z_of(t, np.full(4, 9.0)), np.sign(t) * stats.norm.isf(stats.t.sf(np.abs(t), 9)), rtol=1e-12
    )


@pytest.mark.parametrize("sizes", [(3, 3), (7, 4), (30, 41)])
def test_detection_is_fishers_exact_test(sizes):
    counts = np.array([(a, b) for a in range(0, sizes[0] + 1, 2) for b in range(0, sizes[1] + 1, 3)])
    found = detection_p(counts, np.array(sizes))
    for (a, b), p in zip(counts, found, strict=True):
        if 0 < a + b < sum(sizes):
            wanted = stats.fisher_exact([[a, sizes[0] - a], [b, sizes[1] - b]]).pvalue
            np.testing.assert_allclose(p, wanted, rtol=1e-11)
        else:
            assert np.isnan(p)


def test_a_study_starts_without_scipy_stats_and_optimizers():
    heavy = "{'scipy.stats', 'scipy.optimize', 'matplotlib', 'networkx', 'jinja2'}"
    code = "import sys, proteus.study._study, proteus.tools._registry as r; r.tools()"
    code += f"; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
