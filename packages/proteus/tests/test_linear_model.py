import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from proteus.statistics._blocks import consensus_correlation
from proteus.statistics._linear_model import fit_linear_model
from scipy import optimize

from .helpers import noise


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.6))
def test_fit_equals_least_squares_of_each_protein(seed, missing):
    rng = np.random.default_rng(seed)
    design = np.stack([np.ones(9), rng.standard_normal(9), np.repeat([0, 1, 0], 3)], 1)
    y = rng.standard_normal((20, 9)) + 100
    y[rng.random(y.shape) < missing] = np.nan
    fit = fit_linear_model(y, design)
    for row in range(len(y)):
        seen = ~np.isnan(y[row])
        x = design[seen]
        rank = np.linalg.matrix_rank(x) if seen.any() else 0
        assert fit.df_residual[row] == seen.sum() - rank
        if rank == 3:
            beta, *_ = np.linalg.lstsq(x, y[row, seen], rcond=None)
            np.testing.assert_allclose(fit.coefficients[row], beta, rtol=1e-7, atol=1e-7)
            if seen.sum() > 3:
                s = np.sqrt(((y[row, seen] - x @ beta) ** 2).sum() / (seen.sum() - 3))
                np.testing.assert_allclose(fit.sigma[row], s, rtol=1e-6, atol=1e-9)


def test_contrast_is_missing_only_where_it_is_not_estimable():
    design = np.eye(3)[np.repeat([0, 1, 2], 3)]
    y = noise(3, 9)
    y[0, 6:] = np.nan  # the third group is gone: first against second can still be estimated
    y[1, :3] = np.nan
    fit = fit_linear_model(y, design)
    effect, error = fit.contrast(np.array([[1, -1, 0], [0, 1, -1]]).T)
    assert np.isnan(effect).tolist() == [[False, True], [True, False], [False, False]]
    np.testing.assert_array_equal(np.isnan(effect), np.isnan(error))
    np.testing.assert_allclose(effect[0, 0], y[0, :3].mean() - y[0, 3:6].mean())


def test_blocks_equal_generalised_least_squares():
    rng = np.random.default_rng(1)
    block = np.repeat([0, 1, 2, 3], 3)
    design = np.stack([np.ones(12), np.tile([0, 1, 2], 4)], 1)
    y = rng.standard_normal((4, 12))
    y[0, [1, 5]] = np.nan
    weights = rng.uniform(0.5, 2, 12)
    fit = fit_linear_model(y, design, block=block, correlation=0.3, weights=weights)
    for row in range(4):
        seen = ~np.isnan(y[row])
        v = np.where(block[:, None] == block, 0.3, 0.0) + 0.7 * np.eye(12)
        v = (v / np.sqrt(np.outer(weights, weights)))[np.ix_(seen, seen)]
        x, inverse = design[seen], np.linalg.inv(v)
        covariance = np.linalg.inv(x.T @ inverse @ x)
        beta = covariance @ x.T @ inverse @ y[row, seen]
        residual = y[row, seen] - x @ beta
        np.testing.assert_allclose(fit.coefficients[row], beta, rtol=1e-9)
        np.testing.assert_allclose(fit.sigma[row] ** 2, residual @ inverse @ residual / (seen.sum() - 2), rtol=1e-9)
        np.testing.assert_allclose(fit.contrast([0, 1])[1][row, 0] ** 2, covariance[1, 1], rtol=1e-9)


def test_consensus_correlation_maximises_the_restricted_likelihood():
    rng = np.random.default_rng(2)
    block = np.repeat(np.arange(8), 2)
    design = np.stack([np.ones(16), np.tile([0, 1], 8)], 1)
    y = rng.standard_normal((1, 16)) + rng.standard_normal(8)[block]

    def deviance(rho):
        v = np.where(block[:, None] == block, rho, 0.0) + (1 - rho) * np.eye(16)
        inverse = np.linalg.inv(v)
        inner = design.T @ inverse @ design
        p = inverse - inverse @ design @ np.linalg.inv(inner) @ design.T @ inverse
        return 14 * np.log(y[0] @ p @ y[0]) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(inner)[1]

    best = optimize.minimize_scalar(deviance, bounds=(-0.9, 0.98), method="bounded", options={"xatol": 1e-9}).x
    np.testing.assert_allclose(consensus_correlation(y, design, block), best, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "design", "options", "message"),
    [
        (np.ones((2, 3)), np.ones((4, 1)), {}, "design.*one row for each"),
        (np.ones((2, 3)), np.ones((3, 2)), {}, "rank-deficient"),
        (np.full((2, 3), np.inf), np.ones((3, 1)), {}, "infinite"),
        (np.ones((2, 3)), np.ones((3, 1)), {"weights": np.array([1, 0, 1])}, "weights.*positive"),
        (np.ones((2, 3)), np.ones((3, 1)), {"weights": np.ones(4)}, "weights.*shape"),
    ],
)
def test_bad_input_is_named(values, design, options, message):
    with pytest.raises(InputError, match=message):
        fit_linear_model(values, design, **options)


def test_blocks_of_one_are_refused():
    with pytest.raises(InputError, match="block"):
        consensus_correlation(noise(5, 4), np.ones((4, 1)), np.arange(4))
