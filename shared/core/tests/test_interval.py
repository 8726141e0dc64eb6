"""How often the 95 % interval covers the truth, and that it is the textbook's interval where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.interval import mean_interval, t_quantile
from scipy import special, stats

RNG = np.random.default_rng
SHAPES = {  # of one effect: mean 0, variance 1
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "log-normal": lambda rng, shape: (
        (rng.lognormal(0, 0.5, shape) - np.exp(0.125)) / np.sqrt(np.exp(0.5) - np.exp(0.25))
    ),
    "t3": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
}
SHARES = {  # of the variance of the mean that come from seeds, from items that all seeds share, and from the rest
    "seeds": (1, 0, 0),
    "items": (0, 1, 0),
    "nested items": (0, 0, 1),
    "seeds and few items": (0.9, 0.1, 0),
    "seeds and items": (0.5, 0.5, 0),
    "seeds and many nested items": (0.3, 0, 0.7),
    "all three": (0.33, 0.33, 0.33),
}


def covered(seeds, items, shares, shape="normal", times=4000):
    """Share of simulated experiments, their true mean gain 0, whose interval holds 0."""
    rng, draw = RNG(seeds * 1000 + items), SHAPES[shape]
    by_seed, by_item, rest = shares
    gains = np.sqrt(by_seed * seeds) * draw(rng, (times, seeds, 1)) + np.zeros((times, seeds, items))
    if by_item:
        gains += np.sqrt(by_item * items) * draw(rng, (times, 1, items))
    if rest:
        gains += np.sqrt(rest * items * seeds) * draw(rng, (times, seeds, items))
    _, low, high = mean_interval([gains])
    return np.mean((low <= 0) & (high >= 0))


NOISE = 0.005  # one and a half standard errors of a share of 0.95 in 4,000 draws


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_coverage_is_93_to_97_percent_without_items(seeds):
    assert 0.93 <= covered(seeds, 1, (1, 0, 0), times=40_000) <= 0.97


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_coverage_is_93_to_97_percent_with_items(seeds, shares):
    assert 0.93 - NOISE <= covered(seeds, 40, shares) <= 0.97 + NOISE


def test_coverage_of_one_deterministic_run_over_items():
    for items in (10, 50, 300):
        assert 0.93 - NOISE <= covered(1, items, (0, 1, 0)) <= 0.97 + NOISE


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("shape", ["exponential", "log-normal", "t3"])
def test_coverage_is_at_least_90_percent_for_skewed_and_heavy_tailed_gains(seeds, shape):
    assert covered(seeds, 1, (1, 0, 0), shape, times=40_000) >= 0.90
    for shares in SHARES.values():
        assert covered(seeds, 20, shares, shape, times=2000) >= 0.90 - 2 * NOISE


def test_coverage_with_groups_of_other_sizes():
    rng, times = RNG(0), 4000
    seeds = rng.standard_normal((times, 5, 1))
    gains = [0.5 * seeds + rng.standard_normal((times, 1, size)) for size in (5, 12, 60)]
    _, low, high = mean_interval(gains)
    assert 0.93 - NOISE <= np.mean((low <= 0) & (high >= 0)) <= 0.97 + NOISE


def test_t_quantile_is_students():
    freedom = np.concatenate([np.linspace(1, 12, 111), [30, 1e3, 1e9]])
    np.testing.assert_allclose(t_quantile(freedom), special.stdtrit(freedom, 0.975), rtol=1e-3)


def test_symmetric_gains_of_seeds_have_the_t_interval():
    gains = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    estimate, low, high = mean_interval([gains[:, None]])
    assert estimate == pytest.approx(3)
    expected = stats.t.interval(0.95, 4, gains.mean(), stats.sem(gains))
    assert (low, high) == (pytest.approx(expected[0], rel=1e-3), pytest.approx(expected[1], rel=1e-3))


def test_interval_reaches_further_on_the_side_of_the_longer_tail_and_is_nowhere_shorter():
    gains = np.array([0.0, 0.1, 0.2, 0.3, 4.0])
    estimate, low, high = mean_interval([gains[:, None]])
    plain = t_quantile(4) * stats.sem(gains)
    assert estimate - low == pytest.approx(plain)
    assert high - estimate > 1.2 * plain
    mirrored = mean_interval([-gains[:, None]])
    assert (mirrored[1], mirrored[2]) == (pytest.approx(-high), pytest.approx(-low))


def test_items_shared_by_all_seeds_tell_no_more_of_other_items():
    items = RNG(0).standard_normal(200)
    once, often = mean_interval([items[None]]), mean_interval([np.tile(items, (5, 1))])
    np.testing.assert_allclose(once, often, rtol=1e-9)


def test_one_number_has_no_interval():
    assert mean_interval([np.array([[2.0]])]) == (2.0, -np.inf, np.inf)


def test_equal_gains_have_an_interval_of_no_width():
    assert mean_interval([np.ones((3, 4)), np.full((3, 1), 2.0)]) == (1.5, 1.5, 1.5)


def test_unit_of_the_scores_does_not_matter():
    gains = RNG(0).lognormal(size=(4, 9))
    small, large = mean_interval([gains * 1e-9]), mean_interval([gains * 1e9])
    np.testing.assert_allclose(np.array(small) * 1e18, large, rtol=1e-9)
