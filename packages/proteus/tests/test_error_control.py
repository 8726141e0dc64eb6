import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from proteus.statistics._error_control import benjamini_hochberg, control_families, lord_gamma, lord_plus_plus, simes

P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(P)
def test_bh_equals_its_definition(p):
    p = np.array(p)
    q = benjamini_hochberg(p)
    for place, one in enumerate(p):
        expected = min(min(len(p) * level / (p <= level).sum() for level in p[p >= one]), 1)
        assert q[place] == pytest.approx(expected)


@given(P)
def test_simes_is_the_smallest_adjusted_p(p):
    assert simes(np.array(p)) == pytest.approx(np.nanmin(benjamini_hochberg(np.array(p))))


def test_missing_p_does_not_count():
    q = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(q[[0, 2]], [0.02, 0.04])
    assert np.isnan(q[1])


def test_gamma_sums_to_at_most_one():
    total = lord_gamma(2_000_000).sum()
    assert 0.5 < total <= 1  # the tail is long: two million terms hold about half


def test_lord_plus_plus_equals_its_formula():
    rng = np.random.default_rng(0)
    p = np.where(rng.random(200) < 0.2, rng.random(200) * 1e-4, rng.random(200))
    alpha, w0 = 0.05, 0.02
    gamma = lord_gamma(300)
    taken = []
    for t in range(1, 201):
        level = gamma[t - 1] * w0
        for number, tau in enumerate(taken):
            level += gamma[t - tau - 1] * ((alpha - w0) if number == 0 else alpha)
        if p[t - 1] <= level:
            taken.append(t)
    assert (np.flatnonzero(lord_plus_plus(p, alpha=alpha, w0=w0)) + 1).tolist() == taken
    assert len(taken) > 5


def test_lord_controls_false_discoveries():
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        null = rng.random(60) < 0.7
        p = np.where(null, rng.random(60), rng.random(60) * 1e-3)
        hit = lord_plus_plus(p)
        shares.append((hit & null).sum() / max(hit.sum(), 1))
    assert np.mean(shares) < 0.05


def test_families_pass_in_order_and_bar_falls_with_their_share():
    strong = np.array([1e-9, 1e-8, 0.03])
    dull = np.full(5, 0.6)
    both = control_families([strong, dull])
    assert both[0].tolist() == [True, True, False]  # 0.03 <= 0.05 but not <= 0.05 * 1/2
    assert not both[1].any()
    assert control_families([strong])[0].tolist() == [True, True, True]


def test_bad_p_is_named():
    with pytest.raises(InputError, match="p-values"):
        benjamini_hochberg(np.array([0.1, 1.2]))
