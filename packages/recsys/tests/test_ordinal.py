"""Ordered values: cut points beside their posterior on a grid, and what a fitted model says of each value."""

import numpy as np
import pytest
from ninefold.errors import InputError
from recsys import BayesianFM, evaluate_values, load
from recsys.fm._columns import OneHot
from recsys.fm._ordinal import OrdinalSampler, between, level_shares
from scipy.special import ndtr, ndtri

from .test_fm import clicks, dataset


def test_cut_points_follow_their_posterior():
    draw = np.random.default_rng(0)
    predicted = draw.normal(size=60)
    level = np.digitize(predicted + draw.normal(size=60), [-0.4, 0.5])
    axis = np.linspace(-2, 2, 161)
    low, high = np.meshgrid(axis, axis, indexing="ij")
    density = np.where(low < high, 0.0, -np.inf)
    for mean, one in zip(predicted, level, strict=True):
        ends = [0.0 * low, ndtr(low - mean), ndtr(high - mean), 1.0 + 0.0 * low]
        density += np.log(np.maximum(ends[one + 1] - ends[one], 1e-300))
    density = np.exp(density - density.max())
    density /= density.sum()
    expected = np.array([[(density * c).sum(), (density * c * c).sum()] for c in (low, high)])
    sampler = OrdinalSampler([OneHot(np.zeros(60, int), 1)], level, 0)
    found = []
    for _ in range(3000):
        sampler.draw_cuts(predicted, draw)
        found.append(sampler.cuts.copy())
    found = np.array(found[200:])
    np.testing.assert_allclose(found.mean(axis=0), expected[:, 0], atol=0.03)
    np.testing.assert_allclose(found.std(axis=0), np.sqrt(expected[:, 1] - expected[:, 0] ** 2), rtol=0.12)


def test_latent_values_stay_between_their_cuts_and_the_residual_true():
    draw = np.random.default_rng(0)
    level, user = draw.integers(0, 4, 300), draw.integers(0, 20, 300)
    sampler = OrdinalSampler([OneHot(user, 20), OneHot(draw.integers(0, 9, 300), 9)], level, 2, seed=1)
    for sweep in range(4):
        sampler.sweep(sweep)
    ends = np.concatenate([[-np.inf], sampler.cuts, [np.inf]])
    assert ((ends[level] <= sampler.z) & (sampler.z <= ends[level + 1])).all()
    np.testing.assert_allclose(sampler.e, sampler.z - sampler.predict(), atol=1e-9)


def test_truncated_draws_are_quantiles_even_far_out():
    share = np.array([0.25, 0.5, 0.9, 0.5, 0.5])
    low, high = np.array([-1.0, -np.inf, 0.5, 8.0, -50.0]), np.array([2.0, 0.3, np.inf, 9.0, -49.0])
    found = between(low, high, share)
    plain = ndtri(ndtr(low[:3]) + share[:3] * (ndtr(high[:3]) - ndtr(low[:3])))
    np.testing.assert_allclose(found[:3], plain, rtol=1e-9)
    assert found[3] == pytest.approx(-ndtri(0.5 * (ndtr(-8.0) + ndtr(-9.0))), rel=1e-9)
    assert -50 <= found[4] <= -49


@pytest.fixture(scope="module")
def parts():
    frame = clicks(1500)
    frame["stars"] = np.array([1.0, 2.0, 2.5, 10.0])[np.digitize(frame["value"], [-1.0, 0.5, 2.0])]
    return dataset(frame, value="stars").split.rows(0.25)


@pytest.fixture(scope="module")
def fitted(parts):
    return BayesianFM(head="ordinal", factors=3, sweeps=60, burn_in=20, samples=10).fit(parts[0])


def test_chances_of_the_values_add_up_and_their_mean_is_the_prediction(fitted, parts, tmp_path):
    test = parts[1].to_table()
    shares = fitted.levels(test)
    assert shares.column_names == ["user", "item", "1", "2", "2.5", "10"]
    chance = np.stack([one.to_numpy() for one in shares.columns[2:]], axis=1)
    np.testing.assert_allclose(chance.sum(axis=1), 1)
    predicted = fitted.predict(test).column("score").to_numpy()
    np.testing.assert_allclose(chance @ [1.0, 2.0, 2.5, 10.0], predicted, rtol=1e-5)
    assert load(fitted.save(tmp_path / "m")).levels(test).equals(shares)
    cuts = np.array([[-1.0, 0.0, 2.0]])
    np.testing.assert_allclose(level_shares(np.array([[0.5]]), cuts)[0, 0], np.diff(ndtr([-9, -1.5, -0.5, 1.5, 9])))
    with pytest.raises(InputError, match=r"levels.*head 'regression'"):
        BayesianFM().levels(test)


def test_order_alone_is_enough_where_values_are_not_even(fitted, parts):
    plain = BayesianFM(factors=3, sweeps=60, burn_in=20, samples=10).fit(parts[0])
    ordinal, regression = (evaluate_values(one, parts[1])["rmse"] for one in (fitted, plain))
    assert ordinal < 0.9 * regression


def test_values_without_few_levels_are_refused():
    with pytest.raises(InputError, match=r"values.*distinct.*2 to 50"):
        BayesianFM(head="ordinal").fit(dataset(clicks(200)))
